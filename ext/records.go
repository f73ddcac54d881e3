// SPDX-License-Identifier: Apache-2.0

package main

// #include "leaf.h"
import "C"

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/queue"
	"github.com/villas-ext/villas-ext/shmem"
)

// A record is this process's private picture of one mapped region. C programs
// hand in addresses of samples, pools and queues; which region they are in, and
// so which checked geometry holds, is found by address. The table is static and
// lock-free: leaves read it on any thread, in signal handlers and in forked
// children.
type record struct {
	c      C.struct_vx_mapping // what C sees; first, so that both have one address
	region shmem.Region
	taken  uint32 // 1 while the record is in use or being made
	looks  uint32 // that found nothing, about
	plain  bool   // writes need neither notes of what is held nor the pthread objects
}

const maxRecords = 1024

var (
	records [maxRecords]record

	// spans holds where each record's region lies: the number of its first page
	// above spanBits, the number of its pages below; 0 where there is none. One
	// word each, so that one load sees both. They stand apart from the records,
	// so that a look-up touches one cache line, and change only when a region is
	// opened or closed.
	spans [maxRecords]uint64

	// spansUsed is the number of spans to look at: one more than the highest
	// that was ever in use.
	spansUsed uint32
)

const (
	pageBits = C.VX_PAGE_BITS
	spanBits = C.VX_SPAN_BITS // what a first page below 2^47 leaves: 64 - (47 - pageBits)
	maxSpan  = (1<<spanBits - 1) << pageBits
)

//go:nosplit
//go:norace
func addr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// find returns the record of the region that p lies in, or nil. Most programs have
// one region, which it finds before it looks how many there are.
//
//go:nosplit
//go:norace
func find(p uintptr) *record {
	i := uintptr(0)
	for !inSpan(p, word.Load64(addr(&spans)+i*8)) {
		if i++; i >= uintptr(spansUsed) {
			return nil
		}
	}
	return (*record)(word.At(addr(&records) + i*unsafe.Sizeof(record{})))
}

//go:nosplit
//go:norace
func inSpan(p uintptr, span uint64) bool {
	return uint64(p>>pageBits)-span>>spanBits < span&(1<<spanBits-1)
}

// take reserves a record, or returns nil if all are in use.
//
//go:nosplit
//go:norace
func take() (r *record, index uint32) {
	for i := uint32(0); i < maxRecords; i++ {
		r = (*record)(word.At(addr(&records) + uintptr(i)*unsafe.Sizeof(record{})))
		if word.CompareAndSwap32(addr(&r.taken), 0, 1) {
			return r, i
		}
	}
	return nil, 0
}

// publish makes the record of index findable as the region of size bytes at
// start.
//
//go:nosplit
//go:norace
func publish(index uint32, start, size uintptr) {
	pages := (uint64(size) + 1<<pageBits - 1) >> pageBits
	word.Store64(addr(&spans)+uintptr(index)*8, uint64(start>>pageBits)<<spanBits|pages)
	for {
		n := word.Load32(addr(&spansUsed))
		if n > index || word.CompareAndSwap32(addr(&spansUsed), n, index+1) {
			return
		}
	}
}

// withdraw makes the record unfindable and frees it. It must come before the
// munmap: the addresses may be somebody else's memory right after.
//
//go:nosplit
//go:norace
func (r *record) withdraw() {
	index := (addr(r) - addr(&records)) / unsafe.Sizeof(record{})
	word.Store64(addr(&spans)+index*8, 0)
	word.Store32(addr(&r.taken), 0)
}

// queue returns the geometry of the queue of r's region at address q; nil if
// there is none at that address.
//
//go:nosplit
//go:norace
func (r *record) queue(q uintptr) *queue.View {
	switch q {
	case r.region.Out.Addr():
		return &r.region.Out.View
	case r.region.In.Addr():
		return &r.region.In.View
	case r.region.Pool.Queue().Addr():
		return r.region.Pool.Queue()
	}
	return nil
}
