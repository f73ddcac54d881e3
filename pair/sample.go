// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"math"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
)

// Flags say which fields of a sample mean something. A VILLASnode ignores a field
// without its flag. The setters of [Sample] set them.
type Flags int32

const (
	HasOrigin     Flags = layout.HasOrigin
	HasReceived   Flags = layout.HasReceived
	HasOffset     Flags = layout.HasOffset
	HasSequence   Flags = layout.HasSequence
	HasData       Flags = layout.HasData
	NewFrame      Flags = layout.NewFrame      // the first sample of a frame
	NewSimulation Flags = layout.NewSimulation // the first sample after a simulator's start
)

// Sample is a reference to a sample in shared memory: a sequence number, two
// timestamps and values of eight bytes each. Copying a Sample copies the reference
// without counting it. The zero Sample refers to none.
//
// References may be taken and dropped from any goroutine. The contents belong to
// whoever holds the sample. No sample may be used after its last Put, or after its
// pair was closed.
type Sample struct{ ref sample.Sample }

// At makes a Sample of the block at address addr of pool p, which must be one
// ([pool.Blocks.Contains]).
func At(addr uintptr, p *pool.View) Sample { return Sample{sample.At(addr, p)} }

// Addr is the address of the sample in this process.
func (s Sample) Addr() uintptr { return s.ref.Addr() }

// IsZero reports whether s refers to no sample.
func (s Sample) IsZero() bool { return s.ref.IsZero() }

// Pool returns the pool that s belongs to.
func (s Sample) Pool() *pool.View { return s.ref.Pool() }

func (s Sample) head() *layout.SampleG { return (*layout.SampleG)(word.At(s.Addr())) }

func (s Sample) count() sample.Count { return sample.Count(s.Addr() + sample.OffRefcntG) }

// Get adds a reference and returns the new count, or -1 if s has none left.
func (s Sample) Get() int { return int(s.count().Acquire()) }

// Put removes a reference and returns the new count; at 0 the block is back in the
// pool. On a sample without references it changes nothing and returns -1.
func (s Sample) Put() int {
	n := s.count().Drop()
	if n == 0 {
		sample.GiveBack(s.Pool(), s.Addr())
	}
	return int(n)
}

// PutAll removes a reference of each sample.
func PutAll(samples []Sample) {
	for _, s := range samples {
		s.Put()
	}
}

// Refs returns the number of references.
func (s Sample) Refs() int { return int(int32(word.Load32(uintptr(s.count())))) }

// Cap returns the number of values that s has room for.
func (s Sample) Cap() int { return int(sample.CapacityG(s.Pool().Size())) }

// Len returns the number of values in s, at most [Sample.Cap].
func (s Sample) Len() int { return int(sample.LengthG(s.Addr(), s.Pool().Size())) }

// SetLen sets the number of values, and HasData if there are any. It panics if n is
// negative or above [Sample.Cap].
func (s Sample) SetLen(n int) {
	if n < 0 || n > s.Cap() {
		panic("pair: length out of range")
	}
	s.head().Length = uint32(n)
	s.mark(HasData, n > 0)
}

// Flags returns all flags.
func (s Sample) Flags() Flags { return Flags(s.head().Flags) }

// SetFlags sets all flags. The other setters do what is needed for their fields.
func (s Sample) SetFlags(f Flags) { s.head().Flags = int32(f) }

func (s Sample) mark(f Flags, on bool) {
	if on {
		s.SetFlags(s.Flags() | f)
	} else {
		s.SetFlags(s.Flags() &^ f)
	}
}

// Sequence returns the sequence number, which is valid with HasSequence.
func (s Sample) Sequence() uint64 { return s.head().Sequence }

// SetSequence sets the sequence number and HasSequence.
func (s Sample) SetSequence(n uint64) {
	s.head().Sequence = n
	s.mark(HasSequence, true)
}

// Origin is when the values were made, with nanoseconds, valid with HasOrigin. A
// zero timestamp is the Unix epoch.
func (s Sample) Origin() time.Time { return stamp(s.head().Origin) }

