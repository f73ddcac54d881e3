// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"math/bits"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
)

// View is the geometry of one queue: read from shared memory once, checked, and
// from then on private. No push or pull looks at the queue's own mask or offset
// again, so the other side can put wrong elements into the queue but never move
// its cells.
type View struct {
	base  uintptr // struct queue; offsets of elements count from here
	cells uintptr // first cell
	mask  uint64  // number of cells - 1
	tail  uintptr // address of the position of the next push

	// Four words, so that the compiler keeps a View in registers. The position
	// of the next pull stands headAfterTail behind tail.
}

// Fields says where a layout keeps the fields of struct queue, in bytes.
type Fields struct {
	Size, State, Mask, BufferOff, Tail uintptr
}

// Layout A's fields, and with them those of every queue that a C program
// initialises itself.
const (
	offState = unsafe.Offsetof(layout.Queue{}.State)
	offMem   = unsafe.Offsetof(layout.Queue{}.Mem)
	offMask  = unsafe.Offsetof(layout.Queue{}.BufferMask)
	offBuf   = unsafe.Offsetof(layout.Queue{}.BufferOff)
	offTail  = unsafe.Offsetof(layout.Queue{}.Tail)
	cellSize = unsafe.Sizeof(layout.Cell{})
	offData  = unsafe.Offsetof(layout.Cell{}.DataOff)
)

// headAfterTail is how far head lies behind tail: the same in every layout, with
// a pad of a cache line between them.
const headAfterTail = unsafe.Offsetof(layout.Queue{}.Head) - offTail

// LayoutA is struct queue of the reference's 0.3, and of every queue that a C
// program initialises itself.
var LayoutA = Fields{Size: unsafe.Sizeof(layout.Queue{}), State: offState, Mask: offMask, BufferOff: offBuf, Tail: offTail}

// LayoutG is struct queue of VILLASnode 1.x.
var LayoutG = Fields{
	Size:      unsafe.Sizeof(layout.QueueG{}),
	State:     unsafe.Offsetof(layout.QueueG{}.State),
	Mask:      unsafe.Offsetof(layout.QueueG{}.BufferMask),
	BufferOff: unsafe.Offsetof(layout.QueueG{}.BufferOff),
	Tail:      unsafe.Offsetof(layout.QueueG{}.Tail),
}

// Head lies as far behind tail in layout G; an array of negative length if not.
var _ [0]struct{} = [headAfterTail - (unsafe.Offsetof(layout.QueueG{}.Head) - unsafe.Offsetof(layout.QueueG{}.Tail))]struct{}{}

// Capacity returns the number of cells.
//
//go:nosplit
//go:norace
func (v *View) Capacity() uint64 { return v.mask + 1 }

// Addr is the address of the struct queue.
//
//go:nosplit
//go:norace
func (v *View) Addr() uintptr { return v.base }

// Attach reads the geometry of the queue at address q once and checks that the
// structure and its cells lie inside the size bytes from start. It returns
// false, and v is not usable, if they do not, if the queue was never initialised,
// or if its number of cells is not a power of two from 2 up.
//
//go:nosplit
//go:norace
func (v *View) Attach(f *Fields, q, start, size uintptr) bool {
	if q < start || size < f.Size || q-start > size-f.Size || (q|start)&7 != 0 {
		return false
	}
	mask, off := word.Load64(q+f.Mask), word.Load64(q+f.BufferOff)
	cells := q + uintptr(off)
	state := word.Load32(q + f.State)
	if state != layout.StateInitialized && state != layout.StateStopped || mask == 0 || mask&(mask+1) != 0 {
		return false
	}
	if mask >= uint64(size)/uint64(cellSize) || cells&7 != 0 {
		return false
	}
	bytes := uintptr(mask+1) * cellSize
	if cells < start || bytes > size || cells-start > size-bytes {
		return false
	}
	*v = View{base: q, cells: cells, mask: mask, tail: q + f.Tail}
	return true
}

// Own takes the geometry from the queue at address q as it stands. It is for
// queues in the caller's own memory, where a check would protect nobody.
//
//go:nosplit
//go:norace
func Own(q uintptr) View {
	return View{
		base:  q,
		cells: q + uintptr(word.Get64(q+offBuf)),
		mask:  word.Get64(q + offMask),
		tail:  q + offTail,
	}
}

// CellsFor returns the number of cells of a queue for n elements: n rounded up
// to a power of two, and never less than 2, since a queue of one cell cannot
// tell full from empty. It is 0 for n above 1<<40.
//
//go:nosplit
//go:norace
func CellsFor(n uint64) uint64 {
	if n <= 2 {
		return 2
	}
	if n > 1<<40 {
		return 0
	}
	return 1 << (uint(bits.Len64(n-1)) & 63)
}

// CellsSize returns the bytes that cells cells take.
//
//go:nosplit
//go:norace
func CellsSize(cells uint64) uint64 { return cells * uint64(cellSize) }

// Init makes the layout A queue at address q an empty queue of cells cells (a
// power of two) that lie at address buffer, and notes mem as the memory they
// came from.
//
//go:nosplit
//go:norace
func Init(q, buffer uintptr, cells uint64, mem uintptr) {
	word.Set64(q+offMem, uint64(mem))
	InitFields(&LayoutA, q, buffer, cells)
}

// InitFields is [Init] for a queue of any layout.
//
//go:nosplit
//go:norace
func InitFields(f *Fields, q, buffer uintptr, cells uint64) {
	word.Set64(q+f.Mask, cells-1)
	word.Set64(q+f.BufferOff, uint64(buffer-q))
	word.Set64(q+f.Tail, 0)
	word.Set64(q+f.Tail+headAfterTail, 0)
	for i := uint64(0); i < cells; i++ {
		word.Set64(buffer+uintptr(i)*cellSize, i)
		word.Set64(buffer+uintptr(i)*cellSize+offData, 0)
	}
	word.Store32(q+f.State, layout.StateInitialized)
}

// Destroy marks the layout A queue at address q destroyed and returns the
// memory and the address of its cells, for the caller to free.
//
//go:nosplit
//go:norace
func Destroy(q uintptr) (mem, buffer uintptr, cells uint64) {
	mem, buffer = uintptr(word.Get64(q+offMem)), q+uintptr(word.Get64(q+offBuf))
	cells = word.Get64(q+offMask) + 1
	word.Store32(q+offState, layout.StateDestroyed)
	return mem, buffer, cells
}
