// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
	"unsafe"
)

// text shows b as a string for the time of a call.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// clip quotes b for an error.
func clip(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%q...", b[:40])
	}
	return fmt.Sprintf("%q", b)
}

// parseValue parses a number: an integer if it consists of digits alone and is
// not too large, a complex one if it ends in i, otherwise a float.
func parseValue(b []byte) (Value, bool) {
	if len(b) == 0 || bytes.IndexByte(b, '_') >= 0 || b[0] == '(' {
		return Value{}, false
	}
	if b[len(b)-1] == 'i' {
		c, err := strconv.ParseComplex(text(b), 128)
		return Complex(c), err == nil
	}
	if n, end, ok := parseInt(b, 0); ok && end == len(b) {
		return Int(n), true
	}
	f, err := strconv.ParseFloat(text(b), 64)
	return Float(f), err == nil
}

// parseInt parses a sign, if there is one, and decimal digits from b[at] on and
// returns where they end; it is not ok if there are none or too many of them.
func parseInt(b []byte, at int) (n int64, end int, ok bool) {
	end = at
	if end < len(b) && (b[end] == '-' || b[end] == '+') {
		end++
	}
	digits := end
	for end < len(b) && '0' <= b[end] && b[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text(b[at:end]), 10, 64)
	return n, end, err == nil && end > digits
}

// parseNsec parses a count of nanoseconds.
func parseNsec(b []byte, at int) (n int64, end int, ok bool) {
	n, end, ok = parseInt(b, at)
	return n, end, ok && '0' <= b[at] && n < 1e9
}

// parseSeconds parses a decimal number of seconds, rounded to the nanosecond;
// binary floating point would lose nanoseconds. It is not ok beyond what a
// Duration can be, 292 years.
func parseSeconds(b []byte) (d time.Duration, ok bool) {
	at, negative := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		at, negative = 1, b[0] == '-'
	}
	var n uint64  // the digits
	exponent := 9 // n times ten to the exponent is the number of nanoseconds
	digits, point := 0, false
	for ; at < len(b); at++ {
		c := b[at]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits++
		if n < 1e18 {
			n = 10*n + uint64(c-'0')
			if point {
				exponent--
			}
		} else if !point {
			exponent++
		}
	}
	if digits == 0 {
		return 0, false
	}
	if at < len(b) {
		e, end, ok := parseInt(b, at+1)
		if b[at]|0x20 != 'e' || !ok || end != len(b) {
			return 0, false
		}
		exponent += int(max(-1000, min(e, 1000)))
	}
	for ; exponent > 0 && n != 0; exponent-- {
		if n > math.MaxInt64/10 {
			return 0, false
		}
		n *= 10
	}
	for ; exponent < -1 && n != 0; exponent++ {
		n /= 10
	}
	if exponent == -1 {
		n = (n + 5) / 10
	}
	if n > math.MaxInt64 {
		return 0, false
	}
	if negative {
		return -time.Duration(n), true
	}
	return time.Duration(n), true
}

// appendPadded appends n with zeros before it, width digits in all.
func appendPadded(b []byte, n uint64, width int) []byte {
	at := len(b)
	b = strconv.AppendUint(b, n, 10)
	if missing := width - (len(b) - at); missing > 0 {
		b = append(b, "0000000000000000000"[:missing]...)
		copy(b[at+missing:], b[at:])
		copy(b[at:], "0000000000000000000"[:missing])
	}
	return b
}

// appendExponent appends d in seconds as C's %+e has it, with more than its six
// decimals where they are needed to be exact.
func appendExponent(b []byte, d time.Duration) []byte {
	n := uint64(d)
	if d < 0 {
		n = -n
		b = append(b, '-')
	} else {
		b = append(b, '+')
	}
	at := len(b)
	b = strconv.AppendUint(b, n, 10)
	exponent := len(b) - at - 1 - 9
	if n == 0 {
		exponent = 0
	}
	b = append(b, 0)
	copy(b[at+2:], b[at+1:])
	b[at+1] = '.'
	for len(b) < at+2+6 {
		b = append(b, '0')
	}
	for len(b) > at+2+6 && b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	b = append(b, 'e', '+')
	if exponent < 0 {
		b[len(b)-1] = '-'
		exponent = -exponent
	}
	return appendPadded(b, uint64(exponent), 2)
}

// appendSeconds appends d in seconds with nine decimals.
func appendSeconds(b []byte, d time.Duration) []byte {
	n := uint64(d)
	if d < 0 {
		n = -n
		b = append(b, '-')
	}
	b = append(strconv.AppendUint(b, n/1e9, 10), '.')
	return appendPadded(b, n%1e9, 9)
}

// VILLASnode 1.x writes floats with 17 decimals, 0.3 with 6.
const (
	decimals   = 17
	decimals03 = 6
)

// appendFloat appends v as VILLASnode 1.x does, with 17 decimals; with as many
// as it takes to be exact where those are not, and an exponent where that would
// be many. From 2^-4 on they are: doubles lie further apart there than 17
// decimals do.
func appendFloat(b []byte, v float64) []byte {
	at := len(b)
	b = appendFixed(b, v, decimals)
	if v > -0x1p-4 && v < 0x1p-4 && v != 0 {
		if back, _ := strconv.ParseFloat(text(b[at:]), 64); back != v {
			form := byte('f')
			if math.Abs(v) < 1e-6 {
				form = 'e'
			}
			b = strconv.AppendFloat(b[:at], v, form, -1, 64)
		}
	}
	return b
}

// appendFixed appends v as C's %.*f has it.
func appendFixed(b []byte, v float64, decimals int) []byte {
	switch {
	case v != v:
		return append(b, "nan"...)
	case v > math.MaxFloat64:
		return append(b, "inf"...)
	case v < -math.MaxFloat64:
		return append(b, "-inf"...)
	}
	return strconv.AppendFloat(b, v, 'f', decimals, 64)
}

// appendValue appends v as villas.human and CSV have it.
func appendValue(b []byte, v Value) []byte {
	switch v.kind {
	case KindInt, KindBool:
		return strconv.AppendInt(b, int64(v.bits), 10)
	case KindComplex:
		c := v.Complex128()
		b = appendFloat(b, real(c))
		at := len(b)
		b = appendFloat(append(b, '+'), imag(c))
		if b[at+1] == '-' {
			b = append(b[:at], b[at+1:]...)
		}
		return append(b, 'i')
	}
	return appendFloat(b, v.Float64())
}

// badValue says that b is no value.
func badValue(rec *Record, b []byte) string {
	return fmt.Sprintf("value %d must be a number, is %s", len(rec.Values)+1, clip(b))
}
