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
// handler interrupted to release the block, or of a thread that has no CPU.
// Waiting for it could be for ever; the original loses the block. The next
// release or allocation of this process brings stashed blocks home.
var (
	stash   [64]uintptr
	stashed uint32 // entries in use; 0 is the common case and all that is looked at
)

// keep puts the sample at address s into the stash; false if it is full.
//
//go:nosplit
//go:norace
func keep(s uintptr) bool {
	for i := uintptr(0); i < uintptr(len(stash)); i++ {
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
		return n + C.VX_STASHED
	}
	return n
}

//go:nosplit
//go:norace
func sampleBringHome() { emptyStash(0, 0) }

// emptyStash takes each sample out of the stash and releases it, or puts it back
// where it cannot yet; those in the size bytes from start are forgotten.
//
//go:nosplit
//go:norace
func emptyStash(start, size uintptr) {
	for i := uintptr(0); i < uintptr(len(stash)); i++ {
		slot := addr(&stash) + 8*i
		s := uintptr(word.Load64(slot))
		if s == 0 || !word.CompareAndSwap64(slot, uint64(s), 0) {
			continue
		}
		adjust(^uint32(0))
		if s-start < size {
			continue
		}
		var own pool.View
		if p := homeOf(s, &own); p != nil && !p.Release(s) { // a single look: it is likely as before
			keep(s)
		}
	}
}

//go:nosplit
//go:norace
func sampleStash(s uintptr) int64 { return truth(keep(s)) }

// sampleStashRest puts what a batch could not release into the stash and lets
// it go on.
//
//go:nosplit
//go:norace
func sampleStashRest(progress uintptr) int64 {
	b := (*sample.Batch)(word.At(progress))
	for {
		s := b.Waiting()
		if s == 0 {
			return 1
		}
		if !keep(s) {
			return 0
		}
		b.Settle()
	}
}

var _ [unsafe.Sizeof(uintptr(0)) - 8]struct{} // slots are words of 64 bits
