// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"

	"pgregory.net/rapid"
)

func TestIndexFindsBlocksAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := uint64(rapid.IntRange(1, 1<<20).Draw(t, "size")) * 8
		count := uint64(rapid.IntRange(1, 1<<22).Draw(t, "count"))
		base := uintptr(rapid.Uint64Range(1<<20, 1<<46).Draw(t, "base")) &^ 7
		var b Blocks
		b.set(base, size, count)
		i := rapid.Uint64Range(0, count-1).Draw(t, "block")
		if got := b.Index(base + uintptr(i*size)); got != i {
			t.Fatalf("block %d of %d has index %d", i, size, got)
		}
		p := uintptr(rapid.Uint64().Draw(t, "address"))
		off := uint64(p - base)
		if is := off%size == 0 && off/size < count; b.Contains(p) != is {
			t.Fatalf("Contains(base%+d) = %v", int64(off), !is)
		}
	})
}
