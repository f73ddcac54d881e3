// SPDX-License-Identifier: Apache-2.0

package format

import (
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestBothReleasesLinesAreRead(t *testing.T) {
	r := NewHumanReader("x", strings.NewReader("# header\n\n1493000000.000000005+1.500000e-03(7)\t1.5\t-2\n1700000002.5(9)F 5 6.25\r\n-3(18446744073709551615)\t1e3"))
	want := []Record{
		{Sec: 1493000000, Nsec: 5, Offset: 1.5e-3, HasOffset: true, Sequence: 7, HasSequence: true, Values: []float64{1.5, -2}},
		{Sec: 1700000002, Nsec: 5, Sequence: 9, HasSequence: true, NewFrame: true, Values: []float64{5, 6.25}},
		{Sec: -3, Sequence: 1<<64 - 1, HasSequence: true, Values: []float64{1000}},
	}
	for _, w := range want {
		var rec Record
		if err := r.Read(&rec); err != nil || !reflect.DeepEqual(rec, w) {
			t.Fatalf("%+v %v, want %+v", rec, err, w)
		}
	}
	if err := r.Read(new(Record)); err != io.EOF {
		t.Error(err)
	}
}

func TestABadLineIsNamedAndTheNextIsRead(t *testing.T) {
	for line, want := range map[string]string{
		"abc 1":          "x:1:1: seconds must be an integer",
		"1.1000000000 1": "x:1:13: nanoseconds must be 0 to 999999999",
		"1.2(3 1":        "x:1:4: the sequence must be an integer in parentheses",
		"1.2(x) 1":       "x:1:4: the sequence must be an integer in parentheses",
		"1.2+ 1":         "x:1:4: the offset must be a number of seconds",
		"1.2Z 1":         `x:1:4: unexpected "Z" behind the time`,
		"1.2(3)\t1\ttwo": `x:1:10: value 2 must be a number, is "two"`,
	} {
		r := NewHumanReader("x", strings.NewReader(line+"\n7.8 9\n"))
		var rec Record
		if err := r.Read(&rec); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
		if err := r.Read(&rec); err != nil || rec.Sec != 7 {
			t.Errorf("%q: the line after it: %+v %v", line, rec, err)
		}
	}
}

func TestFilesOfVILLASnodeAreRead(t *testing.T) {
	for file, values := range map[string]int{"sine.villas": 3, "mixed.villas": 4} {
		f, err := os.Open("../tests/data/" + file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, n := NewHumanReader(file, f), uint64(0)
		for rec := (Record{}); ; n++ {
			if err := r.Read(&rec); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if rec.Sequence != n || len(rec.Values) != values {
				t.Fatalf("%s: sample %d: %+v", file, n, rec)
			}
		}
		if n != 500 {
			t.Errorf("%s: %d samples", file, n)
		}
	}
}
