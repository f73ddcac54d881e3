// SPDX-License-Identifier: Apache-2.0

package pool

import "math/bits"

// Blocks tells whether an address is the start of a block: count blocks of size
// bytes from base on.
//
// The test needs no division. For size = 2^k * m with m odd, x is a multiple of
// size if and only if x * m^-1 (modulo 2^64), rotated right by k, is at most
// (2^64 - 1) / size, and then that is the quotient (Granlund and Montgomery,
// "Division by invariant integers using multiplication", PLDI 1994, section 9).
// So one multiplication, one rotation and one comparison with count check
// boundary and range at once.
type Blocks struct {
	base    uintptr
	inverse uint64 // of the odd part of size, modulo 2^64
	shift   uint64 // trailing zero bits of size
	count   uint64
	size    uint64
}

// set describes count blocks of size bytes from base on.
//
//go:nosplit
//go:norace
func (b *Blocks) set(base uintptr, size, count uint64) {
	shift := uint(bits.TrailingZeros64(size)) & 63
	odd := size >> shift
	inverse := odd // right in the lowest 3 bits; each step doubles them
	for i := 0; i < 5; i++ {
		inverse *= 2 - odd*inverse
	}
	*b = Blocks{base: base, inverse: inverse, shift: uint64(shift), count: count, size: size}
}

// trust lets every address pass: for a pool in the caller's own memory.
//
//go:nosplit
//go:norace
func (b *Blocks) trust(base uintptr, size uint64) {
	*b = Blocks{base: base, count: 1, size: size}
}

// Index returns the number of the block that starts at p, or a number that is
// not below [Blocks.Count] if none does.
//
//go:nosplit
//go:norace
func (b *Blocks) Index(p uintptr) uint64 {
	return bits.RotateLeft64(uint64(p-b.base)*b.inverse, -int(b.shift))
}

// Contains reports whether p is the start of a block.
//
//go:nosplit
//go:norace
func (b *Blocks) Contains(p uintptr) bool { return b.Index(p) < b.count }

// Size is the size of a block in bytes.
//
//go:nosplit
//go:norace
func (b *Blocks) Size() uint64 { return b.size }

// Count is the number of blocks.
//
//go:nosplit
//go:norace
func (b *Blocks) Count() uint64 { return b.count }

// Base is the address of the first block.
//
//go:nosplit
//go:norace
func (b *Blocks) Base() uintptr { return b.base }
