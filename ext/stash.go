// SPDX-License-Identifier: Apache-2.0

package main

// #include "leaf.h"
import "C"

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
)

// The stash keeps blocks whose place in their pool's queue is taken by an
// allocation that does not finish: that of the very thread which a signal
// handler interrupted to release the block, of a thread that has no CPU, or of
// another process that is stopped, dead or hostile. Waiting for it could be for
// ever; the original loses the block. The next release or allocation of this
// process brings stashed blocks home. What there is no room for is lost to its
// pool, until a node makes a fresh region.
var (
	stash   [4096]uintptr
	stashed uint32 // entries in use; 0 is the common case and all that is looked at
	cursor  uint32 // where the last look ended
)

// keep puts the sample at address s into the stash; false if it is full.
//
//go:nosplit
//go:norace
func keep(s uintptr) bool {
	first := uintptr(word.Load32(addr(&stashed))) // likely free
	for k := uintptr(0); k < uintptr(len(stash)); k++ {
		i := (first + k) % uintptr(len(stash))
		if word.CompareAndSwap64(addr(&stash)+8*i, 0, uint64(s)) {
			adjust(1)
			return true
		}
	}
	return false
}

//go:nosplit
//go:norace
func adjust(by uint32) {
	for {
		n := word.Load32(addr(&stashed))
		if word.CompareAndSwap32(addr(&stashed), n, n+by) {
			return
		}
	}
}

// mindStash marks the result n of a leaf if there is something in the stash: C
// then brings it home.
//
//go:nosplit
//go:norace
func mindStash(n int64) int64 {
	if word.Load32(addr(&stashed)) != 0 {
		return n - 1<<62 // VX_STASHED
	}
	return n
}

// sampleBringHome takes samples out of the stash and releases them, until some
// still cannot be.
//
//go:nosplit
//go:norace
func sampleBringHome() {
	first := uintptr(word.Load32(addr(&cursor)))
	for k, late := uintptr(0), 0; k < uintptr(len(stash)) && late < 8; k++ {
		i := (first + k) % uintptr(len(stash))
		s := unstash(i)
		if s == 0 {
			continue
		}
		var own pool.View
		if p, _ := homeOf(s, &own); p != nil && !p.Release(s) { // a single look: it is likely as before
			keep(s)
			late++
			word.Store32(addr(&cursor), uint32(i))
		}
	}
}

// forgetStashed drops what the stash keeps of the size bytes from start.
//
//go:nosplit
//go:norace
func forgetStashed(start, size uintptr) {
	for i := uintptr(0); i < uintptr(len(stash)); i++ {
		if s := unstash(i); s != 0 && s-start >= size {
			keep(s)
		}
	}
}

// unstash takes what stands at place i of the stash out of it; 0 if there is
// nothing.
//
//go:nosplit
//go:norace
func unstash(i uintptr) uintptr {
	slot := addr(&stash) + 8*i
	s := uintptr(word.Load64(slot))
	if s == 0 || !word.CompareAndSwap64(slot, uint64(s), 0) {
		return 0
	}
	adjust(^uint32(0))
	return s
}

//go:nosplit
//go:norace
func sampleStash(s uintptr) int64 { return truth(keep(s)) }

// sampleStashRest puts what a batch could not release into the stash and lets
// it go on; with whatever set also where there is no room.
//
//go:nosplit
//go:norace
func sampleStashRest(progress uintptr, whatever int32) int64 {
	b := (*sample.Batch)(word.At(progress))
	for {
		s := b.Waiting()
		if s == 0 {
			return 1
		}
		if !keep(s) && whatever == 0 {
			return 0
		}
		b.Settle()
	}
}

var _ [unsafe.Sizeof(uintptr(0)) - 8]struct{} // slots are words of 64 bits
