// SPDX-License-Identifier: Apache-2.0

// Package word reads and writes machine words at addresses outside the Go
// heap: in a shared mapping, or in a C caller's memory.
//
// Every function is a leaf: it may run on a thread that Go has never seen, on
// any stack, in a signal handler, in the child of a fork. It allocates nothing,
// blocks nowhere and never looks at the current goroutine. The caller vouches
// for the address: mapped, aligned to the size of the word, and never part of
// the Go heap.
package word

import (
	"sync/atomic"
	"unsafe"
)

// Load32 and Load64 are atomic and acquire: what the writer stored before its
// release store is seen after them.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Load32(a uintptr) uint32 {
	inBounds(a, 4)
	return atomic.LoadUint32((*uint32)(unsafe.Add(unsafe.Pointer(nil), a)))
}

// Load64 is [Load32] for eight bytes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Load64(a uintptr) uint64 {
	inBounds(a, 8)
	return atomic.LoadUint64((*uint64)(unsafe.Add(unsafe.Pointer(nil), a)))
}

// Store32 is an atomic store that is also a full barrier: no later load
// overtakes it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Store32(a uintptr, v uint32) {
	inBounds(a, 4)
	atomic.StoreUint32((*uint32)(unsafe.Add(unsafe.Pointer(nil), a)), v)
}

// Store64 is [Store32] for eight bytes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Store64(a uintptr, v uint64) {
	inBounds(a, 8)
	atomic.StoreUint64((*uint64)(unsafe.Add(unsafe.Pointer(nil), a)), v)
}

// Swap32 stores v and returns what was there; a full barrier.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Swap32(a uintptr, v uint32) uint32 {
	inBounds(a, 4)
	return atomic.SwapUint32((*uint32)(unsafe.Add(unsafe.Pointer(nil), a)), v)
}

// CompareAndSwap32 replaces from by to if from is there; a full barrier.
//
//go:nosplit
//go:norace
//go:nocheckptr
func CompareAndSwap32(a uintptr, from, to uint32) bool {
	inBounds(a, 4)
	return atomic.CompareAndSwapUint32((*uint32)(unsafe.Add(unsafe.Pointer(nil), a)), from, to)
}

// CompareAndSwap64 is [CompareAndSwap32] for eight bytes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func CompareAndSwap64(a uintptr, from, to uint64) bool {
	inBounds(a, 8)
	return atomic.CompareAndSwapUint64((*uint64)(unsafe.Add(unsafe.Pointer(nil), a)), from, to)
}

// Get32 and Set32 and their 64-bit forms are plain accesses, for words that
// only one side touches at a time: a sample between its pull and its push.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Get32(a uintptr) uint32 {
	inBounds(a, 4)
	return *(*uint32)(unsafe.Add(unsafe.Pointer(nil), a))
}

// Set32 is a plain store of four bytes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Set32(a uintptr, v uint32) {
	inBounds(a, 4)
	*(*uint32)(unsafe.Add(unsafe.Pointer(nil), a)) = v
}

// Get64 is a plain load of eight bytes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Get64(a uintptr) uint64 {
	inBounds(a, 8)
	return *(*uint64)(unsafe.Add(unsafe.Pointer(nil), a))
}

// Set64 is a plain store of eight bytes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Set64(a uintptr, v uint64) {
	inBounds(a, 8)
	*(*uint64)(unsafe.Add(unsafe.Pointer(nil), a)) = v
}

// Get8 is a plain load of a byte.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Get8(a uintptr) uint8 {
	inBounds(a, 1)
	return *(*uint8)(unsafe.Add(unsafe.Pointer(nil), a))
}

// Set8 is a plain store of a byte.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Set8(a uintptr, v uint8) {
	inBounds(a, 1)
	*(*uint8)(unsafe.Add(unsafe.Pointer(nil), a)) = v
}
