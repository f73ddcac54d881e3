// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
)

// The leaves of this file work on samples of layout G by address, as those of
// leaf.go do on layout A's. Counting and releasing are the same for both.

const (
	// HeadSizeG is the size in bytes of a layout G sample without values.
	HeadSizeG = unsafe.Sizeof(layout.SampleG{})

	// OffRefcntG is where the [Count] of a layout G sample stands.
	OffRefcntG = unsafe.Offsetof(layout.SampleG{}.Refcnt)

	offSequenceG = unsafe.Offsetof(layout.SampleG{}.Sequence)
	offLengthG   = unsafe.Offsetof(layout.SampleG{}.Length)
	offCapacityG = unsafe.Offsetof(layout.SampleG{}.Capacity)
	offFlagsG    = unsafe.Offsetof(layout.SampleG{}.Flags)
	offSignalsG  = unsafe.Offsetof(layout.SampleG{}.Signals)
	offPoolOffG  = unsafe.Offsetof(layout.SampleG{}.PoolOff)
	offOriginG   = unsafe.Offsetof(layout.SampleG{}.Origin)
)

// CapacityG is the number of values that a block of size bytes has room for.
//
//go:nosplit
//go:norace
func CapacityG(size uint64) uint32 { return uint32((size - uint64(HeadSizeG)) / layout.ValueSizeG) }

// AllocManyG is [AllocMany] for layout G: no values, no flags and no signals.
//
//go:nosplit
//go:norace
func AllocManyG(p *pool.View, dst uintptr, n uint64) uint64 {
	got := p.GetMany(dst, n)
	for i := uint64(0); i < got; i++ {
		initializeG(p, uintptr(word.Get64(dst+uintptr(i)*8)))
	}
	return got
}

// AllocG is [Alloc] for layout G.
func AllocG(p *pool.View, dst []Sample) int {
	got := take(p, dst)
	for _, s := range dst[:got] {
		initializeG(p, s.addr)
	}
	return got
}

//go:nosplit
//go:norace
func initializeG(p *pool.View, s uintptr) {
	word.Set32(s+offLengthG, 0)
	word.Set32(s+offCapacityG, CapacityG(p.Size()))
	word.Set32(s+offFlagsG, 0)
	word.Set32(s+OffRefcntG, 1)
	word.Set64(s+offPoolOffG, uint64(p.Addr()-s))
	SealG(s)
}

// SealG makes the sample at address s fit to be sent: a pointer where a
// VILLASnode keeps the signals would be followed there.
//
//go:nosplit
//go:norace
func SealG(s uintptr) {
	word.Set64(s+offSignalsG, 0)
	word.Set64(s+offSignalsG+8, 0)
}

// ReceiveG makes the sample at address s, a block of p just pulled from the
// other side, safe to hand on: length and capacity within the block, at least
// one reference, the pool p.
//
//go:nosplit
//go:norace
func ReceiveG(p *pool.View, s uintptr) {
	limit, home := CapacityG(p.Size()), uint64(p.Addr()-s)
	if word.Get32(s+offCapacityG) > limit {
		word.Set32(s+offCapacityG, limit)
	}
	if word.Get32(s+offLengthG) > limit {
		word.Set32(s+offLengthG, limit)
	}
	if int32(word.Get32(s+OffRefcntG)) < 1 {
		word.Set32(s+OffRefcntG, 1)
	}
	if word.Get64(s+offPoolOffG) != home {
		word.Set64(s+offPoolOffG, home)
	}
}

// LengthG is the number of values in the sample at address s, which stands in a
// block of size bytes: at most as many as there is room for.
//
//go:nosplit
//go:norace
func LengthG(s uintptr, size uint64) uint32 { return min(word.Get32(s+offLengthG), CapacityG(size)) }

// CopyHeadG copies sequence, flags and timestamps of the sample at address src
// to dst, clamps the length to the room for values that both blocks have, and
// returns the bytes of values that the caller must copy behind [HeadSizeG].
// Sizes are those of the blocks.
//
//go:nosplit
//go:norace
func CopyHeadG(dst, src uintptr, dstSize, srcSize uint64) uint64 {
	n := min(LengthG(src, srcSize), CapacityG(dstSize))
	word.Set64(dst+offSequenceG, word.Get64(src+offSequenceG))
	word.Set32(dst+offLengthG, n)
	word.Set32(dst+offFlagsG, word.Get32(src+offFlagsG))
	for i := uintptr(0); i < unsafe.Sizeof(layout.Timespec{})*2; i += 8 {
		word.Set64(dst+offOriginG+i, word.Get64(src+offOriginG+i))
	}
	return uint64(n) * layout.ValueSizeG
}
