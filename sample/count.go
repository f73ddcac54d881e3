// SPDX-License-Identifier: Apache-2.0

package sample

import "github.com/villas-ext/villas-ext/internal/word"

// Count is the address of a sample's number of references: a word of 32 bits
// that both sides change. All methods are leaves.
type Count uintptr

// countAttempts bounds the rounds of a change. Only an other side that keeps
// writing there loses so many in a row.
const countAttempts = 1 << 14

// CountOf is the count of the layout A sample at address s.
//
//go:nosplit
//go:norace
func CountOf(s uintptr) Count { return Count(s + OffRefcnt) }

// Acquire adds a reference and returns the new count, or -1 if nobody holds one:
// a released sample cannot be held again.
//
//go:nosplit
//go:norace
func (c Count) Acquire() int32 {
	for range countAttempts {
		n := int32(word.Load32(uintptr(c)))
		if n <= 0 || n == 1<<31-1 {
			return -1
		}
		if word.CompareAndSwap32(uintptr(c), uint32(n), uint32(n+1)) {
			return n + 1
		}
	}
	return -1
}

// Drop removes a reference and returns the new count, or -1 and changes nothing
// if nobody holds one. At 0 the caller, and nobody else, must release the block.
//
//go:nosplit
//go:norace
func (c Count) Drop() int32 {
	for range countAttempts {
		n := int32(word.Load32(uintptr(c)))
		if n <= 0 {
			break
		}
		if word.CompareAndSwap32(uintptr(c), uint32(n), uint32(n-1)) {
			return n - 1
		}
	}
	return -1
}

// DropLast removes the reference of a sample that has one only, and reports
// whether it was so: without a look first, which would make it wait for the word.
//
//go:nosplit
//go:norace
func (c Count) DropLast() bool { return word.CompareAndSwap32(uintptr(c), 1, 0) }

// Clear removes all references, however many, and returns true.
//
//go:nosplit
//go:norace
func (c Count) Clear() bool {
	word.Set32(uintptr(c), 0)
	return true
}
