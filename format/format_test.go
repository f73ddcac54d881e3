// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var all = []Format{Human, Human03, CSV, TSV, JSON}

func TestFormatsAreFoundByNameAndEnding(t *testing.T) {
	for _, f := range all {
		if got, err := ByName(f.String()); err != nil || got != f {
			t.Errorf("%v: %v %v", f, got, err)
		}
	}
	if f, err := ByName("human"); f != Human || err != nil {
		t.Error(f, err)
	}
	if _, err := ByName("cvs"); err == nil || !strings.Contains(err.Error(), "villas.human, villas.human-0.3, csv, tsv, json") {
		t.Error(err)
	}
	for path, want := range map[string]Format{"a/b.villas": Human, "x.CSV": CSV, "x.tsv": TSV, "x.json": JSON, "x.jsonl": JSON} {
		if f, ok := ByPath(path); f != want || !ok {
			t.Errorf("%s: %v %v", path, f, ok)
		}
	}
	if _, ok := ByPath("x.txt"); ok {
		t.Error("x.txt has a format")
	}
}

// anyFloat draws floats of every magnitude, and the ones that are special.
func anyFloat() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64(),
		rapid.Map(rapid.Uint64(), math.Float64frombits),
		rapid.Float64Range(-1, 1),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 0.5e-17, 0x1p-4, 0x1p63, math.MaxFloat64, math.SmallestNonzeroFloat64}),
	)
}

func anyValue() *rapid.Generator[Value] {
	return rapid.OneOf(
		rapid.Map(anyFloat(), Float),
		rapid.Map(rapid.Int64(), Int),
		rapid.Map(rapid.Bool(), Bool),
		rapid.Custom(func(t *rapid.T) Value {
			return Complex(complex(anyFloat().Draw(t, "real"), anyFloat().Draw(t, "imag")))
		}),
	)
}

func anyRecord() *rapid.Generator[Record] {
	return rapid.Custom(func(t *rapid.T) (rec Record) {
		rec.Sec = rapid.Int64Range(-1<<62, 1<<62).Draw(t, "sec")
		rec.Nsec = rapid.Int64Range(0, 999999999).Draw(t, "nsec")
		if rec.HasOffset = rapid.Bool().Draw(t, "has offset"); rec.HasOffset {
			rec.Offset = time.Duration(rapid.Int64Range(-math.MaxInt64+2e9, math.MaxInt64-2e9).Draw(t, "offset"))
		}
		if rec.HasSequence = rapid.Bool().Draw(t, "has sequence"); rec.HasSequence {
			rec.Sequence = rapid.Uint64().Draw(t, "sequence")
		}
		rec.NewFrame = rapid.Bool().Draw(t, "new frame")
		rec.Values = rapid.SliceOfN(anyValue(), 0, 80).Draw(t, "values")
		return rec
	})
}

// told is what is left of rec once it was written in format f.
func told(f Format, rec Record) Record {
	rec.NewFrame = rec.NewFrame && f == Human
	rec.Values = append([]Value(nil), rec.Values...)
	for i, v := range rec.Values {
		if v.kind == KindBool && f != JSON {
			v.kind = KindInt
		}
		for _, part := range []*uint64{&v.bits, &v.imag} {
			if x := math.Float64frombits(*part); x != x && (v.kind == KindComplex || v.kind == KindFloat && part == &v.bits) {
				*part = math.Float64bits(math.NaN())
			}
		}
		rec.Values[i] = v
	}
	return rec
}

func same(a, b Record) bool {
	return reflect.DeepEqual(a, b) || len(a.Values) == 0 && len(b.Values) == 0 && fmt.Sprint(a) == fmt.Sprint(b)
}

func TestWhatIsWrittenIsReadExactly(t *testing.T) {
	for _, f := range []Format{Human, CSV, TSV, JSON} {
		t.Run(f.String(), rapid.MakeCheck(func(rt *rapid.T) {
			records := rapid.SliceOfN(anyRecord(), 1, 5).Draw(rt, "records")
			out := written(t, f, WriterOptions{}, records...)
			got := readAll(t, f, out)
			if len(got) != len(records) {
				rt.Fatalf("%d records are read from\n%s", len(got), out)
			}
			for i, rec := range records {
				if want := told(f, rec); !same(got[i], want) {
					rt.Fatalf("got  %+v\nwant %+v\nfrom\n%s", got[i], want, out)
				}
			}
		}))
	}
}

