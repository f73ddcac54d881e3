// SPDX-License-Identifier: Apache-2.0

// Package memory lays out a region: a first-fit allocator whose block
// descriptors stand in the memory that it hands out, so that a region carries
// its own map.
//
// The descriptors chain by plain pointers, which are right only in the process
// that created the region, and only it may allocate or free. All functions are
// leaves (see package word).
package memory

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
)

const (
	headSize  = unsafe.Sizeof(layout.Memtype{})
	blockSize = unsafe.Sizeof(layout.Memblock{})

	offFlags     = unsafe.Offsetof(layout.Memtype{}.Flags)
	offAlignment = unsafe.Offsetof(layout.Memtype{}.Alignment)
	offVD        = unsafe.Offsetof(layout.Memtype{}.VD)

	offPrev  = unsafe.Offsetof(layout.Memblock{}.Prev)
	offNext  = unsafe.Offsetof(layout.Memblock{}.Next)
	offLen   = unsafe.Offsetof(layout.Memblock{}.Len)
	offBlock = unsafe.Offsetof(layout.Memblock{}.Flags)
)

// MinSize is the least a managed memory can be: its head, one descriptor and
// eight bytes.
const MinSize = headSize + blockSize + 8

// DefaultAlignment in bytes is what Alloc is asked for where nobody cares.
const DefaultAlignment = 8

// Init turns the size bytes at address base into a managed memory with one free
// block. It returns false if size is below [MinSize] or base not aligned to 8.
//
//go:nosplit
//go:norace
func Init(base, size uintptr) bool {
	if base == 0 || base&7 != 0 || size < MinSize {
		return false
	}
	first := base + headSize
	word.Set64(base, 0)
	word.Set32(base+offFlags, 0)
	word.Set64(base+offAlignment, 1)
	word.Set64(base+offVD, uint64(first))
	put(first, 0, 0, uint64(size-headSize-blockSize), 0)
	return true
}

//go:nosplit
//go:norace
func put(b, prev, next uintptr, n uint64, flags uint32) {
	word.Set64(b+offPrev, uint64(prev))
	word.Set64(b+offNext, uint64(next))
	word.Set64(b+offLen, n)
	word.Set32(b+offBlock, flags)
}

// Alloc hands out size bytes aligned to alignment (a power of two) from the
// managed memory at base: the first free block with room. It returns 0 if there
// is none. A block's bytes before an aligned address belong to the block.
//
//go:nosplit
//go:norace
func Alloc(base, size, alignment uintptr) uintptr {
	if alignment < DefaultAlignment {
		alignment = DefaultAlignment
	}
	if size > 1<<47 || alignment&(alignment-1) != 0 {
		return 0
	}
	size = (size + 7) &^ 7
	for b := uintptr(word.Get64(base + offVD)); b != 0; b = uintptr(word.Get64(b + offNext)) {
		if word.Get32(b+offBlock)&layout.MemblockUsed != 0 {
			continue
		}
		data := b + blockSize
		aligned := (data + alignment - 1) &^ (alignment - 1)
		used, n := uint64(aligned-data)+uint64(size), word.Get64(b+offLen)
		if used > n {
			continue
		}
		if n-used > uint64(blockSize) {
			split(b, used, n)
		}
		word.Set32(b+offBlock, layout.MemblockUsed)
		return aligned
	}
	return 0
}

// split cuts block b of n bytes after its first used bytes; the rest becomes a
// free block behind it.
//
//go:nosplit
//go:norace
func split(b uintptr, used, n uint64) {
	rest, next := b+blockSize+uintptr(used), uintptr(word.Get64(b+offNext))
	put(rest, b, next, n-used-uint64(blockSize), 0)
	if next != 0 {
		word.Set64(next+offPrev, uint64(rest))
	}
	word.Set64(b+offNext, uint64(rest))
	word.Set64(b+offLen, used)
}

// Free takes back the block that address p lies in and merges it with free
// neighbours. It returns false if p is in no block that is handed out.
//
//go:nosplit
//go:norace
func Free(base, p uintptr) bool {
	for b := uintptr(word.Get64(base + offVD)); b != 0; b = uintptr(word.Get64(b + offNext)) {
		data := b + blockSize
		if p < data || p-data >= uintptr(word.Get64(b+offLen)) {
			continue
		}
		if word.Get32(b+offBlock)&layout.MemblockUsed == 0 {
			return false
		}
		word.Set32(b+offBlock, 0)
		absorbNext(b)
		if prev := uintptr(word.Get64(b + offPrev)); prev != 0 && word.Get32(prev+offBlock)&layout.MemblockUsed == 0 {
			absorbNext(prev)
		}
		return true
	}
	return false
}

// absorbNext makes the block behind b part of b if it is free.
//
//go:nosplit
//go:norace
func absorbNext(b uintptr) {
	next := uintptr(word.Get64(b + offNext))
	if next == 0 || word.Get32(next+offBlock)&layout.MemblockUsed != 0 {
		return
	}
	after := uintptr(word.Get64(next + offNext))
	word.Set64(b+offLen, word.Get64(b+offLen)+uint64(blockSize)+word.Get64(next+offLen))
	word.Set64(b+offNext, uint64(after))
	if after != 0 {
		word.Set64(after+offPrev, uint64(b))
	}
}
