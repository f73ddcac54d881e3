// SPDX-License-Identifier: Apache-2.0

// Package queue is the bounded multi-producer multi-consumer queue that lies in
// shared memory between a node and an external program.
//
// # Algorithm
//
// It is Dmitry Vyukov's bounded MPMC queue (1024cores.net, "Bounded MPMC
// queue"). Positions count up for ever; position p lives in cell p & mask. A
// cell's sequence says whose turn it is:
//
//	sequence == p             free for the push at position p
//	sequence == p + 1         holds the element of position p, ready to pull
//	sequence == p + mask + 1  free again, for the push one round later
//
// tail is the position of the next push, head of the next pull. Whoever moves
// tail from p to p+n has claimed the cells p to p+n-1 for its push, whoever
// moves head has claimed them for its pull. The claimer alone touches those
// cells until it stores their next sequence, which hands them over.
//
// # Many at once
//
// A claim takes as many cells as are ready with one compare-and-swap, where the
// original takes one by one. It reads tail, counts how many cells from there on
// are free, and moves tail by that count. That is right because a free cell of
// position p can only be taken by moving tail past p: if the
// compare-and-swap finds tail unmoved, all cells counted are still free. The
// same holds for head. Programs that step one by one, built with the reference,
// mix with it on one queue.
//
// # Progress
//
// Nothing here blocks or sleeps. Under contention at least one claimer
// succeeds each round; a claim gives up, as if the queue were full or empty,
// after [claimAttempts] lost rounds, so that an other side that writes nonsense
// into positions and sequences cannot keep it for ever.
//
// All methods of [View] are leaves (see package word): C calls them without
// entering the Go runtime.
package queue

import (
	"github.com/villas-ext/villas-ext/internal/fault"
	"github.com/villas-ext/villas-ext/internal/word"
)

// claimAttempts bounds the rounds of one claim. A round is lost when another
// thread's claim succeeds in between; thousands lost in a row do not happen
// with peers that follow the algorithm.
const claimAttempts = 1 << 14

// The lag of a cell's sequence behind which a claim may take it.
const (
	lagPush = 0
	lagPull = 1
)

// claim moves the position at address counter over up to n ready cells and
// returns the first of them and how many; 0 if the next one is not ready.
//
//go:nosplit
//go:norace
func claim(cells uintptr, mask uint64, counter uintptr, lag, n uint64) (pos, got uint64) {
	for attempt := 0; attempt < claimAttempts; attempt++ {
		pos = word.Load64(counter)
		ahead := int64(word.Load64(cells+uintptr(pos&mask)*cellSize) - (pos + lag))
		if ahead < 0 {
			return pos, 0 // full or empty
		}
		if ahead > 0 {
			continue // another claimed pos since we read it
		}
		got = 1
		for got < n && word.Load64(cells+uintptr((pos+got)&mask)*cellSize) == pos+got+lag {
			got++
		}
		if word.CompareAndSwap64(counter, pos, pos+got) {
			fault.Here(fault.Push + uint32(lag))
			return pos, got
		}
	}
	return pos, 0
}

// ClaimPush reserves up to n cells for elements and returns the position of the
// first and how many it got, 0 if the queue is full. Each must be handed over
// by [View.Publish], soon: pulls cannot pass an unpublished cell.
//
//go:nosplit
//go:norace
func (v *View) ClaimPush(n uint64) (pos, got uint64) {
	return claim(v.cells, v.mask, v.tail, lagPush, n)
}

// ClaimPull reserves up to n elements and returns the position of the first and
// how many it got, 0 if the queue is empty. Each must be fetched by
// [View.Take].
//
//go:nosplit
//go:norace
func (v *View) ClaimPull(n uint64) (pos, got uint64) {
	return claim(v.cells, v.mask, v.head(), lagPull, n)
}

// Publish puts the element at address p into the claimed cell of position pos.
//
//go:nosplit
//go:norace
func (v *View) Publish(pos uint64, p uintptr) { publish(v.base, v.cells, v.mask, pos, p) }

//go:nosplit
//go:norace
func publish(base, cells uintptr, mask, pos uint64, p uintptr) {
	cell := cells + uintptr(pos&mask)*cellSize
	word.Set64(cell+offData, uint64(p-base))
	word.StoreRelease64(cell, pos+1)
}

// Take fetches the address of the element in the claimed cell of position pos
// and frees the cell. The address is what the other side wrote: check it before
// use.
//
//go:nosplit
//go:norace
func (v *View) Take(pos uint64) uintptr { return take(v.base, v.cells, v.mask, pos) }

//go:nosplit
//go:norace
func take(base, cells uintptr, mask, pos uint64) uintptr {
	cell := cells + uintptr(pos&mask)*cellSize
	p := base + uintptr(word.Get64(cell+offData))
	word.StoreRelease64(cell, pos+mask+1)
	return p
}

