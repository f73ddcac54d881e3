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
	c := cursor{line: line}
	what = c.sample(rec)
	return c.at, what
}

// cursor walks over a line of valid JSON.
type cursor struct {
	line []byte
	at   int
}

// peek goes to the next value, or the end of the list or object, and returns its
// first byte.
func (c *cursor) peek() byte {
	for {
		switch b := c.line[c.at]; b {
		case ' ', '\t', '\r', '\n', ',', ':':
			c.at++
		default:
			return b
		}
	}
}

// enter steps into a list or an object, as open says, if one comes next.
func (c *cursor) enter(open byte) bool {
	if c.peek() != open {
		return false
	}
	c.at++
	return true
}

// more reports whether there is one more value in the list or object, and steps
// out of it if not.
func (c *cursor) more() bool {
	if b := c.peek(); b != ']' && b != '}' {
		return true
	}
	c.at++
	return false
}

// take steps over the next value and returns its text.
func (c *cursor) take() []byte {
	c.peek()
	begin, depth := c.at, 0
	for c.at < len(c.line) {
		switch c.line[c.at] {
		case '"':
			for c.at++; c.line[c.at] != '"'; c.at++ {
				if c.line[c.at] == '\\' {
					c.at++
				}
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 { // of the list that a number was the last of
				return c.line[begin:c.at]
			}
			depth--
		case ' ', '\t', '\r', '\n', ',', ':':
			if depth == 0 {
				return c.line[begin:c.at]
			}
		}
		c.at++
	}
	return c.line[begin:]
}

// member steps over a member's name and returns it.
func (c *cursor) member() string {
	quoted := c.take()
	if bytes.IndexByte(quoted, '\\') < 0 {
		return text(quoted[1 : len(quoted)-1])
	}
	var name string
	json.Unmarshal(quoted, &name) // valid: cannot fail
	return name
}

// sample reads the object that is the line, or says what is wrong at c.at.
func (c *cursor) sample(rec *Record) (what string) {
	if !c.enter('{') {
		return "a sample must be an object, {...}"
	}
	var sec, nsec int64 // received
	received, data := false, false
	for c.more() {
		switch c.member() {
		case "ts":
			if !c.enter('{') {
				return `"ts" must be an object, {"origin":[SECONDS,NANOSECONDS]}`
			}
			for c.more() {
				ok := true
				switch c.member() {
				case "origin":
					rec.Sec, rec.Nsec, ok = c.timestamp()
				case "received":
					sec, nsec, ok = c.timestamp()
					received = true
				default:
					c.take()
				}
				if !ok {
					return "a timestamp must be [SECONDS,NANOSECONDS], with nanoseconds from 0 to 999999999"
				}
			}
		case "sequence":
			c.peek()
			begin := c.at
			n, err := strconv.ParseUint(text(c.take()), 10, 64)
			if err != nil {
				c.at = begin
				return `"sequence" must be an integer from 0 on`
			}
			rec.Sequence, rec.HasSequence = n, true
		case "data":
			data = true
			if !c.values(rec) {
				return `"data" must be a list of numbers, booleans and {"real":X,"imag":Y}`
			}
		default:
			c.take()
		}
	}
	if received {
		if rec.Offset, rec.HasOffset = between(rec.Sec, rec.Nsec, sec, nsec); !rec.HasOffset {
			return "origin and received must lie less than 292 years apart"
		}
	}
	if !data {
		return `there is no "data"`
	}
	return ""
}

func (c *cursor) timestamp() (sec, nsec int64, ok bool) {
	if !c.enter('[') || !c.more() {
		return 0, 0, false
	}
	if sec, c.at, ok = parseInt(c.line, c.at); !ok || !c.more() {
		return 0, 0, false
	}
	if nsec, c.at, ok = parseNsec(c.line, c.at); !ok || c.more() {
		return 0, 0, false
	}
	return sec, nsec, true
}

func (c *cursor) values(rec *Record) (ok bool) {
	rec.Values = rec.Values[:0]
	if !c.enter('[') {
		return false
	}
	for c.more() {
		begin := c.at
		var v Value
		switch c.line[c.at] {
		case 't', 'f':
			v, ok = Bool(c.take()[0] == 't'), true
		case '{':
			v, ok = c.complex()
		default:
			v, ok = c.number()
		}
		if !ok {
			c.at = begin
			return false
		}
		rec.Values = append(rec.Values, v)
	}
	return true
}

// number reads a number, infinite where out of range, or null, which is NaN.
func (c *cursor) number() (v Value, ok bool) {
	switch t := c.take(); {
	case text(t) == "null":
		return Float(math.NaN()), true
	case t[0] == '"' || t[0] == '[' || t[0] == '{' || t[0] == 't' || t[0] == 'f':
		return Value{}, false
	default:
		if v, ok = parseValue(t); !ok {
			f, _ := strconv.ParseFloat(text(t), 64)
			v = Float(f)
		}
		return v, true
	}
}

func (c *cursor) complex() (v Value, ok bool) {
	var parts [2]Value
	for c.enter('{'); c.more(); {
		part := 0
		switch c.member() {
		case "real":
		case "imag":
			part = 1
		default:
			return Value{}, false
		}
		c.peek()
		if parts[part], ok = c.number(); !ok {
			return Value{}, false
		}
	}
	return Complex(complex(parts[0].Float64(), parts[1].Float64())), true
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