func TestSixDecimalsAreLeftInTheOldForm(t *testing.T) {
	got := written(t, Human03, WriterOptions{}, Record{Sec: 1493000000, Nsec: 5, Offset: 1500 * time.Microsecond, HasOffset: true, Sequence: 7,
		HasSequence: true, NewFrame: true, Values: []Value{Float(1.5), Float(-2), Float(1e-9), Float(123456.7890125), Int(3)}})
	if want := "1493000000.000000005+1.500000e-03(7)\t1.500000\t-2.000000\t0.000000\t123456.789012\t3\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestOffsetsAreExactToTheNanosecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(-math.MaxInt64, math.MaxInt64).Draw(t, "d"))
		for _, text := range [][]byte{appendExponent(nil, d), appendSeconds(nil, d)} {
			if got, ok := parseSeconds(text); !ok || got != d {
				t.Fatalf("%d is written %s and read %d %v", d, text, got, ok)
			}
		}
	})
	for text, want := range map[string]time.Duration{
		"0": 0, "+1.5": 1500 * time.Millisecond, "-1.5e-03": -1500 * time.Microsecond, ".5": time.Second / 2, "5.": 5 * time.Second, "1E2": 100 * time.Second,
		"0.0000000014": 1, "0.0000000015": 2, "-0.0000000015": -2, "1e-400": 0, "0e999": 0, "12345.0000000010000000000000000": 12345*time.Second + 1,
		"0.00000000000000000000001e23": time.Second, "9223372036.854775807": math.MaxInt64,
	} {
		if got, ok := parseSeconds([]byte(text)); !ok || got != want {
			t.Errorf("%s: %d %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "+", ".", "1e", "1e+", "1.2.3", "nan", "inf", "1e10", "9223372036.854775808", "0x1p0", "1 "} {
		if got, ok := parseSeconds([]byte(text)); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "+0.000000e+00", -5: "-5.000000e-09", 12345678 * time.Microsecond: "+1.2345678e+01"} {
		if got := string(appendExponent(nil, d)); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestHeadersNameTheSignals(t *testing.T) {
	signals := []Signal{{"voltage, phase A", "V"}, {"f", "Hz"}}
	rec := Record{Sec: 1, HasOffset: true, Values: floats(1, 2, 3)}
	for f, want := range map[Format]string{
		Human:   "# seconds.nanoseconds+offset\tvoltage, phase A[V]\tf[Hz]\tsignal2\n",
		Human03: "",
		CSV:     "secs,nsecs,offset,sequence,\"voltage, phase A[V]\",f[Hz],signal2\n",
		TSV:     "secs\tnsecs\toffset\tsequence\tvoltage, phase A[V]\tf[Hz]\tsignal2\n",
		JSON:    "",
	} {
		out := written(t, f, WriterOptions{Signals: signals}, rec)
		if !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1+strings.Count(want, "\n") {
			t.Errorf("%v: %s", f, out)
		}
		if got := written(t, f, WriterOptions{Signals: signals, NoHeader: true}, rec); want+got != out {
			t.Errorf("%v without a header: %s", f, got)
		}
		r := f.NewReader("x", strings.NewReader(out))
		var back Record
		if err := r.Read(&back); err != nil || !same(back, told(f, rec)) && f != Human03 {
			t.Errorf("%v: %+v %v", f, back, err)
		}
		if got := r.Signals(); want != "" && !reflect.DeepEqual(got, append(signals, Signal{Name: "signal2"})) {
			t.Errorf("%v: %+v", f, got)
		}
	}
}

func TestCSVOfOtherProgramsIsRead(t *testing.T) {
	want := []Record{{Sec: 5, Nsec: 7, Sequence: 3, HasSequence: true, Values: floats(1.5, 2.5)}}
	for _, text := range []string{
		"5,000000007,nan,3,1.5,2.5",
		"\xef\xbb\xbfsecs,nsecs,offset,sequence,a,b\r\n5,7,,3,1.5,2.5\r\n",
		"# secs,nsecs,offset,sequence,a,b\n\n# more\n5, 7, NaN, 3, 1.5, \"2.5\"\n",
		"secs,nsecs,a,sequence,b\n \n5,7,1.5,3,2.5",
	} {
		if got := readAll(t, CSV, text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestEmptyColumnsAtTheEndCount(t *testing.T) {
	if got := readAll(t, TSV, "5\t7\t\t\n"); len(got) != 1 || !same(got[0], Record{Sec: 5, Nsec: 7}) {
		t.Errorf("%+v", got)
	}
}

func TestJSONOfOtherProgramsIsRead(t *testing.T) {
	got := readAll(t, JSON, `{"data":[]}
 { "flags" : [ {"}":"]\"" } ] , "sequence" : 3 , "d\u0061ta" : [ 1 , 2.0 , true,null , { "imag":2 , "real" : -1e0 } ] , "ts" : {"sent":[9,9],"received":[6, 5], "origin":[5,7]} }`)
	want := []Record{
		{},
		{Sec: 5, Nsec: 7, Offset: time.Second - 2, HasOffset: true, Sequence: 3, HasSequence: true,
			Values: []Value{Int(1), Float(2), Bool(true), Float(math.NaN()), Complex(-1 + 2i)}},
	}
	if len(got) != 2 || !same(got[0], want[0]) || !same(got[1], want[1]) {
		t.Errorf("%+v", got)
	}
	text := written(t, JSON, WriterOptions{}, want[1])
	if text != `{"ts":{"origin":[5,7],"received":[6,5]},"sequence":3,"data":[1,2.0,true,null,{"real":-1.0,"imag":2.0}]}`+"\n" {
		t.Error(text)
	}
}

func TestBadLinesOfCSVAndJSONAreNamed(t *testing.T) {
	for _, c := range []struct {
		f          Format
		line, want string
	}{
		{CSV, "x,0,,,1", `x:1:1: seconds must be an integer, are "x"`},
		{CSV, "1,-5,,,1", `x:1:3: nanoseconds must be 0 to 999999999, are "-5"`},
		{CSV, "1,5,zz,,1", `x:1:5: the offset must be a number of seconds, up to 292 years, is "zz"`},
		{CSV, "1,5,0,-1,1", `x:1:7: the sequence must be an integer, is "-1"`},
		{CSV, "1,5,0,1,1,,3", `x:1:11: value 2 must be a number, is ""`},
		{CSV, "1,5", `x:1:4: a column is missing: offset`},
		{TSV, "1,5,0,1,1", `x:1:1: seconds must be an integer, are "1,5,0,1,1"`},
		{JSON, "[1]", "x:1:1: a sample must be an object, {...}"},
		{JSON, `{"data":[1}`, "x:1:11: invalid character '}' after array element"},
		{JSON, `{"data":[1]`, "x:1:11: unexpected end of JSON input"},
		{JSON, `{"data":[1]} {}`, "x:1:14: invalid character '{' after top-level value"},
		{JSON, `{"sequence":1}`, `x:1:15: there is no "data"`},
		{JSON, `{"sequence": -1,"data":[]}`, `x:1:14: "sequence" must be an integer from 0 on`},
		{JSON, `{"data":[1,"two"]}`, `x:1:12: "data" must be a list of numbers, booleans and {"real":X,"imag":Y}`},
		{JSON, `{"data":[{"re":1}]}`, `x:1:10: "data" must be a list of numbers, booleans and {"real":X,"imag":Y}`},
		{JSON, `{"ts":{"origin":[1.5,2]},"data":[]}`, "x:1:17: a timestamp must be [SECONDS,NANOSECONDS], with nanoseconds from 0 to 999999999"},
		{JSON, `{"ts":3}`, `x:1:7: "ts" must be an object, {"origin":[SECONDS,NANOSECONDS]}`},
	} {
		good := written(t, c.f, WriterOptions{NoHeader: true}, Record{Sec: 7})
		r := c.f.NewReader("x", strings.NewReader(c.line+"\n"+good))
		var rec Record
		if err := r.Read(&rec); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.line, err, c.want)
		}
		if err := r.Read(&rec); err != nil || rec.Sec != 7 {
			t.Errorf("%s: the line after it: %+v %v", c.line, rec, err)
		}
	}
}

func TestLinesMayBeOfAnyLength(t *testing.T) {
	rec := Record{Sec: 1, Values: make([]Value, 300000)}
	for i := range rec.Values {
		rec.Values[i] = Float(float64(i) / 7)
	}
	for _, f := range []Format{Human, CSV, TSV, JSON} {
		for i, got := range readAll(t, f, written(t, f, WriterOptions{}, rec, rec)) {
			if !reflect.DeepEqual(got, rec) {
				t.Errorf("%v: record %d is another one", f, i)
			}
		}
	}
}

func TestBadLinesAreSteppedOverWhereAsked(t *testing.T) {
	var reports []string
	r := Skip(Human.NewReader("x", strings.NewReader("1 1\noops\n2 2\n3 ?\n")), func(e *SyntaxError) { reports = append(reports, e.Error()) })
	var rec Record
	for sec := int64(1); sec <= 2; sec++ {
		if err := r.Read(&rec); err != nil || rec.Sec != sec {
			t.Error(rec, err)
		}
	}
	if err := r.Read(&rec); err != io.EOF || len(reports) != 2 || !strings.HasPrefix(reports[0], "x:2:1: ") || !strings.HasPrefix(reports[1], "x:4:3: ") {
		t.Error(err, reports)
	}
}

var errBroken = errors.New("the device is broken")

// broken fails at once.
type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errBroken }
func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestErrorsBelowAreHandedOn(t *testing.T) {
	r := Human.NewReader("x", io.MultiReader(strings.NewReader("1 1\n2 2"), broken{}))
	var rec Record
	if err := r.Read(&rec); err != nil {
		t.Error(err)
	}
	if err := r.Read(&rec); !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "x:2: ") {
		t.Error(err)
	}
	w := Human.NewWriter(broken{}, WriterOptions{})
	w.Write(&rec)
	if err := w.Flush(); err != errBroken {
		t.Error(err)
	}
}

// endless repeats a line.
type endless struct {
	line []byte
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		k := copy(b[n:], e.line[e.at:])
		e.at = (e.at + k) % len(e.line)
		n += k
	}
	return n, nil
}

func TestNothingIsAllocatedPerSample(t *testing.T) {
	rec := Record{Sec: 1700000000, Nsec: 5, Offset: 1234567, HasOffset: true, Sequence: 12345678, HasSequence: true,
		Values: []Value{Float(0.00720071101459618), Float(-123.456), Int(-5), Float(1e-20), Complex(1.5 - 0.1i), Float(math.Pi), Float(1e10)}}
	for _, f := range []Format{Human, Human03, CSV, TSV, JSON} {
		w := f.NewWriter(io.Discard, WriterOptions{NoHeader: true})
		if n := testing.AllocsPerRun(10000, func() { w.Write(&rec) }); n != 0 {
			t.Errorf("%v: %v allocations to write a sample", f, n)
		}
		if f == JSON {
			continue // what json.Valid works with comes from a pool, and now and then from the heap
		}
		r := Skip(f.NewReader("x", &endless{line: []byte(written(t, f, WriterOptions{NoHeader: true}, rec))}), nil)
		var got Record
		if n := testing.AllocsPerRun(10000, func() {
			if err := r.Read(&got); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations to read a sample", f, n)
		}
	}
}

// fuzz reads arbitrary text in format f. Whatever it is, errors lie within their
// line, and what was read is written and read again the same in every format.
func fuzz(f *testing.F, format Format, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := bytes.Split(text, []byte("\n"))
		r := format.NewReader("x", bytes.NewReader(text))
		for rec := (Record{}); ; {
			err := r.Read(&rec)
			if err == io.EOF {
				return
			}
			var syntax *SyntaxError
			if errors.As(err, &syntax) {
				if syntax.Line != r.Line() || syntax.Line > len(lines) || syntax.Column < 1 || syntax.Column > len(lines[syntax.Line-1])+1 {
					t.Fatalf("%v is outside of its line", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if rec.Nsec < 0 || rec.Nsec > 999999999 {
				t.Fatalf("%d nanoseconds", rec.Nsec)
			}
			for _, f := range []Format{Human, CSV, TSV, JSON} {
				if _, far := between(rec.Sec, 0, rec.Sec+int64(rec.Offset/time.Second), 0); f == JSON && !far {
					continue // received is beyond an int64
				}
				back := readAll(t, f, written(t, f, WriterOptions{Signals: r.Signals()}, rec))
				if len(back) != 1 || !same(told(f, back[0]), told(f, rec)) {
					t.Fatalf("%v: %+v is read back as %+v", f, rec, back)
				}
			}
		}
	})
}

func FuzzHuman(f *testing.F) {
	fuzz(f, Human,
		"# seconds.nanoseconds+offset(sequence)\tsignal0[V]\tb\n1493000000.000000005+1.500000e-03(7)\t1.500000\t-2.000000\n",
		"1700000002.000000001(9)F\t5.00000000000000000\t6\n-3(18446744073709551615) 1e3 nan -inf 1-2i\n",
		"1.2(3 4\n\n#\n1.2+1e999 0x1p-3\n")
}

func FuzzCSV(f *testing.F) {
	fuzz(f, CSV,
		"secs,nsecs,offset,sequence,signal0[V],\"a,b\"\n1493000000,000000005,0.0015,7,1.5,-2\n",
		"# secs,nsecs,sequence\n1,2,3\n1,2,nan,\"4\"\n", "1,2,,,nan,1-2i\n1\n")
}

func FuzzJSON(f *testing.F) {
	fuzz(f, JSON,
		`{"ts":{"origin":[1,2],"received":[3,4]},"sequence":5,"data":[1,2.5,true,null,{"real":1,"imag":2},1e999]}`+"\n",
		`{"x":[{"}":"\""}],"d\u0061ta":[]} `, `{"ts":{"origin":[1]},"data":[[]]}`)
}
