// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"math/bits"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/memory"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/queue"
	"github.com/villas-ext/villas-ext/sample"
)

const (
	offLen         = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.Len)
	offPolling     = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.Polling)
	offIn          = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.In)
	offOut         = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.Out)
	offPool        = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.Pool)
	offBarrier     = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.StartBar)
	offNodeStopped = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.NodeStopped)
	offExtStopped  = layout.SharedOffset + unsafe.Offsetof(layout.Shared{}.ExtStopped)

	offBarrierAttr = unsafe.Offsetof(layout.Shared{}.StartAttr) - unsafe.Offsetof(layout.Shared{}.StartBar)

	offReady     = unsafe.Offsetof(layout.QueueSignalled{}.Ready)
	offMutex     = unsafe.Offsetof(layout.QueueSignalled{}.Mutex)
	offPad1      = unsafe.Offsetof(layout.Queue{}.Pad1)
	offState     = unsafe.Offsetof(layout.Queue{}.State)
	offPoolState = unsafe.Offsetof(layout.Pool{}.State)
	offPoolQueue = unsafe.Offsetof(layout.Pool{}.Queue)
)

// Faults that the leaves report, as negative errno values.
const (
	faultInvalid = -22  // EINVAL
	faultNoRoom  = -28  // ENOSPC
	faultNotOurs = -71  // EPROTO: not a region
	faultDamaged = -74  // EBADMSG: a region whose geometry leads nowhere
	faultBusy    = -16  // EBUSY: another program is attached
	faultRetired = -116 // ESTALE: the node has given this region up
)

// Channel is one direction of a region.
type Channel = queue.Channel

// Region is the checked, private picture of a mapped region of layout A, filled
// by [Region.Attach], or of an object of layout G (see package pair): then In and
// Out are the same direction. No decision rests on geometry in shared memory from
// then on. All methods are leaves (see package word).
type Region struct {
	Base    uintptr
	Size    uintptr
	In      Channel // external program to node
	Out     Channel // node to external program
	Pool    pool.View
	Barrier uintptr // pthread_barrier_t at which reference-built programs wait
	State   uintptr // attach word, see attach.go; 0 in a region of the reference
	Polling bool
	Legacy  bool // the other side knows only the pthread objects
	G       bool // samples are of layout G
}

// TotalSize is shmem_total_size: the bytes of a region for queues of in and out
// elements, a pool of as many blocks, and samples of samplelen values. For
// powers of two it is what the reference computes; where that is too little for
// queues rounded up, it is enough. 0 means impossible.
//
//go:nosplit
//go:norace
func TotalSize(in, out, samplelen uint64) uint64 {
	if in > MaxQueueLen || out > MaxQueueLen || samplelen > MaxSampleLen {
		return 0
	}
	block := layout.CeilCacheLine(layout.SampleSize(samplelen))
	if high, bytes := bits.Mul64(in+out, block); high != 0 || bytes > MaxBytes {
		return 0
	}
	// What the reference reserves beside the queues and blocks: the head, five
	// block descriptors and a kibibyte.
	const beside = uint64(unsafe.Sizeof(layout.Memtype{})+unsafe.Sizeof(layout.Shared{})+5*unsafe.Sizeof(layout.Memblock{})) + 1024
	reference := beside + (in+out)*(block+2*queue.CellsSize(1))

	blocks := max(in, 1) + max(out, 1)
	cells := queue.CellsFor(in) + queue.CellsFor(out) + queue.CellsFor(blocks)
	need := uint64(layout.HeaderSize) + 5*uint64(unsafe.Sizeof(layout.Memblock{})) +
		queue.CellsSize(cells) + blocks*block + layout.CacheLine
	return max(reference, need)
}

// Limits of a region: what is above is refused.
const (
	MaxQueueLen  = 1<<31 - 1
	MaxSampleLen = 1<<31 - 1
	MaxBytes     = 1 << 46 // of all blocks together; half the address space
)

// Format lays out an empty region of layout A in the size zeroed bytes at base:
// head, struct shmem_shared, cells of in, cells of out, blocks, cells of the
// pool's queue, in the places where the reference's allocator puts them. The
// pthread objects are left for the caller. It returns 0 or a fault.
//
//go:nosplit
//go:norace
func Format(base, size uintptr, queuelen, samplelen uint64, polling bool) int32 {
	if queuelen < 1 || queuelen > MaxQueueLen || samplelen > MaxSampleLen || !memory.Init(base, size) {
		return faultInvalid
	}
	if memory.Alloc(base, unsafe.Sizeof(layout.Shared{}), memory.DefaultAlignment) != base+layout.SharedOffset {
		return faultNoRoom
	}
	cells := queue.CellsFor(queuelen)
	if !formatQueue(base, base+offIn, cells) || !formatQueue(base, base+offOut, cells) {
		return faultNoRoom
	}
	block, blocks := layout.CeilCacheLine(layout.SampleSize(samplelen)), 2*queuelen
	buffer := memory.Alloc(base, uintptr(block*blocks), layout.CacheLine)
	if buffer == 0 || !formatQueue(base, base+offPool+offPoolQueue, queue.CellsFor(blocks)) {
		return faultNoRoom
	}
	pool.Init(base+offPool, buffer, block, blocks, base)
	word.Set64(base+offLen, uint64(size))
	if polling {
		word.Set32(base+offPolling, 1)
	}
	return 0
}