// Push puts one element into the queue; false if it is full.
//
//go:nosplit
//go:norace
func (v *View) Push(p uintptr) bool { return push(v.base, v.cells, v.mask, v.tail, p) }

// PushOwn is [View.Push] for a queue at address q in the caller's own memory: its
// struct is believed.
//
//go:nosplit
//go:norace
func PushOwn(q, p uintptr) bool {
	return push(q, q+uintptr(word.Get64(q+offBuf)), word.Get64(q+offMask), q+offTail, p)
}

// push has the geometry in registers, and tries a claim of one in line: half of
// what a single push costs would otherwise be calls and stores. claim takes over
// when another thread's claim came in between, or the queue is full.
//
//go:nosplit
//go:norace
func push(base, cells uintptr, mask uint64, tail, p uintptr) bool {
	pos := word.Load64(tail)
	if word.Load64(cells+uintptr(pos&mask)*cellSize) != pos || !word.CompareAndSwap64(tail, pos, pos+1) {
		got := uint64(0)
		if pos, got = claim(cells, mask, tail, lagPush, 1); got == 0 {
			return false
		}
	} else {
		fault.Here(fault.Push)
	}
	publish(base, cells, mask, pos, p)
	return true
}

// Pull takes one element out of the queue; false if it is empty.
//
//go:nosplit
//go:norace
func (v *View) Pull() (uintptr, bool) { return pull(v.base, v.cells, v.mask, v.head()) }

// PullOwn is [View.Pull] for a queue at address q in the caller's own memory.
//
//go:nosplit
//go:norace
func PullOwn(q uintptr) (uintptr, bool) {
	return pull(q, q+uintptr(word.Get64(q+offBuf)), word.Get64(q+offMask), q+offTail+headAfterTail)
}

//go:nosplit
//go:norace
func pull(base, cells uintptr, mask uint64, head uintptr) (uintptr, bool) {
	pos := word.Load64(head)
	if word.Load64(cells+uintptr(pos&mask)*cellSize) != pos+lagPull || !word.CompareAndSwap64(head, pos, pos+1) {
		got := uint64(0)
		if pos, got = claim(cells, mask, head, lagPull, 1); got == 0 {
			return 0, false
		}
	} else {
		fault.Here(fault.Pull)
	}
	return take(base, cells, mask, pos), true
}

// PushMany puts up to n elements, whose addresses lie at address ps, into the
// queue and returns how many went in.
//
//go:nosplit
//go:norace
func (v *View) PushMany(ps uintptr, n uint64) uint64 {
	done := uint64(0)
	for done < n {
		pos, got := v.ClaimPush(n - done)
		if got == 0 {
			break
		}
		for i := uint64(0); i < got; i++ {
			v.Publish(pos+i, uintptr(word.Get64(ps+uintptr(done+i)*8)))
		}
		done += got
	}
	return done
}

// PullMany takes up to n elements out of the queue, stores their addresses at
// address ps and returns how many.
//
//go:nosplit
//go:norace
func (v *View) PullMany(ps uintptr, n uint64) uint64 {
	done := uint64(0)
	for done < n {
		pos, got := v.ClaimPull(n - done)
		if got == 0 {
			break
		}
		for i := uint64(0); i < got; i++ {
			word.Set64(ps+uintptr(done+i)*8, uint64(v.Take(pos+i)))
		}
		done += got
	}
	return done
}

// Len returns how many elements are in the queue, those being pushed or pulled
// at the moment included: exact when nobody else is at it, and never more than
// [View.Capacity].
//
//go:nosplit
//go:norace
func (v *View) Len() uint64 {
	n := word.Load64(v.tail) - word.Load64(v.head())
	if int64(n) < 0 {
		return 0
	}
	return min(n, v.mask+1)
}

// Readable reports whether the next element can be pulled. Unlike [View.Len] it
// does not count what is claimed and not yet published.
//
//go:nosplit
//go:norace
func (v *View) Readable() bool {
	pos := word.Load64(v.head())
	return int64(word.Load64(v.cells+uintptr(pos&v.mask)*cellSize)-(pos+lagPull)) >= 0
}

// SkipUnpublished steps over the next cell to pull if its push was claimed and
// never published, and reports whether there was one. It is for a queue whose
// pushers are gone for good: a living one would publish into the cell after it
// was given away.
//
//go:nosplit
//go:norace
func (v *View) SkipUnpublished() bool {
	pos := word.Load64(v.head())
	cell := v.cells + uintptr(pos&v.mask)*cellSize
	if word.Load64(v.tail)-pos-1 > v.mask || word.Load64(cell) != pos {
		return false
	}
	if !word.CompareAndSwap64(v.head(), pos, pos+1) {
		return false
	}
	word.StoreRelease64(cell, pos+v.mask+1)
	return true
}
