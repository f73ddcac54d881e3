// SPDX-License-Identifier: Apache-2.0

// Package pool hands out blocks of a fixed size from a stretch of shared
// memory. Free blocks wait in a queue (see package queue), so allocation and
// release are a pull and a push: lock-free, in constant time, from any thread
// of any process that maps the memory.
package pool

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/queue"
)

// View is the checked, private geometry of a pool: where its blocks lie and its
// queue of free ones. All methods are leaves (see package word).
type View struct {
	Blocks
	addr uintptr // struct pool, what a sample's pool_off leads to
	held uintptr // see [View.NoteHeld]
	free queue.View
}

// Fields says where a layout keeps the fields of struct pool, in bytes.
type Fields struct {
	Size, BufferOff, State, Len, BlockSize, Alignment, Queue uintptr
}

// LayoutA is struct pool of the reference's 0.3, and of every pool that a C
// program initialises itself.
var LayoutA = Fields{
	Size:      unsafe.Sizeof(layout.Pool{}),
	BufferOff: unsafe.Offsetof(layout.Pool{}.BufferOff),
	State:     unsafe.Offsetof(layout.Pool{}.State),
	Len:       unsafe.Offsetof(layout.Pool{}.Len),
	BlockSize: unsafe.Offsetof(layout.Pool{}.BlockSize),
	Alignment: unsafe.Offsetof(layout.Pool{}.Alignment),
	Queue:     offQueue,
}

// LayoutG is struct pool of VILLASnode 1.x.
var LayoutG = Fields{
	Size:      unsafe.Sizeof(layout.PoolG{}),
	BufferOff: unsafe.Offsetof(layout.PoolG{}.BufferOff),
	State:     unsafe.Offsetof(layout.PoolG{}.State),
	Len:       unsafe.Offsetof(layout.PoolG{}.Len),
	BlockSize: unsafe.Offsetof(layout.PoolG{}.BlockSize),
	Alignment: unsafe.Offsetof(layout.PoolG{}.Alignment),
	Queue:     unsafe.Offsetof(layout.PoolG{}.Queue),
}

const (
	offBuf       = unsafe.Offsetof(layout.Pool{}.BufferOff)
	offMem       = unsafe.Offsetof(layout.Pool{}.Mem)
	offState     = unsafe.Offsetof(layout.Pool{}.State)
	offLen       = unsafe.Offsetof(layout.Pool{}.Len)
	offBlockSize = unsafe.Offsetof(layout.Pool{}.BlockSize)
	offQueue     = unsafe.Offsetof(layout.Pool{}.Queue)
)

// Attach reads the geometry of the pool at address p once and checks that
// structure, blocks and queue lie inside the size bytes from start, that blocks
// have room for head bytes at least and are aligned to 8, and that the queue
// can hold all of them. It returns false, and v is not usable, if not.
//
//go:nosplit
//go:norace
func (v *View) Attach(f *Fields, qf *queue.Fields, p, start, size uintptr, head uint64) bool {
	if p < start || size < f.Size || p-start > size-f.Size {
		return false
	}
	bytes, block := word.Load64(p+f.Len), word.Load64(p+f.BlockSize)
	base := p + uintptr(word.Load64(p+f.BufferOff))
	if word.Load32(p+f.State) != layout.StateInitialized || block < head || block&7 != 0 || base&7 != 0 {
		return false
	}
	if bytes > uint64(size) || bytes < block || base < start || uint64(base-start) > uint64(size)-bytes {
		return false
	}
	if !v.free.Attach(qf, p+f.Queue, start, size) {
		return false
	}
	v.set(base, block, quotient(bytes, block))
	v.addr, v.held = p, 0
	return v.count <= v.free.Capacity()
}

// quotient is a / b for b > 0, spelled so that no division by zero, and with it
// no call into the runtime, is compiled in.
//
//go:nosplit
//go:norace
func quotient(a, b uint64) uint64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Trust takes the geometry from the pool at address p as it stands, for pools
// in the caller's own memory.
//
//go:nosplit
//go:norace
func (v *View) Trust(p uintptr) {
	v.trust(p+uintptr(word.Get64(p+offBuf)), word.Get64(p+offBlockSize))
	v.addr, v.held = p, 0
	v.free = OwnQueue(p)
}

// OwnQueue is the queue of free blocks of the layout A struct pool at address p
// in the caller's own memory, which is believed, and OwnBlockSize the size of its
// blocks.
//
//go:nosplit
//go:norace
func OwnQueue(p uintptr) queue.View { return queue.Own(p + offQueue) }

// OwnBlockSize is explained at [OwnQueue].
//
//go:nosplit
//go:norace
func OwnBlockSize(p uintptr) uint64 { return word.Get64(p + offBlockSize) }

