// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/format"
)

func run(t *testing.T, a, b string, o Options) (reports []string, s Summary, err error) {
	t.Helper()
	s, err = Run(&Side{Name: "a", Reader: format.Human.NewReader("a", strings.NewReader(a))},
		&Side{Name: "b", Reader: format.Human.NewReader("b", strings.NewReader(b))}, o, func(text string) { reports = append(reports, text) })
	return reports, s, err
}

func TestDifferencesAreToldWithTheirPlaces(t *testing.T) {
	const a = "# seconds.nanoseconds(sequence)\tvoltage[V]\n\n1.000000005(1)\t1.5\t2\n2(2)\t3\n"
	for _, c := range []struct {
		b    string
		o    Options
		want []string
	}{
		{"1.5(1) 1.5 2.0\n2 3\n", Options{}, nil},
		{"1.5 1.5 2\n", Options{}, []string{"a:4: sample 2 is missing in b"}},
		{"1.5 1.5 2\n2 3\n#\n3 4\n", Options{}, []string{"b:4: sample 3 is missing in a"}},
		{"1.5 1.25 2.5\n2 3\n", Options{}, []string{"a:3: voltage is 1.5, in b:1 1.25, off by 0.25", "a:3: signal1 is 2, in b:1 2.5, off by 0.5"}},
		{"1.5 1.25 2.5\n2 3\n", Options{Abs: 0.5}, nil},
		{"1.5 1.25 2.5\n2 3\n", Options{Rel: 0.2}, nil},
		{"1.5 1.25 2.5\n2 3\n", Options{Rel: 0.19}, []string{"a:3: signal1 is 2, in b:1 2.5, off by 0.5"}},
		{"1.5 1.50000001 2\n2 3\n", Options{Float32: true}, nil},
		{"1.5 1.5\n2 3 4\n", Options{}, []string{"a:3: the number of values is 2, in b:1 1", "a:4: the number of values is 1, in b:2 2"}},
		{"1.7(2) 1.5 2\n2(2) 3\n", Options{}, []string{"a:3: sequence is 1, in b:1 2", "a:3: time is 1.000000005, in b:1 1.000000007, off by 2ns"}},
		{"1.7(2) 1.5 2\n2(2) 3\n", Options{Time: 2, NoSequence: true}, nil},
		{"1.7 1.5 2\n2(2) 3\n", Options{Time: 1}, []string{"a:3: time is 1.000000005, in b:1 1.000000007, off by 2ns"}},
		{"9.7(2) 1.5 2\n2(2) 3\n", Options{NoTime: true, NoSequence: true}, nil},
		{"1.5(1) nan 2\n2 3\n", Options{Abs: 1e9}, []string{"a:3: voltage is 1.5, in b:1 NaN, off by +Inf"}},
		{"0(0) 0\n2(2) 3\n4(4) 5\n", Options{BySequence: true},
			[]string{"b:1: sequence 0 is missing in a", "a:3: sequence 1 is missing in b", "b:3: sequence 4 is missing in a"}},
	} {
		got, s, err := run(t, a, c.b, c.o)
		if err != nil || !reflect.DeepEqual(got, c.want) || s.Equal() != (len(c.want) == 0) {
			t.Errorf("%q %+v: %v %v\ngot  %q\nwant %q", c.b, c.o, s, err, got, c.want)
		}
	}
}

func TestWhatAFloatCannotTellIsTold(t *testing.T) {
	for pair, equal := range map[[2]string]bool{
		{"9007199254740992", "9007199254740993"}:        false,
		{"-9223372036854775808", "9223372036854775807"}: false,
		{"5", "5.0"}:     true,
		{"nan", "NaN"}:   true,
		{"inf", "inf"}:   true,
		{"inf", "-inf"}:  false,
		{"1+2i", "1+2i"}: true,
		{"1+2i", "1"}:    false,
		{"0.0", "-0.0"}:  true,
	} {
		if _, s, err := run(t, "1 "+pair[0], "1 "+pair[1], Options{}); err != nil || s.Equal() != equal {
			t.Errorf("%v: %+v %v", pair, s, err)
		}
	}
}

func TestTheSummaryCounts(t *testing.T) {
	_, s, err := run(t, "1 1\n2 2\n3 3\n", "1.5 1\n2 2.5\n3 3\n4 4\n", Options{Time: time.Second})
	if want := (Summary{Samples: [2]uint64{3, 4}, Compared: 3, Different: 1, Unpaired: 1, Value: 0.5, Time: 5}); err != nil || s != want {
		t.Errorf("%+v %v, want %+v", s, err, want)
	}
}

func TestFilesThatCannotBeComparedAreErrors(t *testing.T) {
	if _, _, err := run(t, "1 x\n", "1 1\n", Options{}); err == nil || !strings.HasPrefix(err.Error(), "a:1:3: ") {
		t.Error(err)
	}
	if _, _, err := run(t, "1(1) 1\n", "\n1 1\n", Options{BySequence: true}); err == nil || err.Error() != "b:2: no sequence number to pair the sample by" {
		t.Error(err)
	}
}