//go:nosplit
//go:norace
func formatQueue(base, q uintptr, cells uint64) bool {
	buffer := memory.Alloc(base, uintptr(queue.CellsSize(cells)), memory.DefaultAlignment)
	if buffer == 0 {
		return false
	}
	queue.Init(q, buffer, cells, base)
	return true
}

// Attach reads the geometry of the region in the size bytes at base and checks
// all of it. It returns 0, or faultNotOurs if this is no region of layout A, or
// faultDamaged if it is one but leads outside of itself.
//
//go:nosplit
//go:norace
func (r *Region) Attach(base, size uintptr) int32 {
	if size < layout.HeaderSize {
		return faultNotOurs
	}
	if signs(base, size) < 4 {
		return faultNotOurs
	}
	sound := r.In.View.Attach(&queue.LayoutA, base+offIn, base, size) &&
		r.Out.View.Attach(&queue.LayoutA, base+offOut, base, size) &&
		r.Pool.Attach(&pool.LayoutA, &queue.LayoutA, base+offPool, base, size, uint64(sample.HeadSize)) &&
		word.Load64(base+offLen) <= uint64(size)
	if !sound {
		return faultDamaged
	}
	r.Base, r.Size = base, size
	around(&r.In, base+offIn, base+offExtStopped)
	around(&r.Out, base+offOut, base+offNodeStopped)
	r.Barrier = base + offBarrier
	r.G = false
	r.Polling = word.Load32(base+offPolling) != 0
	r.State = 0
	r.Legacy = true
	if answers(base) {
		r.State, r.Legacy = base+offAttach+offAttachState, false
	}
	return 0
}

// around notes the addresses beside the queue at address q.
//
//go:nosplit
//go:norace
func around(c *Channel, q, stopped uintptr) {
	c.Waiters = q + offPad1 + offWaiters
	c.Ready, c.Mutex = q+offReady, q+offMutex
	c.Stopped, c.Running, c.Halted = stopped, 0, 1
}

// signs counts, out of five, the marks by which a region of layout A is known.
//
//go:nosplit
//go:norace
func signs(base, size uintptr) int {
	n := 0
	if word.Load64(base+offLen) == uint64(size) {
		n++
	}
	if word.Load32(base+offIn+offState) == layout.StateInitialized {
		n++
	}
	if word.Load32(base+offOut+offState) == layout.StateInitialized {
		n++
	}
	if word.Load32(base+offPool+offPoolState) == layout.StateInitialized {
		n++
	}
	if word.Load32(base+offPool+offPoolQueue+offState) == layout.StateInitialized {
		n++
	}
	return n
}

// Take fetches the sample in the claimed cell of position pos of c. It returns 0
// if what stood there is no block of the pool.
//
//go:nosplit
//go:norace
func (r *Region) Take(c *Channel, pos uint64) uintptr {
	s := c.View.Take(pos)
	if !r.Pool.Hold(s) {
		return 0
	}
	if r.G {
		sample.ReceiveG(&r.Pool, s)
	} else {
		sample.Receive(&r.Pool, s)
	}
	return s
}

// Read takes up to n samples out of c, stores their addresses at address dst
// and returns how many, or faultDamaged if there was something and none of it
// was a block of the pool.
//
//go:nosplit
//go:norace
func (r *Region) Read(c *Channel, dst uintptr, n uint64) int64 {
	done, bad := uint64(0), false
	for done < n && !bad {
		pos, got := c.ClaimPull(n - done)
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			s := r.Take(c, pos)
			if s == 0 {
				bad = true
				continue
			}
			word.Set64(dst+uintptr(done)*8, uint64(s))
			done++
		}
	}
	if done == 0 && bad {
		return faultDamaged
	}
	return int64(done)
}

// Write puts up to n samples, whose addresses lie at address ss, into c and
// returns how many went in; faultInvalid, and nothing is written, if one of
// them is no block of this region's pool.
//
//go:nosplit
//go:norace
func (r *Region) Write(c *Channel, ss uintptr, n uint64) int64 {
	if !r.Owns(ss, n) {
		return faultInvalid
	}
	if r.G {
		for i := uint64(0); i < n; i++ {
			sample.SealG(uintptr(word.Get64(ss + uintptr(i)*8)))
		}
	}
	return int64(r.Push(&c.View, ss, n))
}

// Owns reports whether the n addresses that lie at address ss are all blocks of
// this region's pool.
//
//go:nosplit
//go:norace
func (r *Region) Owns(ss uintptr, n uint64) bool {
	for i := uint64(0); i < n; i++ {
		if !r.Pool.Contains(uintptr(word.Get64(ss + uintptr(i)*8))) {
			return false
		}
	}
	return true
}

// Push hands up to n blocks, whose addresses lie at address ss, over to the queue
// v of r and returns how many went in.
//
//go:nosplit
//go:norace
func (r *Region) Push(v *queue.View, ss uintptr, n uint64) uint64 {
	if r.Pool.Held() != 0 {
		r.handOver(v, ss, n)
	}
	done := v.PushMany(ss, n)
	for i := done; i < n; i++ {
		r.Pool.Hold(uintptr(word.Get64(ss + uintptr(i)*8)))
	}
	return done
}

//go:nosplit
//go:norace
func (r *Region) handOver(v *queue.View, ss uintptr, n uint64) {
	for i := uint64(0); i < n; i++ {
		s := uintptr(word.Get64(ss + uintptr(i)*8))
		if v == r.Pool.Queue() {
			r.Pool.Unhold(s)
		} else {
			sample.HandOver(&r.Pool, s)
		}
	}
}
