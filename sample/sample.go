// SPDX-License-Identifier: Apache-2.0

// Package sample is the unit of exchange: a sequence number, three timestamps
// and up to capacity values of four bytes each, floats or integers, in a block
// of a pool that both sides map.
//
// A sample is counted: [Alloc] gives it one reference, [Sample.Get] adds one,
// [Sample.Put] removes one, and the last Put returns the block to its pool.
// Writing a sample to the other side hands one reference over with it.
//
// References may be taken and dropped from any goroutine. The contents belong
// to whoever holds the sample: concurrent access to them needs the usual care.
// No sample may be used after its last Put, or after its region was closed.
package sample

import (
	"math"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/queue"
)

// Sample is a reference to a sample in shared memory. Copying a Sample copies
// the reference without counting it. The zero Sample refers to none.
type Sample struct {
	addr uintptr
	pool *pool.View
}

// At makes a Sample of the block at address addr of pool p, which must be one
// ([pool.Blocks.Contains]).
func At(addr uintptr, p *pool.View) Sample { return Sample{addr, p} }

// Addr is the address of the sample in this process.
func (s Sample) Addr() uintptr { return s.addr }

// IsZero reports whether s refers to no sample.
func (s Sample) IsZero() bool { return s.addr == 0 }

// Pool returns the pool that s belongs to.
func (s Sample) Pool() *pool.View { return s.pool }

// Alloc takes up to len(dst) samples from p and returns how many it got: fewer,
// down to 0, when the pool runs out. Each has one reference, length 0, all its
// values floats. It never blocks.
func Alloc(p *pool.View, dst []Sample) int {
	got, capacity := take(p, dst), capacityOf(p.Size())
	for _, s := range dst[:got] {
		Init(p.Addr(), s.addr, capacity)
		word.Set32(s.addr+offLength, 0)
	}
	return got
}

// take fetches free blocks. Where it is one there is no loop and no call.
func take(p *pool.View, dst []Sample) (done int) {
	if stash.count.Load() != 0 {
		bringHome()
	}
	free := *p.Queue()
	if len(dst) == 1 {
		cell, pos, ok := free.ClaimOne(queue.Head)
		if !ok {
			return 0
		}
		addr := free.Empty(cell, pos)
		if !p.Hold(addr) {
			return 0
		}
		dst[0] = Sample{addr, p}
		return 1
	}
	for done < len(dst) {
		pos, got := free.Claim(queue.Head, uint64(len(dst)-done))
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			if addr := free.Take(pos); p.Hold(addr) {
				dst[done] = Sample{addr, p}
				done++
			}
		}
	}
	return done
}

// Get adds a reference and returns the new count, or -1 if s has none left.
func (s Sample) Get() int { return int(CountOf(s.addr).Acquire()) }

// Put removes a reference and returns the new count; at 0 the block is back in
// the pool. On a sample without references it changes nothing and returns -1.
func (s Sample) Put() int {
	if c := CountOf(s.addr); !c.DropLast() {
		if n := c.Drop(); n != 0 {
			return int(n)
		}
	}
	if p := s.pool; p.Unhold(s.addr) && stash.count.Load() == 0 {
		free := *p.Queue()
		if cell, pos, ok := free.ClaimOne(queue.Tail); ok {
			free.Fill(cell, pos, s.addr)
			return 0
		}
	}
	GiveBack(s.pool, s.addr)
	return 0
}

// PutAll removes a reference of each sample. Many samples of one pool that are
// released go back to it by one claim.
func PutAll(samples []Sample) {
	if len(samples) == 1 {
		samples[0].Put()
		return
	}
	for i := 0; i < len(samples); {
		var b Batch
		p := samples[i].pool
		for ; i < len(samples) && samples[i].pool == p && b.waiting < uint64(len(b.ready)); i++ {
			b.waiting = b.drop(p, samples[i].addr, OffRefcnt, false, b.waiting)
		}
		giveBackAll(p, &b)
	}
}

// Refs returns the number of references.
func (s Sample) Refs() int { return int(int32(word.Load32(s.addr + OffRefcnt))) }

// Cap returns the number of values that s has room for.
func (s Sample) Cap() int { return int(capacityOf(s.pool.Size())) }

// CapacityOf is the number of values that samples in blocks of size bytes have
// room for.
func CapacityOf(size uint64) int { return int(capacityOf(size)) }

// Len returns the number of values in s, at most [Sample.Cap].
func (s Sample) Len() int { return int(Length(s.addr, s.pool.Size())) }

// SetLen sets the number of values. It panics if n is negative or above
// [Sample.Cap].
func (s Sample) SetLen(n int) {
	if n < 0 || n > s.Cap() {
		panic("sample: length out of range")
	}
	word.Set32(s.addr+offLength, uint32(n))
}

