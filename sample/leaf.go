// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
)

// The leaves of this file work on samples of layout A by address. C reaches
// them without entering the Go runtime (see package word); the Go API stands on
// the same ones.

const (
	// HeadSize is the size in bytes of a sample without values.
	HeadSize = unsafe.Sizeof(layout.Sample{})

	offSequence = unsafe.Offsetof(layout.Sample{}.Sequence)
	offLength   = unsafe.Offsetof(layout.Sample{}.Length)
	offCapacity = unsafe.Offsetof(layout.Sample{}.Capacity)
	offPoolOff  = unsafe.Offsetof(layout.Sample{}.PoolOff)
	offSource   = unsafe.Offsetof(layout.Sample{}.Source)
	offOrigin   = unsafe.Offsetof(layout.Sample{}.Origin)
	offReceived = unsafe.Offsetof(layout.Sample{}.Received)
	offSent     = unsafe.Offsetof(layout.Sample{}.Sent)
	offFormat   = unsafe.Offsetof(layout.Sample{}.Format)

	// OffRefcnt is where the [Count] of a sample stands.
	OffRefcnt = unsafe.Offsetof(layout.Sample{}.Refcnt)

	// FormatBits is the number of values whose format a sample can tell.
	FormatBits = 64
)

// capacityOf is the number of values that a block of size bytes has room for.
//
//go:nosplit
//go:norace
func capacityOf(size uint64) uint32 {
	return uint32((size - uint64(HeadSize)) / layout.ValueSize)
}

// Init makes the block at address s of the struct pool at address home a sample
// with one reference, format 0 and room for capacity values.
//
//go:nosplit
//go:norace
func Init(home, s uintptr, capacity uint32) {
	word.Set32(s+offCapacity, capacity)
	word.Set32(s+OffRefcnt, 1)
	word.Set64(s+offPoolOff, uint64(home-s))
	word.Set64(s+offFormat, 0)
}

// InitMany is [Init] for the n blocks whose addresses lie at address ss.
//
//go:nosplit
//go:norace
func InitMany(home, ss uintptr, n uint64, capacity uint32) {
	for i := uint64(0); i < n; i++ {
		Init(home, uintptr(word.Get64(ss+uintptr(i)*8)), capacity)
	}
}

// PoolAddr is the address of the struct pool that the sample at address s says
// it belongs to.
//
//go:nosplit
//go:norace
func PoolAddr(s uintptr) uintptr { return s + uintptr(word.Get64(s+offPoolOff)) }

// releaseAttempts bounds how often a release looks again for a place in the
// pool's queue. There is always one for each block; it can only be late, while
// another thread stands between the claim and the end of an allocation.
const releaseAttempts = 256

// Release gives the block at address s, without references, back to p. It
// returns false if the place for it is still taken by an allocation under way:
// let the other thread run, then try again.
//
//go:nosplit
//go:norace
func Release(p *pool.View, s uintptr) bool {
	for range releaseAttempts {
		if p.Release(s) {
			return true
		}
	}
	return false
}

// Batch is the progress of a release of many: [Batch.Drop] and [Batch.Release] in
// turn. It begins with zeros in all but ready.
type Batch struct {
	next     uint64 // samples before this one have been dropped
	waiting  uint64 // of those in ready
	Released uint64 // blocks given back so far
	ready    [64]uintptr
}

// place is the address of an element of ready.
//
//go:nosplit
//go:norace
func (b *Batch) place(i uint64) uintptr {
	return uintptr(unsafe.Pointer(&b.ready)) + uintptr(i)*unsafe.Sizeof(b.ready[0])
}

// Next is the index of the next sample to drop.
//
//go:nosplit
//go:norace
func (b *Batch) Next() uint64 { return b.next }

// Skip leaves that sample alone.
//
//go:nosplit
//go:norace
func (b *Batch) Skip() { b.next++ }

// Drop goes on among the n samples whose addresses lie at address ss and whose
// [Count] stands count bytes behind: drops a reference of each, or all of them
// where whatever is set, until it comes to one that is not of pool p, or as many
// wait for their release as b has room for.
//
//go:nosplit
//go:norace
func (b *Batch) Drop(p *pool.View, ss uintptr, n uint64, count uintptr, whatever bool) {
	next, waiting := b.next, b.waiting
	for next < n && waiting < uint64(len(b.ready)) {
		s := uintptr(word.Get64(ss + uintptr(next)*8))
		if !p.Contains(s) {
			break
		}
		next++
		waiting = b.drop(p, s, count, whatever, waiting)
	}
	b.next, b.waiting = next, waiting
}

