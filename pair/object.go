// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"math/bits"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/memory"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/queue"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

const (
	offPolling   = layout.SharedOffset + unsafe.Offsetof(layout.SharedG{}.Polling)
	offQueue     = layout.SharedOffset + unsafe.Offsetof(layout.SharedG{}.Queue)
	offMode      = offQueue + unsafe.Offsetof(layout.QueueSignalledG{}.Mode)
	offReady     = offQueue + unsafe.Offsetof(layout.QueueSignalledG{}.Ready)
	offMutex     = offQueue + unsafe.Offsetof(layout.QueueSignalledG{}.Mutex)
	offState     = offQueue + unsafe.Offsetof(layout.QueueG{}.State)
	offPool      = layout.SharedOffset + unsafe.Offsetof(layout.SharedG{}.Pool)
	offPoolState = offPool + unsafe.Offsetof(layout.PoolG{}.State)
	offPoolQueue = offPool + unsafe.Offsetof(layout.PoolG{}.Queue)
	offFreeState = offPoolQueue + unsafe.Offsetof(layout.QueueG{}.State)
)

// marks are our words at the very front of an object that we create. There a
// VILLASnode keeps pointers of its own process, which mean nothing to anybody
// else. By them two of ours know each other: they wait on a futex and look after
// each other by locks, and use none of the pthread objects.
type marks struct {
	Magic   uint64 // over memory_type.name
	_       [16]byte
	Version uint32 // over alloc
	Pid     uint32 // of the process that created the object, for people only
	Waiters uint32 // over free; 1 while the reader sleeps
}

const (
	offMagic   = unsafe.Offsetof(marks{}.Magic)
	offVersion = unsafe.Offsetof(marks{}.Version)
	offPid     = unsafe.Offsetof(marks{}.Pid)
	offWaiters = unsafe.Offsetof(marks{}.Waiters)

	marksMagic   = 0x5249_4150_4c4c_4956 // "VILLPAIR", little endian
	marksVersion = 1
)

// Faults that the leaves report, as negative errno values.
const (
	faultInvalid     = -22 // EINVAL
	faultNoRoom      = -28 // ENOSPC
	faultNotOurs     = -71 // EPROTO: not an object of layout G
	faultDamaged     = -74 // EBADMSG: one whose geometry leads nowhere
	faultUnsupported = -93 // EPROTONOSUPPORT: its reader would have to wait in a way that only works in one process
)

// TotalSize is the bytes of an object for a queue and a pool of queuelen samples
// of samplelen values: what a VILLASnode takes, and more where queuelen is no
// power of two and its queues are rounded up. 0 means impossible.
//
//go:nosplit
//go:norace
func TotalSize(queuelen, samplelen uint64) uint64 {
	if queuelen < 1 || queuelen > shmem.MaxQueueLen || samplelen > shmem.MaxSampleLen {
		return 0
	}
	high, bytes := bits.Mul64(queuelen, blockSize(samplelen))
	if high != 0 || bytes > shmem.MaxBytes {
		return 0
	}
	const heads = 4 * uint64(unsafe.Sizeof(layout.Memblock{})) // before the cells, the blocks, the pool's cells, the rest
	cells := queue.CellsSize(queue.CellsFor(queuelen))
	theirs := uint64(unsafe.Sizeof(layout.Memtype{})+unsafe.Sizeof(layout.SharedG{})) + 2*queue.CellsSize(queuelen) + bytes + heads + 1024
	return max(theirs, uint64(layout.HeaderSizeG)+heads+2*cells+bytes+layout.CacheLine)
}

//go:nosplit
//go:norace
func blockSize(samplelen uint64) uint64 { return layout.CeilCacheLine(layout.SampleSizeG(samplelen)) }