// SetOrigin sets the origin timestamp and HasOrigin.
func (s Sample) SetOrigin(t time.Time) {
	s.head().Origin = timespec(t)
	s.mark(HasOrigin, true)
}

// Received is when a node received the values, valid with HasReceived.
func (s Sample) Received() time.Time { return stamp(s.head().Received) }

// SetReceived sets the received timestamp and HasReceived.
func (s Sample) SetReceived(t time.Time) {
	s.head().Received = timespec(t)
	s.mark(HasReceived, true)
}

func stamp(t layout.Timespec) time.Time { return time.Unix(t.Sec, t.Nsec) }

func timespec(t time.Time) layout.Timespec {
	return layout.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// Bits returns the values as they lie in shared memory, without a copy: Len
// elements, writable, valid as long as s. What each of them is, nobody tells: the
// VILLASnode has it in the signals of its configuration. The other side may change
// the length while s is held: index within the slice that was returned.
func (s Sample) Bits() []uint64 {
	return unsafe.Slice((*uint64)(word.At(s.Addr()+sample.HeadSizeG)), s.Len())
}

// Floats returns the same memory as [Sample.Bits] as doubles.
func (s Sample) Floats() []float64 {
	return unsafe.Slice((*float64)(word.At(s.Addr()+sample.HeadSizeG)), s.Len())
}

// Ints returns the same memory as [Sample.Bits] as integers.
func (s Sample) Ints() []int64 {
	return unsafe.Slice((*int64)(word.At(s.Addr()+sample.HeadSizeG)), s.Len())
}

// value is where value i is, which must be below [Sample.Cap], or it panics. It does
// not go by the length: the other side may change that between a look and the use.
func (s Sample) value(i int) uintptr {
	if uint(i) >= uint(s.Cap()) {
		panic("pair: value out of range")
	}
	return s.Addr() + sample.HeadSizeG + uintptr(i)*layout.ValueSizeG
}

// Float returns value i, below [Sample.Cap], a double. These and the following do
// not change the length.
func (s Sample) Float(i int) float64 { return math.Float64frombits(word.Get64(s.value(i))) }

// SetFloat makes value i a double.
func (s Sample) SetFloat(i int, v float64) { word.Set64(s.value(i), math.Float64bits(v)) }

// Int returns value i, an integer.
func (s Sample) Int(i int) int64 { return int64(word.Get64(s.value(i))) }

// SetInt makes value i an integer.
func (s Sample) SetInt(i int, v int64) { word.Set64(s.value(i), uint64(v)) }

// Bool returns value i, a boolean.
func (s Sample) Bool(i int) bool { return byte(word.Get64(s.value(i))) != 0 }

// SetBool makes value i a boolean.
func (s Sample) SetBool(i int, v bool) {
	bits := uint64(0)
	if v {
		bits = 1
	}
	word.Set64(s.value(i), bits)
}

// Complex returns value i, a complex number.
func (s Sample) Complex(i int) complex64 {
	b := word.Get64(s.value(i))
	return complex(math.Float32frombits(uint32(b)), math.Float32frombits(uint32(b>>32)))
}

// SetComplex makes value i a complex number.
func (s Sample) SetComplex(i int, v complex64) {
	word.Set64(s.value(i), uint64(math.Float32bits(real(v)))|uint64(math.Float32bits(imag(v)))<<32)
}

// SetFloats makes values the values of s and returns how many there was room for.
func (s Sample) SetFloats(values []float64) int {
	s.SetLen(min(len(values), s.Cap()))
	return copy(s.Floats(), values)
}

// CopyFrom makes s a copy of src, with the values that there is room for.
// References, capacity and pool of s stay.
func (s Sample) CopyFrom(src Sample) {
	n := sample.CopyHeadG(s.Addr(), src.Addr(), s.Pool().Size(), src.Pool().Size())
	to, from := word.At(s.Addr()+sample.HeadSizeG), word.At(src.Addr()+sample.HeadSizeG)
	copy(unsafe.Slice((*byte)(to), n), unsafe.Slice((*byte)(from), n))
}
