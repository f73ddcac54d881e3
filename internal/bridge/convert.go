// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/sample"
)

// meaning are the flags of a sample that say which of its fields mean something.
const meaning = pair.HasOrigin | pair.HasReceived | pair.HasSequence | pair.HasData

var epoch = time.Unix(0, 0)

// toRegion makes dst the sample src, whose values are of these kinds, and returns
// how many values of it had no room. A double becomes a float, an integer one of
// 32 bits or, where it does not fit, a float; a boolean an integer; a complex number
// two floats. What src does not have is 0.
func toRegion(dst sample.Sample, src pair.Sample, kinds format.Kinds) (left int) {
	n, room, at := src.Len(), dst.Cap(), 0
	for i := range n {
		kind := kinds.Of(i, format.KindFloat)
		if at >= room || kind == format.KindComplex && at+1 >= room {
			left = n - i
			break
		}
		switch kind {
		case format.KindFloat:
			dst.SetFloat(at, src.Float(i))
		case format.KindInt:
			setInt(dst, at, src.Int(i))
		case format.KindBool:
			v := int64(0)
			if src.Bool(i) {
				v = 1
			}
			setInt(dst, at, v)
		case format.KindComplex:
			v := src.Complex(i)
			dst.SetFloat(at, float64(real(v)))
			at++
			dst.SetFloat(at, float64(imag(v)))
		}
		at++
	}
	dst.SetLen(at)
	sequence, origin, received := int32(0), epoch, epoch
	if src.Flags()&pair.HasSequence != 0 {
		sequence = int32(src.Sequence())
	}
	if src.Flags()&pair.HasOrigin != 0 {
		origin = src.Origin()
	}
	if src.Flags()&pair.HasReceived != 0 {
		received = src.Received()
	}
	dst.SetSequence(sequence)
	dst.SetOrigin(origin)
	dst.SetReceived(received)
	return left
}

func setInt(dst sample.Sample, at int, v int64) {
	if v != int64(int32(v)) || !dst.SetInt(at, int32(v)) {
		dst.SetFloat(at, float64(v))
	}
}

// toPair makes dst the sample src, whose values are to be of these kinds, or where
// none are told of those that src has, and returns how many values of it had no room.
func toPair(dst pair.Sample, src sample.Sample, kinds format.Kinds) (left int) {
	n, room, i := src.Len(), dst.Cap(), 0
	for at := 0; at < n; at, i = at+1, i+1 {
		if i == room {
			left = n - at
			break
		}
		own := format.KindFloat
		if src.IsInt(at) {
			own = format.KindInt
		}
		switch kinds.Of(i, own) {
		case format.KindFloat:
			dst.SetFloat(i, src.Float(at))
		case format.KindInt:
			dst.SetInt(i, src.Int(at))
		case format.KindBool:
			dst.SetBool(i, src.Float(at) != 0)
		case format.KindComplex:
			v := complex(float32(src.Float(at)), 0)
			if at+1 < n {
				at++
				v = complex(real(v), float32(src.Float(at)))
			}
			dst.SetComplex(i, v)
		}
	}
	dst.SetLen(i)
	dst.SetSequence(uint64(uint32(src.Sequence())))
	if t := src.Origin(); !t.Equal(epoch) {
		dst.SetOrigin(t)
	}
	if t := src.Received(); !t.Equal(epoch) {
		dst.SetReceived(t)
	}
	return left
}

// A memory remembers what a region has no place for of the samples that went into
// it: the upper half of the sequence number, and flags such as the begin of a frame.
// A sample that comes back has the same lower half and the same origin. Safe for
// concurrent use.
type memory struct {
	mu   sync.Mutex
	ring []remembered
}

type remembered struct {
	sequence uint64
	origin   time.Time
	flags    pair.Flags
}

// newMemory makes a memory of at least the last n samples.
func newMemory(n int) *memory {
	return &memory{ring: make([]remembered, 1<<bits.Len(uint(min(max(n, 1), math.MaxInt32))-1))}
}

func (m *memory) at(sequence uint32) *remembered { return &m.ring[int(sequence)&(len(m.ring)-1)] }

// keep remembers s.
func (m *memory) keep(s pair.Sample) {
	if s.Flags()&pair.HasSequence == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.at(uint32(s.Sequence())) = remembered{s.Sequence(), s.Origin(), s.Flags() &^ meaning}
}

// restore gives s, which came back, what is remembered of it.
func (m *memory) restore(s pair.Sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.at(uint32(s.Sequence())); uint32(r.sequence) == uint32(s.Sequence()) && r.origin.Equal(s.Origin()) {
		s.SetSequence(r.sequence)
		s.SetFlags(s.Flags() | r.flags)
	}
}
