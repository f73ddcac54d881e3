// SPDX-License-Identifier: Apache-2.0

package layout

import "unsafe"

// Layout G is what VILLASnode 1.0 to 1.2 puts in shared memory: one object for
// each direction. The heads of a managed memory and of its blocks, and the cells
// of a queue, are those of layout A.

// QueueG is struct queue of layout G.
type QueueG struct {
	State      int32
	_          int32
	_          pad
	BufferMask uint64 // number of cells - 1, a power of two - 1
	BufferOff  uint64 // from struct queue to its cells
	_          pad
	Tail       uint64 // position of the next push
	_          pad
	Head       uint64 // position of the next pull
	_          pad
}

// QueueSignalledG is struct queue_signalled of layout G.
type QueueSignalledG struct {
	Queue QueueG
	Mode  int32 // how its reader waits: ModePthread, ModePolling
	Flags int32
	Ready [48]byte // pthread_cond_t
	Mutex [40]byte // pthread_mutex_t
}

// Values of QueueSignalledG.Mode that work between processes.
const (
	ModePthread = 1
	ModePolling = 2
)

// PoolG is struct pool of layout G.
type PoolG struct {
	State     int32
	_         int32
	BufferOff uint64 // from struct pool to its blocks
	Len       uint64 // bytes in all blocks
	BlockSize uint64
	Alignment uint64
	Queue     QueueG // of free blocks
}

// SharedG is struct shmem_shared of layout G. It stands at SharedOffset, as in
// layout A.
type SharedG struct {
	Polling int32
	_       int32
	Queue   QueueSignalledG // from the side that created the object to the other one
	Pool    PoolG
}

// SampleG is the head of struct sample of layout G; its values follow it, eight
// bytes each.
type SampleG struct {
	Sequence uint64
	Length   uint32 // values present
	Capacity uint32 // values there is room for
	Flags    int32
	_        int32
	Signals  [2]uint64 // a pointer of the writer's process: zero in ours, never followed
	Refcnt   int32
	_        int32
	PoolOff  uint64 // from the sample to its struct pool
	Origin   Timespec
	Received Timespec
}

// Bits of SampleG.Flags. Without its bit a VILLASnode ignores a field.
const (
	HasOrigin     = 1
	HasReceived   = 2
	HasOffset     = 4
	HasSequence   = 8
	HasData       = 0x10
	NewFrame      = 0x10000
	NewSimulation = 0x20000
)

// HeaderSizeG is where the struct of layout G ends, in bytes from the object's
// start.
const HeaderSizeG = SharedOffset + unsafe.Sizeof(SharedG{})

// ValueSizeG is the size in bytes of one value of a layout G sample.
const ValueSizeG = 8

// SampleSizeG is the bytes of a layout G sample with room for n values.
//
//go:nosplit
func SampleSizeG(n uint64) uint64 { return uint64(unsafe.Sizeof(SampleG{})) + ValueSizeG*n }