// Format lays out an empty object of layout G in the size zeroed bytes at base,
// for process pid: head, struct shmem_shared, cells, blocks, cells of the pool's
// queue, in the places where a VILLASnode puts them. The pthread objects are left
// for the caller. It returns 0 or a fault.
//
//go:nosplit
//go:norace
func Format(base, size uintptr, queuelen, samplelen uint64, polling bool, pid uint32) int32 {
	if TotalSize(queuelen, samplelen) == 0 || !memory.Init(base, size) {
		return faultInvalid
	}
	if memory.Alloc(base, unsafe.Sizeof(layout.SharedG{}), memory.DefaultAlignment) != base+layout.SharedOffset {
		return faultNoRoom
	}
	cells, block := queue.CellsFor(queuelen), blockSize(samplelen)
	buffer := memory.Alloc(base, uintptr(queue.CellsSize(cells)), memory.DefaultAlignment)
	blocks := memory.Alloc(base, uintptr(block*queuelen), layout.CacheLine)
	free := memory.Alloc(base, uintptr(queue.CellsSize(cells)), memory.DefaultAlignment)
	if buffer == 0 || blocks == 0 || free == 0 {
		return faultNoRoom
	}
	queue.InitFields(&queue.LayoutG, base+offQueue, buffer, cells)
	queue.InitFields(&queue.LayoutG, base+offPoolQueue, free, cells)
	pool.InitFields(&pool.LayoutG, base+offPool, blocks, block, queuelen)
	var v queue.View
	if !v.Attach(&queue.LayoutG, base+offPoolQueue, base, size) {
		return faultNoRoom
	}
	pool.Fill(&v, blocks, block, queuelen)
	word.Set32(base+offMode, layout.ModePthread)
	if polling {
		word.Set32(base+offMode, layout.ModePolling)
		word.Set32(base+offPolling, 1)
	}
	word.Set32(base+offVersion, marksVersion)
	word.Set32(base+offPid, pid)
	word.Store64(base+offMagic, marksMagic)
	return 0
}

// Attach reads the geometry of the object in the size bytes at base into r and
// checks all of it. It returns 0, faultNotOurs if this is no object of layout G,
// faultUnsupported, or faultDamaged if it leads outside of itself.
//
//go:nosplit
//go:norace
func Attach(r *shmem.Region, base, size uintptr) int32 {
	if size < layout.HeaderSizeG || signs(base) < 4 {
		return faultNotOurs
	}
	mode := word.Load32(base + offMode)
	if mode != layout.ModePthread && mode != layout.ModePolling {
		return faultUnsupported
	}
	if !r.Out.View.Attach(&queue.LayoutG, base+offQueue, base, size) ||
		!r.Pool.Attach(&pool.LayoutG, &queue.LayoutG, base+offPool, base, size, uint64(sample.HeadSizeG)) {
		return faultDamaged
	}
	c := &r.Out
	c.Waiters, c.Ready, c.Mutex = base+offWaiters, base+offReady, base+offMutex
	c.Stopped, c.Running, c.Halted = base+offState, layout.StateInitialized, layout.StateStopped
	r.In = r.Out
	r.Base, r.Size = base, size
	r.Barrier, r.State = 0, 0
	r.Polling = mode == layout.ModePolling
	r.Legacy = word.Load64(base+offMagic) != marksMagic || word.Load32(base+offVersion) != marksVersion
	r.G = true
	return 0
}

// signs counts, out of five, the marks by which an object of layout G is known.
//
//go:nosplit
//go:norace
func signs(base uintptr) int {
	n, mode := 0, word.Load32(base+offMode)
	if state := word.Load32(base + offState); state == layout.StateInitialized || state == layout.StateStopped {
		n++
	}
	if word.Load32(base+offPoolState) == layout.StateInitialized {
		n++
	}
	if word.Load32(base+offFreeState) == layout.StateInitialized {
		n++
	}
	if mode == layout.ModePthread || mode == layout.ModePolling {
		n++
	}
	if word.Load32(base+offPolling) == 1 == (mode == layout.ModePolling) {
		n++
	}
	return n
}

// PidOf is the process that created r as it wrote itself, 0 where it is not one
// of ours; another process may have the number by now.
func PidOf(r *shmem.Region) int {
	if r.Legacy {
		return 0
	}
	return int(word.Load32(r.Base + offPid))
}