// Sequence returns the sequence number.
func (s Sample) Sequence() int32 { return int32(word.Get32(s.addr + offSequence)) }

// SetSequence sets the sequence number.
func (s Sample) SetSequence(n int32) { word.Set32(s.addr+offSequence, uint32(n)) }

// Values returns the values as they lie in shared memory, without a copy: Len
// elements, writable, valid as long as s. Integer values show as the floats of
// the same bits; see [Sample.IsInt] and [Sample.Ints].
func (s Sample) Values() []float32 {
	return unsafe.Slice((*float32)(word.At(s.addr+HeadSize)), s.Len())
}

// Ints returns the same memory as [Sample.Values] as integers.
func (s Sample) Ints() []int32 {
	return unsafe.Slice((*int32)(word.At(s.addr+HeadSize)), s.Len())
}

// SetValues makes values the values of s, as floats, and returns how many there
// was room for.
func (s Sample) SetValues(values []float32) int {
	s.SetLen(min(len(values), s.Cap()))
	word.Set64(s.addr+offFormat, 0)
	return copy(s.Values(), values)
}

// IsInt reports whether value i is an integer. Only values 0 to 63 can be.
func (s Sample) IsInt(i int) bool { return Format(s.addr, int64(i)) == 1 }

// SetIsInt marks value i as an integer or a float and reports whether it could:
// i must be 0 to 63, or integer false.
func (s Sample) SetIsInt(i int, integer bool) bool {
	return SetFormat(s.addr, int64(i), integer) || !integer
}

// value is value i, which must be below [Sample.Cap], or it panics. It does not go
// by the length: the other side may change that between a look and the use.
func (s Sample) value(i int) (uintptr, uint32) {
	if uint(i) >= uint(s.Cap()) {
		panic("sample: value out of range")
	}
	a := s.addr + HeadSize + uintptr(i)*layout.ValueSize
	return a, word.Get32(a)
}

// Float returns value i, below [Sample.Cap], as a number, converted if it is an
// integer.
func (s Sample) Float(i int) float64 {
	_, v := s.value(i)
	if s.IsInt(i) {
		return float64(int32(v))
	}
	return float64(math.Float32frombits(v))
}

// SetFloat sets value i, below [Sample.Cap]. It does not change the length.
func (s Sample) SetFloat(i int, v float64) {
	a, _ := s.value(i)
	word.Set32(a, math.Float32bits(float32(v)))
	s.SetIsInt(i, false)
}

// Int returns value i, below [Sample.Cap], as an integer, a float's rounded to the
// nearest.
func (s Sample) Int(i int) int64 {
	_, v := s.value(i)
	if s.IsInt(i) {
		return int64(int32(v))
	}
	return int64(math.RoundToEven(float64(math.Float32frombits(v))))
}

// SetInt sets value i, below [Sample.Cap], to an integer and reports whether it
// could be marked as one: i up to 63. It does not change the length.
func (s Sample) SetInt(i int, v int32) bool {
	a, _ := s.value(i)
	word.Set32(a, uint32(v))
	return s.SetIsInt(i, true)
}

// Origin is when the values were made, with nanoseconds. A zero timestamp is the Unix
// epoch.
func (s Sample) Origin() time.Time { return s.time(offOrigin) }

// Received is when the node got the sample.
func (s Sample) Received() time.Time { return s.time(offReceived) }

// Sent is when the sample was sent on.
func (s Sample) Sent() time.Time { return s.time(offSent) }

// SetOrigin sets [Sample.Origin].
func (s Sample) SetOrigin(t time.Time) { s.setTime(offOrigin, t) }

// SetReceived sets [Sample.Received].
func (s Sample) SetReceived(t time.Time) { s.setTime(offReceived, t) }

// SetSent sets [Sample.Sent].
func (s Sample) SetSent(t time.Time) { s.setTime(offSent, t) }

const offNsec = unsafe.Offsetof(layout.Timespec{}.Nsec)

func (s Sample) time(off uintptr) time.Time {
	return time.Unix(int64(word.Get64(s.addr+off)), int64(word.Get64(s.addr+off+offNsec)))
}

func (s Sample) setTime(off uintptr, t time.Time) {
	word.Set64(s.addr+off, uint64(t.Unix()))
	word.Set64(s.addr+off+offNsec, uint64(t.Nanosecond()))
}

// CopyFrom copies sequence, timestamps, format and as many values as fit from
// src. References, capacity and pool of s stay.
func (s Sample) CopyFrom(src Sample) {
	n := CopyHead(s.addr, src.addr, s.pool.Size(), src.pool.Size())
	to, from := word.At(s.addr+HeadSize), word.At(src.addr+HeadSize)
	copy(unsafe.Slice((*byte)(to), n), unsafe.Slice((*byte)(from), n))
}
