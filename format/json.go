// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/bits"
	"strconv"
	"time"
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
	w := walk{Decoder: json.NewDecoder(bytes.NewReader(line)), line: line}
	w.UseNumber()
	if err := w.sample(rec); err != nil {
		return w.fault(err)
	}
	w.here()
	if _, err := w.Token(); err != io.EOF {
		return w.at, "unexpected text behind the sample"
	}
	return 0, ""
}

// walk goes through the tokens of a line.
type walk struct {
	*json.Decoder
	line []byte
	at   int // where the token begins that was looked at last
}

// wrong is an error about the token at walk.at.
type wrong string

func (w wrong) Error() string { return string(w) }

func (w *walk) fault(err error) (column int, what string) {
	var syntax *json.SyntaxError
	var sense wrong
	switch {
	case errors.As(err, &sense):
		return w.at, string(sense)
	case errors.As(err, &syntax):
		return max(0, int(syntax.Offset)-1), syntax.Error()
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return len(w.line), "the sample is not complete"
	}
	return w.at, err.Error()
}

// here notes where the next token begins.
func (w *walk) here() {
	w.at = int(w.InputOffset())
	for w.at < len(w.line) && bytes.IndexByte([]byte(" \t\r,:"), w.line[w.at]) >= 0 {
		w.at++
	}
}

func (w *walk) token() (json.Token, error) {
	w.here()
	return w.Token()
}

// members calls member for each member of the object that comes next, which is
// wrong if it is something else.
func (w *walk) members(what string, member func(name string) error) error {
	t, err := w.token()
	if err == nil && t != json.Delim('{') {
		err = wrong(what)
	}
	for err == nil && w.More() {
		if t, err = w.token(); err == nil {
			name, _ := t.(string)
			err = member(name)
		}
	}
	if err == nil {
		_, err = w.token()
	}
	return err
}

// skip steps over a value.
func (w *walk) skip() error {
	for depth := 0; ; {
		t, err := w.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func (w *walk) sample(rec *Record) error {
	var sec, nsec int64 // received
	received, data := false, false
	err := w.members("a sample must be an object, {...}", func(name string) (err error) {
		switch name {
		case "ts":
			return w.members(`"ts" must be an object, {"origin":[SECONDS,NANOSECONDS]}`, func(name string) (err error) {
				switch name {
				case "origin":
					rec.Sec, rec.Nsec, err = w.timestamp()
				case "received":
					sec, nsec, err = w.timestamp()
					received = true
				default:
					err = w.skip()
				}
				return err
			})
		case "sequence":
			t, err := w.token()
			if err != nil {
				return err
			}
			n, _ := t.(json.Number)
			if rec.Sequence, err = strconv.ParseUint(string(n), 10, 64); err != nil {
				return wrong(`"sequence" must be an integer from 0 on`)
			}
			rec.HasSequence = true
			return nil
		case "data":
			data = true
			return w.values(rec)
		}
		return w.skip()
	})
	if err != nil {
		return err
	}
	if received {
		if rec.Offset, rec.HasOffset = between(rec.Sec, rec.Nsec, sec, nsec); !rec.HasOffset {
			return wrong("origin and received must lie less than 292 years apart")
		}
	}
	if !data {
		return wrong(`there is no "data"`)
	}
	return nil
}

func (w *walk) timestamp() (sec, nsec int64, err error) {
	for _, want := range []json.Token{json.Delim('['), &sec, &nsec, json.Delim(']')} {
		t, err := w.token()
		if err != nil {
			return 0, 0, err
		}
		n, _ := t.(json.Number)
		switch into, number := want.(*int64); {
		case number:
			if *into, err = strconv.ParseInt(string(n), 10, 64); err == nil && (into == &sec || *into >= 0 && *into < 1e9) {
				continue
			}
		case t == want:
			continue
		}
		return 0, 0, wrong("a timestamp must be [SECONDS,NANOSECONDS], with nanoseconds from 0 to 999999999")
	}
	return sec, nsec, nil
}

func (w *walk) values(rec *Record) error {
	const what = `"data" must be a list of numbers, booleans and {"real":X,"imag":Y}`
	rec.Values = rec.Values[:0]
	t, err := w.token()
	if err == nil && t != json.Delim('[') {
		err = wrong(what)
	}
	for err == nil && w.More() {
		w.here()
		if w.line[w.at] == '{' {
			var re, im float64
			err = w.members(what, func(name string) (err error) {
				switch name {
				case "real":
					re, err = w.float()
				case "imag":
					im, err = w.float()
				default:
					err = wrong(what)
				}
				return err
			})
			rec.Values = append(rec.Values, Complex(complex(re, im)))
			continue
		}
		if t, err = w.token(); err != nil {
			break
		}
		switch t := t.(type) {
		case json.Number:
			v, ok := parseValue([]byte(t))
			if !ok {
				v = Float(outOfRange(string(t)))
			}
			rec.Values = append(rec.Values, v)
		case bool:
			rec.Values = append(rec.Values, Bool(t))
		case nil:
			rec.Values = append(rec.Values, Float(math.NaN()))
		default:
			err = wrong(what)
		}
	}
	if err == nil {
		_, err = w.token()
	}
	return err
}

// float reads a part of a complex value.
func (w *walk) float() (float64, error) {
	t, err := w.token()
	switch t := t.(type) {
	case json.Number:
		return outOfRange(string(t)), nil
	case nil:
		return math.NaN(), err
	}
	if err == nil {
		err = wrong("a part of a complex value must be a number")
	}
	return 0, err
}

// outOfRange is a JSON number as a float, which may be infinite.
func outOfRange(number string) float64 {
	f, _ := strconv.ParseFloat(number, 64)
	return f
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
