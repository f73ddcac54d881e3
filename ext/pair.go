// SPDX-License-Identifier: Apache-2.0

package main

// #include "leaf.h"
import "C"

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/queue"
	"github.com/villas-ext/villas-ext/sample"
)

// The leaves for pairs: objects and samples of layout G. A mapped object has a
// record as a region has, and what works on records works for both.

//go:nosplit
//go:norace
func pairSize(queuelen, samplelen int32) uint64 {
	if queuelen < 1 || samplelen < 0 {
		return 0
	}
	return pair.TotalSize(uint64(queuelen), uint64(samplelen))
}

//go:nosplit
//go:norace
func pairFormat(base, size uintptr, queuelen, samplelen, polling int32, pid uint32) int64 {
	if queuelen < 1 || samplelen < 0 {
		return einval
	}
	word.Allow(base, size)
	fault := pair.Format(base, size, uint64(queuelen), uint64(samplelen), polling != 0, pid)
	word.Forbid(base)
	return int64(fault)
}

//go:nosplit
//go:norace
func pairAttach(base, size, mapping uintptr) int64 {
	r, index, fault := takeFor(base, size)
	if fault == 0 {
		fault = pair.Attach(&r.region, base, size)
	}
	return r.attached(index, base, size, fault, mapping)
}

// pairJoin tells our own object's record of the other side's whether that knows
// only the pthread objects.
//
//go:nosplit
//go:norace
func pairJoin(own, other uintptr) {
	r := at(own)
	r.region.Legacy = at(other).region.Legacy
	legacy := uint32(0)
	if r.region.Legacy {
		legacy = 1
	}
	word.Store32(own+unsafe.Offsetof(r.c.party)+unsafe.Offsetof(r.c.party.legacy), legacy)
}

//go:nosplit
//go:norace
func pairAlloc(m, dst uintptr, n uint32) int64 {
	if dst == 0 {
		return einval
	}
	return mindStash(int64(sample.AllocManyG(&at(m).region.Pool, dst, uint64(n))))
}

// countG is the count of the layout G sample at address s, and the record of its
// object; nil if s is no block of one.
//
//go:nosplit
//go:norace
func countG(s uintptr) (sample.Count, *record) {
	r := find(s)
	if r == nil || !r.region.G || !r.region.Pool.Contains(s) {
		return 0, nil
	}
	return sample.Count(s + sample.OffRefcntG), r
}

//go:nosplit
//go:norace
func pairGet(s uintptr) int64 {
	c, r := countG(s)
	if r == nil {
		return einval
	}
	n := int64(c.Acquire())
	if n < 0 {
		return einval
	}
	return n
}

//go:nosplit
//go:norace
func pairPut(s uintptr) int64 {
	c, r := countG(s)
	if r == nil {
		return einval
	}
	if !c.DropLast() {
		n := c.Drop()
		if n > 0 {
			return int64(n)
		}
		if n < 0 {
			return einval
		}
	}
	free := *r.region.Pool.Queue()
	cell, pos, ok := free.ClaimOne(queue.Tail)
	if !ok {
		return C.VX_LATE
	}
	free.Fill(cell, pos, s)
	return mindStash(0)
}

// pairCopy copies all but the values and returns how many bytes of those there are
// to copy.
//
//go:nosplit
//go:norace
func pairCopy(dst, src uintptr) int64 {
	_, to := countG(dst)
	_, from := countG(src)
	if to == nil || from == nil {
		return einval
	}
	return int64(sample.CopyHeadG(dst, src, to.region.Pool.Size(), from.region.Pool.Size()))
}
