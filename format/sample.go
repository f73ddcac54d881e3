// SPDX-License-Identifier: Apache-2.0

package format

import (
	"math"
	"time"

	"github.com/villas-ext/villas-ext/sample"
)

// Store makes s the sample that rec describes and returns how many values had to
// be left out because s has no room for them.
//
// Values become float32, integers and booleans int32. An integer that does not
// fit an int32, or beyond the 64 values that a sample can mark, becomes the nearest
// float32; of a complex value the real part stays. The sequence number is taken
// modulo 2^32. Without an offset the time of receipt is 0; so is that of sending.
func (rec *Record) Store(s sample.Sample) (dropped int) {
	n := min(len(rec.Values), s.Cap())
	s.SetLen(n)
	for i, v := range rec.Values[:n] {
		if k := v.Int64(); (v.kind == KindInt || v.kind == KindBool) && k == int64(int32(k)) && s.SetInt(i, int32(k)) {
			continue
		}
		s.SetFloat(i, v.Float64())
	}
	s.SetSequence(int32(rec.Sequence))
	origin := time.Unix(rec.Sec, rec.Nsec)
	s.SetOrigin(origin)
	if rec.HasOffset {
		s.SetReceived(origin.Add(rec.Offset))
	} else {
		s.SetReceived(time.Unix(0, 0))
	}
	s.SetSent(time.Unix(0, 0))
	return len(rec.Values) - n
}

// Load makes rec describe s, reusing its memory. There is an offset if s has a
// time of receipt.
func (rec *Record) Load(s sample.Sample) {
	origin, received := s.Origin(), s.Received()
	*rec = Record{
		Sec: origin.Unix(), Nsec: int64(origin.Nanosecond()),
		Sequence: uint64(uint32(s.Sequence())), HasSequence: true,
		Values: rec.Values[:0],
	}
	if !received.Equal(time.Unix(0, 0)) {
		rec.Offset, rec.HasOffset = received.Sub(origin), true
	}
	ints := s.Ints()
	for i, bits := range ints {
		if s.IsInt(i) {
			rec.Values = append(rec.Values, Int(int64(bits)))
		} else {
			rec.Values = append(rec.Values, Float(float64(math.Float32frombits(uint32(bits)))))
		}
	}
}

// Floats makes every integer and boolean in rec a float. Many programs take each
// value of a sample for a float, as the original's examples do, and text that
// people write says 5 where it means 5.0.
func (rec *Record) Floats() {
	for i, v := range rec.Values {
		if v.kind == KindInt || v.kind == KindBool {
			rec.Values[i] = Float(v.Float64())
		}
	}
}
