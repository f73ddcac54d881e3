// SPDX-License-Identifier: Apache-2.0

package format

import (
	"math"
	"strconv"
)

// Kind is what a value is.
type Kind uint8

const (
	KindFloat Kind = iota
	KindInt
	KindBool
	KindComplex
)

func (k Kind) String() string { return [...]string{"float", "integer", "boolean", "complex"}[k] }

// Value is one value: a float64, int64, bool or complex128. The zero Value is the
// float 0. Values can be compared by ==, which tells kinds and the sign of zero
// apart, and takes a NaN for itself.
type Value struct {
	bits uint64 // a float or real part by its bits, an integer, or 0 and 1
	imag uint64 // the imaginary part by its bits
	kind Kind
}

// Float, Int, Bool and Complex make values.
func Float(v float64) Value { return Value{bits: math.Float64bits(v)} }
func Int(v int64) Value     { return Value{bits: uint64(v), kind: KindInt} }
func Bool(v bool) Value {
	if v {
		return Value{bits: 1, kind: KindBool}
	}
	return Value{kind: KindBool}
}
func Complex(v complex128) Value {
	return Value{math.Float64bits(real(v)), math.Float64bits(imag(v)), KindComplex}
}

// Kind tells what v is.
func (v Value) Kind() Kind { return v.kind }

// Float64 is v as a float: an integer converted, a boolean as 0 or 1, the real
// part of a complex number.
func (v Value) Float64() float64 {
	switch v.kind {
	case KindInt, KindBool:
		return float64(int64(v.bits))
	}
	return math.Float64frombits(v.bits)
}

// Int64 is v as an integer: a float or real part rounded to the nearest, the even
// one of two, and held within what an int64 can be; 0 for a NaN.
func (v Value) Int64() int64 {
	if v.kind == KindInt || v.kind == KindBool {
		return int64(v.bits)
	}
	switch f := math.RoundToEven(v.Float64()); {
	case f >= 1<<63:
		return math.MaxInt64
	case f < -1<<63:
		return math.MinInt64
	case f != f:
		return 0
	default:
		return int64(f)
	}
}

// Bool is whether v is not 0.
func (v Value) Bool() bool { return v.Complex128() != 0 }

// Complex128 is v as a complex number.
func (v Value) Complex128() complex128 {
	return complex(v.Float64(), math.Float64frombits(v.imag))
}

// String is the shortest text that tells v exactly.
func (v Value) String() string {
	switch v.kind {
	case KindInt, KindBool:
		return strconv.FormatInt(int64(v.bits), 10)
	case KindComplex:
		text := strconv.FormatComplex(v.Complex128(), 'g', -1, 128)
		return text[1 : len(text)-1]
	}
	return strconv.FormatFloat(v.Float64(), 'g', -1, 64)
}