// drop does that for one sample of p, of which there is room for: waiting wait for
// their release before it, and as many as it returns with it.
//
//go:nosplit
//go:norace
func (b *Batch) drop(p *pool.View, s, count uintptr, whatever bool, waiting uint64) uint64 {
	if c := Count(s + count); whatever && c.Clear() || !whatever && (c.DropLast() || c.Drop() == 0) {
		if p.Held() != 0 {
			p.Unhold(s)
		}
		word.Set64(b.place(waiting), uint64(s))
		waiting++
	}
	return waiting
}

// Release gives the blocks that wait for it back to p, many by one claim. It
// returns false where [Release] would: call it again.
//
//go:nosplit
//go:norace
func (b *Batch) Release(p *pool.View) bool {
	for range releaseAttempts {
		got := p.Queue().PushMany(b.place(0), b.waiting)
		b.Released += got
		b.waiting -= got
		if b.waiting == 0 {
			return true
		}
		for i := uint64(0); i < b.waiting; i++ {
			word.Set64(b.place(i), word.Get64(b.place(i+got)))
		}
	}
	return false
}

// Waiting is the address of a sample that waits for its release, 0 if none does.
//
//go:nosplit
//go:norace
func (b *Batch) Waiting() uintptr {
	if b.waiting == 0 {
		return 0
	}
	return uintptr(word.Get64(b.place(b.waiting - 1)))
}

// Settle strikes that sample off: somebody else has taken care of it.
//
//go:nosplit
//go:norace
func (b *Batch) Settle() {
	b.waiting--
	b.Released++
}

// CopyHead copies all fields of the sample at address src to dst but dst's
// references, capacity and pool, clamps the length to the room for values that
// both blocks have, and returns the bytes of values that the caller must copy
// behind [HeadSize]. Sizes are those of the blocks, 0 where unknown: then the
// sample's own capacity counts.
//
//go:nosplit
//go:norace
func CopyHead(dst, src uintptr, dstSize, srcSize uint64) uint64 {
	n := min(Length(src, srcSize), Capacity(dst, dstSize))
	word.Set32(dst+offSequence, word.Get32(src+offSequence))
	word.Set32(dst+offLength, n)
	for i := offSource; i < HeadSize; i += 8 { // source, timestamps, format
		word.Set64(dst+i, word.Get64(src+i))
	}
	return uint64(n) * layout.ValueSize
}

// Capacity is the number of values that the sample at address s has room for:
// what its block of size bytes allows, its own word where size is 0.
//
//go:nosplit
//go:norace
func Capacity(s uintptr, size uint64) uint32 {
	n := word.Get32(s + offCapacity)
	if size == 0 {
		return uint32(max(int32(n), 0))
	}
	return min(n, capacityOf(size))
}

// Length is the number of values in the sample at address s, at most its
// [Capacity].
//
//go:nosplit
//go:norace
func Length(s uintptr, size uint64) uint32 {
	n := int32(word.Get32(s + offLength))
	return min(uint32(max(n, 0)), Capacity(s, size))
}

// Receive makes the sample at address s, a block of p just pulled from the
// other side, safe to hand on: length and capacity within the block, at least
// one reference, the pool p.
//
//go:nosplit
//go:norace
func Receive(p *pool.View, s uintptr) {
	limit, home := capacityOf(p.Size()), uint64(p.Addr()-s)
	if word.Get32(s+offCapacity) > limit {
		word.Set32(s+offCapacity, limit)
	}
	if word.Get32(s+offLength) > limit {
		word.Set32(s+offLength, limit)
	}
	if int32(word.Get32(s+OffRefcnt)) < 1 {
		word.Set32(s+OffRefcnt, 1)
	}
	if word.Get64(s+offPoolOff) != home {
		word.Set64(s+offPoolOff, home)
	}
}

// SetFormat marks value i of the sample at address s as an integer or a float
// and returns true; false, and nothing changes, for i outside 0 to 63.
//
//go:nosplit
//go:norace
func SetFormat(s uintptr, i int64, integer bool) bool {
	if uint64(i) >= FormatBits {
		return false
	}
	bit := uint64(1) << (uint64(i) & 63)
	format := word.Get64(s+offFormat) &^ bit
	if integer {
		format |= bit
	}
	word.Set64(s+offFormat, format)
	return true
}

// Format returns 1 if value i of the sample at address s is an integer, 0 for a
// float, -1 for i outside 0 to 63.
//
//go:nosplit
//go:norace
func Format(s uintptr, i int64) int32 {
	if uint64(i) >= FormatBits {
		return -1
	}
	return int32(word.Get64(s+offFormat) >> (uint64(i) & 63) & 1)
}

// HandOver notes in p that the sample at address s goes to the other side, unless
// this process has more references to it. It must come before the sample can be
// pulled there.
//
//go:nosplit
//go:norace
func HandOver(p *pool.View, s uintptr) {
	if p.Held() != 0 && int32(word.Load32(s+OffRefcnt)) <= 1 {
		p.Unhold(s)
	}
}
