// SPDX-License-Identifier: Apache-2.0

// Package layout holds the structures that programs share in memory, field by
// field, and the numbers that follow from them. Offsets are taken from here by
// unsafe.Offsetof and typed nowhere else; a test holds them against
// testdata/layout-a.json and layout-g.json, which were measured on builds of
// the reference.
package layout

import "unsafe"

// CacheLine is the size in bytes that the layouts assume of a cache line.
const CacheLine = 64

type pad [CacheLine]byte

// Numbers of enum state that appear in a region.
const (
	StateDestroyed   = 0
	StateInitialized = 1
	StateStopped     = 5
)

// Memtype is the head of a managed memory: struct memtype.
type Memtype struct {
	Name      uintptr
	Flags     int32
	_         int32
	Alignment uint64
	Alloc     uintptr
	Free      uintptr
	VD        uintptr
}

// Memblock is a block's descriptor in a managed memory: struct memblock. The
// block's bytes follow it.
type Memblock struct {
	Prev  uintptr
	Next  uintptr
	Len   uint64
	Flags int32
	_     int32
}

// MemblockUsed is set in Memblock.Flags while the block is handed out.
const MemblockUsed = 1

// Bits of Memtype.Flags.
const (
	MemoryMmap     = 1
	MemoryDMA      = 2
	MemoryHugepage = 4
	MemoryHeap     = 8
)

// Cell is one place in a queue: struct queue_cell.
type Cell struct {
	Sequence uint64 // tells whose turn it is; see package queue
	DataOff  uint64 // from struct queue to the element
}

// Queue is struct queue of layout A. The pads keep tail and head on cache
// lines of their own; the reference never touches them.
type Queue struct {
	_          pad
	State      int32
	_          int32
	Mem        uintptr
	BufferMask uint64 // number of cells - 1, a power of two - 1
	BufferOff  uint64 // from struct queue to its cells
	Pad1       pad
	Tail       uint64 // position of the next push
	_          pad
	Head       uint64 // position of the next pull
	_          pad
}

// QueueSignalled is struct queue_signalled, and the size of union shmem_queue.
type QueueSignalled struct {
	Queue Queue
	Ready [condSize]byte  // pthread_cond_t
	Mutex [mutexSize]byte // pthread_mutex_t
}

// Pool is struct pool.
type Pool struct {
	BufferOff uint64 // from struct pool to its blocks
	Mem       uintptr
	State     int32
	_         int32
	Len       uint64 // bytes in all blocks
	BlockSize uint64
	Alignment uint64
	Queue     Queue // of free blocks
}

// Shared is struct shmem_shared of layout A.
type Shared struct {
	Len         uint64 // bytes of the region
	Polling     int32
	_           int32
	In          QueueSignalled // external program to node
	Out         QueueSignalled // node to external program
	Pool        Pool
	StartBar    [barrierSize]byte     // pthread_barrier_t
	StartAttr   [barrierattrSize]byte // pthread_barrierattr_t
	NodeStopped uint64
	ExtStopped  uint64
}

// Sample is the head of struct sample of layout A; its values follow it, four
// bytes each.
type Sample struct {
	Sequence int32
	Length   int32 // values present
	Capacity int32 // values there is room for
	Refcnt   int32
	PoolOff  uint64 // from the sample to its struct pool
	Source   uintptr
	Origin   Timespec
	Received Timespec
	Sent     Timespec
	Format   uint64 // bit i: value i is an integer
}

// Timespec is struct timespec on 64-bit Linux.
type Timespec struct {
	Sec  int64
	Nsec int64
}

// Where things stand in a region of layout A, in bytes from its start.
const (
	FirstBlock   = unsafe.Sizeof(Memtype{})
	SharedOffset = FirstBlock + unsafe.Sizeof(Memblock{})
	HeaderSize   = SharedOffset + unsafe.Sizeof(Shared{})
)

// ValueSize is the size in bytes of one value of a layout A sample.
const ValueSize = 4

// SampleSize is SAMPLE_LEN(n): the bytes of a sample with room for n values.
//
//go:nosplit
func SampleSize(n uint64) uint64 { return uint64(unsafe.Sizeof(Sample{})) + ValueSize*n }

// CeilCacheLine rounds n up to a multiple of the cache line.
//
//go:nosplit
func CeilCacheLine(n uint64) uint64 { return (n + CacheLine - 1) &^ (CacheLine - 1) }
