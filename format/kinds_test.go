// SPDX-License-Identifier: Apache-2.0

package format

import (
	"slices"
	"testing"
)

func TestKindsAreReadInVILLASnodesShortForm(t *testing.T) {
	for text, want := range map[string]Kinds{
		"": nil, "f": {KindFloat}, "2i": {KindInt, KindInt}, "fib2c": {KindFloat, KindInt, KindBool, KindComplex, KindComplex},
	} {
		if got, err := ParseKinds(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "3", "0f", "f4", "2 f", "-1f", "99999999999999999999f", "999999f999999f"} {
		if got, err := ParseKinds(text); err == nil {
			t.Errorf("%q: %d kinds", text, len(got))
		}
	}
	k := Kinds{KindInt, KindBool}
	if k.Of(0, KindFloat) != KindInt || k.Of(7, KindFloat) != KindBool || Kinds(nil).Of(3, KindComplex) != KindComplex {
		t.Error("kinds by place are wrong")
	}
}
