// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func floats(values ...float64) (list []Value) {
	for _, v := range values {
		list = append(list, Float(v))
	}
	return list
}

// readAll reads text in format f to its end.
func readAll(t testing.TB, f Format, text string) (records []Record) {
	t.Helper()
	for r := f.NewReader("x", strings.NewReader(text)); ; {
		var rec Record
		if err := r.Read(&rec); err == io.EOF {
			return records
		} else if err != nil {
			t.Fatal(err)
		}
		records = append(records, rec)
	}
}

// written is what a writer makes of records.
func written(t testing.TB, f Format, o WriterOptions, records ...Record) string {
	t.Helper()
	var out bytes.Buffer
	w := f.NewWriter(&out, o)
	for i := range records {
		if err := w.Write(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBothReleasesLinesAreRead(t *testing.T) {
	got := readAll(t, Human, "# header\n\n"+
		"1493000000.000000005+1.500000e-03(7)\t1.500000\t-2.000000\n"+
		" \t1700000002.5-2(9)F 5 6.25\t1.5-2.5i \t\r\n"+
		"-3(18446744073709551615)\t1e3")
	want := []Record{
		{Sec: 1493000000, Nsec: 5, Offset: 1500 * time.Microsecond, HasOffset: true, Sequence: 7, HasSequence: true, Values: floats(1.5, -2)},
		{Sec: 1700000002, Nsec: 5, Offset: -2 * time.Second, HasOffset: true, Sequence: 9, HasSequence: true, NewFrame: true,
			Values: []Value{Int(5), Float(6.25), Complex(1.5 - 2.5i)}},
		{Sec: -3, Sequence: 1<<64 - 1, HasSequence: true, Values: floats(1000)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestABadLineIsNamedAndTheNextIsRead(t *testing.T) {
	for line, want := range map[string]string{
		"abc 1":          "x:1:1: seconds must be an integer",
		"  abc 1":        "x:1:3: seconds must be an integer",
		"1.1000000000 1": "x:1:3: nanoseconds must be 0 to 999999999",
		"1.-5 1":         "x:1:3: nanoseconds must be 0 to 999999999",
		"1.2(3 1":        "x:1:4: the sequence must be an integer in parentheses",
		"1.2(x) 1":       "x:1:4: the sequence must be an integer in parentheses",
		"1.2+ 1":         "x:1:4: the offset must be a number of seconds, up to 292 years",
		"1.2+1e10 1":     "x:1:4: the offset must be a number of seconds, up to 292 years",
		"1.2Z 1":         `x:1:4: unexpected "Z" behind the time`,
		"1.2(3)\t1\ttwo": `x:1:10: value 2 must be a number, is "two"`,
		"1.2(3)\t1_0":    `x:1:8: value 1 must be a number, is "1_0"`,
		"1.2(3)\t1e999":  `x:1:8: value 1 must be a number, is "1e999"`,
	} {
		r := Human.NewReader("x", strings.NewReader(line+"\n7.8 9\n"))
		var rec Record
		if err := r.Read(&rec); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
		if err := r.Read(&rec); err != nil || rec.Sec != 7 || r.Line() != 2 {
			t.Errorf("%q: the line after it: %+v %v", line, rec, err)
		}
	}
}

func TestFilesOfVILLASnodeAreReadAndWrittenWithoutAChange(t *testing.T) {
	for file, values := range map[string]int{"sine.villas": 3, "mixed.villas": 4} {
		text, err := os.ReadFile("../tests/data/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		r, n := Human.NewReader(file, bytes.NewReader(text)), uint64(0)
		var w Writer
		for rec := (Record{}); ; n++ {
			if err := r.Read(&rec); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if rec.Sequence != n || len(rec.Values) != values {
				t.Fatalf("%s: sample %d: %+v", file, n, rec)
			}
			if w == nil {
				w = Human.NewWriter(&out, WriterOptions{Signals: r.Signals()})
			}
			w.Write(&rec)
		}
		w.Flush()
		if n != 500 || !bytes.Equal(out.Bytes(), text) {
			t.Errorf("%s: %d samples, written as\n%.300s", file, n, out.Bytes())
		}
	}
}

func TestFloatsAreAsVILLASnodeWritesThemUnlessThatLosesDigits(t *testing.T) {
	for v, want := range map[float64]string{
		1.5: "1.50000000000000000", 0.1: "0.10000000000000001", 325: "325.00000000000000000", -0x1p70: "-1180591620717411303424.00000000000000000",
		0.00628314396555895: "0.00628314396555895", 0.006283144000917673: "0.006283144000917673", 1e-20: "1e-20", 0: "0.00000000000000000",
	} {
		if got := string(appendFloat(nil, v)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
