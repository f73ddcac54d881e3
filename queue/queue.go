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
	"sync/atomic"

	"github.com/villas-ext/villas-ext/internal/fault"
	"github.com/villas-ext/villas-ext/internal/word"
)

// claimAttempts bounds the rounds of one claim. A round is lost when another
// thread's claim succeeds in between; thousands lost in a row do not happen
// with peers that follow the algorithm.
const claimAttempts = 1 << 14

// The ends of a queue. The cell of position p is ready for the next push if its
// sequence is p + Tail, for the next pull if it is p + Head.
const (
	Tail = 0
	Head = 1
)

// counter is the address of the next position at an end.
//
//go:nosplit
//go:norace
func (v View) counter(end uint64) uintptr { return v.tail + uintptr(end)*headAfterTail }

// cell is the address of the cell of position pos.
//
//go:nosplit
//go:norace
func (v View) cell(pos uint64) uintptr { return v.cells + uintptr(pos&v.mask)*cellSize }

// Claim moves the position at an end over up to n ready cells and returns the
// first of them and how many; 0 if the next one is not ready.
//
//go:nosplit
//go:norace
func (v View) Claim(end, n uint64) (pos, got uint64) {
	cells, mask, counter := v.cells, v.mask, v.counter(end)
	for range claimAttempts {
		pos = word.Load64(counter)
		for got = 0; got < n; got++ {
			if word.Load64(cells+uintptr((pos+got)&mask)*cellSize) != pos+got+end {
				break
			}
		}
		if got == 0 {
			if word.Load64(counter) == pos {
				break // full or empty; nobody was faster
			}
		} else if word.CompareAndSwap64(counter, pos, pos+got) {
			return pos, got
		}
	}
	return pos, 0
}

// ClaimOne is [View.Claim] for one cell, whose address it returns, 0 if it is not
// ready: for [View.Fill] at the tail, [View.Empty] at the head. All three are
// small enough for the compiler to put them in line: calls and the stores that
// go with them are half of what a single push or pull costs.
//
//go:nosplit
//go:norace
func (v View) ClaimOne(end uint64) (cell uintptr, pos uint64, ok bool) {
	counter := (*uint64)(word.At(v.counter(end)))
	for range claimAttempts {
		pos = atomic.LoadUint64(counter)
		cell = v.cell(pos)
		if atomic.LoadUint64((*uint64)(word.At(cell))) == pos+end {
			if atomic.CompareAndSwapUint64(counter, pos, pos+1) {
				return cell, pos, true
			}
		} else if atomic.LoadUint64(counter) == pos {
			break
		}
	}
	return 0, 0, false
}

// Fill puts the element at address p into the claimed cell of position pos.
//
//go:nosplit
//go:norace
func (v View) Fill(cell uintptr, pos uint64, p uintptr) {
	fault.Here(fault.Push)
	word.Set64(cell+offData, uint64(p-v.base))
	word.StoreRelease64(cell, pos+Head)
}

// FillFenced is [View.Fill] and a full barrier.
//
//go:nosplit
//go:norace
func (v View) FillFenced(cell uintptr, pos uint64, p uintptr) {
	fault.Here(fault.Push)
	word.Set64(cell+offData, uint64(p-v.base))
	word.Store64(cell, pos+Head)
}

// Empty fetches the address of the element in the claimed cell of position pos
// and frees the cell. The address is what the other side wrote: check it before
// use.
//
//go:nosplit
//go:norace
func (v View) Empty(cell uintptr, pos uint64) uintptr {
	fault.Here(fault.Pull)
	p := v.base + uintptr(word.Get64(cell+offData))
	word.StoreRelease64(cell, pos+v.mask+1)
	return p
}

// ClaimPush reserves up to n cells for elements and returns the position of the
// first and how many it got, 0 if the queue is full. Each must be handed over
// by [View.Publish], soon: pulls cannot pass an unpublished cell.
//
//go:nosplit
//go:norace
func (v View) ClaimPush(n uint64) (pos, got uint64) { return v.Claim(Tail, n) }

// ClaimPull reserves up to n elements and returns the position of the first and
// how many it got, 0 if the queue is empty. Each must be fetched by
// [View.Take].
//
//go:nosplit
//go:norace
func (v View) ClaimPull(n uint64) (pos, got uint64) { return v.Claim(Head, n) }

// Publish is [View.Fill] for the claimed cell of position pos.
//
//go:nosplit
//go:norace
func (v View) Publish(pos uint64, p uintptr) { v.Fill(v.cell(pos), pos, p) }

// Take is [View.Empty] for the claimed cell of position pos.
//
//go:nosplit
//go:norace
func (v View) Take(pos uint64) uintptr { return v.Empty(v.cell(pos), pos) }

// Push puts one element into the queue; false if it is full.
//
//go:nosplit
//go:norace
func (v *View) Push(p uintptr) bool {
	cell, pos, ok := v.ClaimOne(Tail)
	if !ok {
		return false
	}
	v.Fill(cell, pos, p)
	return true
}

// Pull takes one element out of the queue; false if it is empty.
//
//go:nosplit
//go:norace
func (v *View) Pull() (uintptr, bool) {
	cell, pos, ok := v.ClaimOne(Head)
	if !ok {
		return 0, false
	}
	return v.Empty(cell, pos), true
}

// PushMany puts up to n elements, whose addresses lie at address ps, into the
// queue and returns how many went in.
//
//go:nosplit
//go:norace
func (v View) PushMany(ps uintptr, n uint64) uint64 {
	done := uint64(0)
	for done < n {
		pos, got := v.Claim(Tail, n-done)
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			v.Publish(pos, uintptr(word.Get64(ps+uintptr(done)*8)))
			done++
		}
	}
	return done
}

// PullMany takes up to n elements out of the queue, stores their addresses at
// address ps and returns how many.
//
//go:nosplit
//go:norace
func (v View) PullMany(ps uintptr, n uint64) uint64 {
	done := uint64(0)
	for done < n {
		pos, got := v.Claim(Head, n-done)
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			word.Set64(ps+uintptr(done)*8, uint64(v.Take(pos)))
			done++
		}
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
	n := word.Load64(v.counter(Tail)) - word.Load64(v.counter(Head))
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
	pos := word.Load64(v.counter(Head))
	return int64(word.Load64(v.cell(pos))-(pos+Head)) >= 0
}

// SkipUnpublished steps over the next cell to pull if its push was claimed and
// never published, and reports whether there was one. It is for a queue whose
// pushers are gone for good: a living one would publish into the cell after it
// was given away.
//
//go:nosplit
//go:norace
func (v *View) SkipUnpublished() bool {
	pos := word.Load64(v.counter(Head))
	cell := v.cell(pos)
	if word.Load64(v.tail)-pos-1 > v.mask || word.Load64(cell) != pos {
		return false
	}
	if !word.CompareAndSwap64(v.counter(Head), pos, pos+1) {
		return false
	}
	word.StoreRelease64(cell, pos+v.mask+1)
	return true
}
