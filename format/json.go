// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// jsonLines is one JSON object a line, as VILLASnode has it:
//
//	{"ts":{"origin":[SECONDS,NANOSECONDS],"received":[SECONDS,NANOSECONDS]},"sequence":N,"data":[VALUE,...]}
//
// Only the data are required, and other members are skipped. A complex value is
// {"real":X,"imag":Y}. JSON knows neither NaN nor infinities: they are null and
// numbers out of range, ±1e999, which most readers take for infinities.
type jsonLines struct{}

func (jsonLines) header([]byte, bool) ([]Signal, bool)                { return nil, false }
func (jsonLines) appendHeader(b []byte, _ []Signal, _ *Record) []byte { return b }

func (jsonLines) parse(line []byte, rec *Record) (column int, what string) {
	if !json.Valid(line) {
		var whatever json.RawMessage
		var syntax *json.SyntaxError
		errors.As(json.Unmarshal(line, &whatever), &syntax)
		return max(0, int(syntax.Offset)-1), syntax.Error()
	}
	root := gjson.Parse(text(line))
	if !root.IsObject() {
		return root.Index, "a sample must be an object, {...}"
	}
	var sec, nsec int64 // received
	received, data := false, false
	wrong := func(v gjson.Result, why string) bool {
		column, what = v.Index, why
		return false
	}
	root.ForEach(func(name, v gjson.Result) bool {
		switch name.Str {
		case "ts":
			if !v.IsObject() {
				return wrong(v, `"ts" must be an object, {"origin":[SECONDS,NANOSECONDS]}`)
			}
			v.ForEach(func(name, v gjson.Result) bool {
				ok := true
				switch name.Str {
				case "origin":
					rec.Sec, rec.Nsec, ok = jsonTimestamp(v)
				case "received":
					sec, nsec, ok = jsonTimestamp(v)
					received = true
				}
				return ok || wrong(v, "a timestamp must be [SECONDS,NANOSECONDS], with nanoseconds from 0 to 999999999")
			})
		case "sequence":
			n, err := strconv.ParseUint(v.Raw, 10, 64)
			if err != nil {
				return wrong(v, `"sequence" must be an integer from 0 on`)
			}
			rec.Sequence, rec.HasSequence = n, true
		case "data":
			data = true
			const must = `"data" must be a list of numbers, booleans and {"real":X,"imag":Y}`
			if !v.IsArray() {
				return wrong(v, must)
			}
			rec.Values = rec.Values[:0]
			v.ForEach(func(_, v gjson.Result) bool {
				value, ok := jsonValue(v)
				rec.Values = append(rec.Values, value)
				return ok || wrong(v, must)
			})
		}
		return what == ""
	})
	switch {
	case what != "":
		return column, what
	case !data:
		return len(line), `there is no "data"`
	}
	if received {
		if rec.Offset, rec.HasOffset = between(rec.Sec, rec.Nsec, sec, nsec); !rec.HasOffset {
			return len(line), "origin and received must lie less than 292 years apart"
		}
	}
	return 0, ""
}

func jsonTimestamp(v gjson.Result) (sec, nsec int64, ok bool) {
	parts := [2]int64{}
	n := 0
	v.ForEach(func(_, v gjson.Result) bool {
		if n < len(parts) {
			var err error
			parts[n], err = strconv.ParseInt(v.Raw, 10, 64)
			ok = err == nil
		}
		n++
		return ok
	})
	return parts[0], parts[1], ok && v.IsArray() && n == 2 && parts[1] >= 0 && parts[1] < 1e9
}

func jsonValue(v gjson.Result) (Value, bool) {
	switch {
	case v.IsBool():
		return Bool(v.Bool()), true
	case v.IsObject():
		var parts [2]float64
		ok := true
		v.ForEach(func(name, v gjson.Result) bool {
			part := map[string]int{"real": 1, "imag": 2}[name.Str]
			var number Value
			if number, ok = jsonNumber(v); part == 0 {
				ok = false
			}
			if ok {
				parts[part-1] = number.Float64()
			}
			return ok
		})
		return Complex(complex(parts[0], parts[1])), ok
	}
	return jsonNumber(v)
}

// jsonNumber is a number, infinite where out of range, or null, which is NaN.
func jsonNumber(v gjson.Result) (Value, bool) {
	switch v.Type {
	case gjson.Null:
		return Float(math.NaN()), true
	case gjson.Number:
		if n, ok := parseValue([]byte(v.Raw)); ok {
			return n, true
		}
		return Float(v.Num), true // gjson leaves what is out of range infinite
	}
	return Value{}, false
}

// between is the time from origin to received. It is not ok if no Duration can
// tell it.
func between(sec, nsec, toSec, toNsec int64) (d time.Duration, ok bool) {
	seconds := toSec - sec
	hi, lo := bits.Mul64(uint64(max(seconds, -seconds)), 1e9)
	if (toSec < sec) != (seconds < 0) || hi != 0 || lo > math.MaxInt64-1e9 {
		return 0, false
	}
	return time.Duration(seconds)*time.Second + time.Duration(toNsec-nsec), true
}

func (jsonLines) append(b []byte, rec *Record) []byte {
	b = appendTimestamp(append(b, `{"ts":{"origin":`...), rec.Sec, rec.Nsec)
	if rec.HasOffset {
		nsec := rec.Nsec + int64(rec.Offset%time.Second)
		sec := rec.Sec + int64(rec.Offset/time.Second)
		if nsec < 0 {
			sec, nsec = sec-1, nsec+1e9
		} else if nsec >= 1e9 {
			sec, nsec = sec+1, nsec-1e9
		}
		b = appendTimestamp(append(b, `,"received":`...), sec, nsec)
	}
	b = append(b, '}')
	if rec.HasSequence {
		b = strconv.AppendUint(append(b, `,"sequence":`...), rec.Sequence, 10)
	}
	b = append(b, `,"data":[`...)
	for i, v := range rec.Values {
		if i > 0 {
			b = append(b, ',')
		}
		switch v.kind {
		case KindFloat:
			b = appendJSONFloat(b, v.Float64())
		case KindInt:
			b = strconv.AppendInt(b, v.Int64(), 10)
		case KindBool:
			b = strconv.AppendBool(b, v.Bool())
		case KindComplex:
			c := v.Complex128()
			b = appendJSONFloat(append(b, `{"real":`...), real(c))
			b = appendJSONFloat(append(b, `,"imag":`...), imag(c))
			b = append(b, '}')
		}
	}
	return append(b, "]}\n"...)
}

func appendTimestamp(b []byte, sec, nsec int64) []byte {
	b = strconv.AppendInt(append(b, '['), sec, 10)
	b = strconv.AppendInt(append(b, ','), nsec, 10)
	return append(b, ']')
}

// appendJSONFloat appends v in the shortest form that is exact and that does not
// pass for an integer.
func appendJSONFloat(b []byte, v float64) []byte {
	switch {
	case v != v:
		return append(b, "null"...)
	case math.IsInf(v, 1):
		return append(b, "1e999"...)
	case math.IsInf(v, -1):
		return append(b, "-1e999"...)
	}
	at := len(b)
	b = strconv.AppendFloat(b, v, 'g', -1, 64)
	if bytes.IndexAny(b[at:], ".e") < 0 {
		b = append(b, ".0"...)
	}
	return b
}