// Init makes the struct pool of layout A at address p a pool of count blocks of
// size bytes each at address buffer, all of them free. The queue inside must
// have been initialised for count elements.
//
//go:nosplit
//go:norace
func Init(p, buffer uintptr, size, count uint64, mem uintptr) {
	word.Set64(p+offMem, uint64(mem))
	InitFields(&LayoutA, p, buffer, size, count)
	free := OwnQueue(p)
	Fill(&free, buffer, size, count)
}

// InitFields writes the fields of a pool of any layout, its queue aside.
//
//go:nosplit
//go:norace
func InitFields(f *Fields, p, buffer uintptr, size, count uint64) {
	word.Set64(p+f.BufferOff, uint64(buffer-p))
	word.Set64(p+f.Len, size*count)
	word.Set64(p+f.BlockSize, size)
	word.Set64(p+f.Alignment, layout.CacheLine)
	word.Store32(p+f.State, layout.StateInitialized)
}

// Fill pushes count blocks of size bytes at address buffer onto free.
//
//go:nosplit
//go:norace
func Fill(free *queue.View, buffer uintptr, size, count uint64) {
	for i := uint64(0); i < count; i++ {
		free.Push(buffer + uintptr(i*size))
	}
}

// Destroy marks the struct pool of layout A at address p destroyed and returns
// the memory, the address and the bytes of its blocks, for the caller to free.
//
//go:nosplit
//go:norace
func Destroy(p uintptr) (mem, buffer uintptr, bytes uint64) {
	mem, buffer = uintptr(word.Get64(p+offMem)), p+uintptr(word.Get64(p+offBuf))
	bytes = word.Get64(p + offLen)
	word.Store32(p+offState, layout.StateDestroyed)
	return mem, buffer, bytes
}

// Addr is the address of the struct pool.
//
//go:nosplit
//go:norace
func (v *View) Addr() uintptr { return v.addr }

// Queue is the queue of free blocks.
//
//go:nosplit
//go:norace
func (v *View) Queue() *queue.View { return &v.free }

// GetMany takes up to n free blocks, stores their addresses at address dst and
// returns how many.
//
//go:nosplit
//go:norace
func (v *View) GetMany(dst uintptr, n uint64) uint64 {
	done := uint64(0)
	for done < n {
		pos, got := v.free.Claim(queue.Head, n-done)
		if got == 0 {
			break
		}
		for q, end := v.free, pos+got; pos != end; pos++ {
			if b := q.Take(pos); v.Contains(b) {
				word.Set64(dst+uintptr(done)*8, uint64(b))
				done++
			}
		}
	}
	if v.Held() != 0 {
		for i := uint64(0); i < done; i++ {
			v.Hold(uintptr(word.Get64(dst + uintptr(i)*8)))
		}
	}
	return done
}

// Release gives the block at address p back. It returns false if p is no block
// of this pool or if all blocks are back already.
//
//go:nosplit
//go:norace
func (v *View) Release(p uintptr) bool { return v.Unhold(p) && v.free.Push(p) }

// Free returns the number of free blocks: exact when nobody allocates or
// releases at the moment.
//
//go:nosplit
//go:norace
func (v *View) Free() uint64 { return v.free.Len() }

// NoteHeld makes v note, in the Count bytes at address held, which are private
// and start as zeros, what blocks this process holds: those that it took from the
// pool or received and neither released nor handed over. After the other side's
// death that tells its blocks from those which are still in use here.
//
//go:nosplit
//go:norace
func (v *View) NoteHeld(held uintptr) {
	word.Allow(held, uintptr(v.count))
	v.held = held
}

// Hold notes that this process holds the block at address p; false if p is no
// block of this pool.
//
//go:nosplit
//go:norace
func (v *View) Hold(p uintptr) bool {
	i := v.Index(p)
	if i >= v.count {
		return false
	}
	if v.held != 0 {
		word.Set8(v.held+uintptr(i), 1)
	}
	return true
}

// Unhold is the contrary of [View.Hold]. It must come before the block can be
// somebody else's.
//
//go:nosplit
//go:norace
func (v *View) Unhold(p uintptr) bool {
	i := v.Index(p)
	if i >= v.count {
		return false
	}
	if v.held != 0 {
		word.Set8(v.held+uintptr(i), 0)
	}
	return true
}

// Held is the address of those notes, 0 without any.
//
//go:nosplit
//go:norace
func (v *View) Held() uintptr { return v.held }

// Holds reports whether this process holds any block, as far as noted.
//
//go:nosplit
//go:norace
func (v *View) Holds() bool {
	for i := uintptr(0); i < uintptr(v.count) && v.held != 0; i++ {
		if word.Get8(v.held+i) != 0 {
			return true
		}
	}
	return false
}
