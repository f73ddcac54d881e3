// SPDX-License-Identifier: Apache-2.0

//go:build bounds

package word

import (
	"sync/atomic"
	"unsafe"
)

// In builds with the tag bounds every access must lie in a range that was
// allowed (regions, and what the library keeps beside them) or on the caller's
// own stack, near here: any other is a crash. The sanitizers cannot see that,
// since to them a mapping is one piece and the rest of memory fair game.
const maxAllowed = 4096

var (
	allowed     [maxAllowed][2]uintptr // start and end; 0 and 0 are none
	allowedUsed uint32
)

// nearStack is how far above its own frame a leaf may touch the stack.
const nearStack = 1 << 20

// Allow makes the size bytes at start accessible.
//
//go:nosplit
//go:norace
func Allow(start, size uintptr) {
	for i := range allowed {
		if atomic.CompareAndSwapUintptr(&allowed[i][0], 0, start) {
			atomic.StoreUintptr(&allowed[i][1], start+size)
			for {
				n := atomic.LoadUint32(&allowedUsed)
				if n > uint32(i) || atomic.CompareAndSwapUint32(&allowedUsed, n, uint32(i)+1) {
					return
				}
			}
		}
	}
	trap()
}

// Forbid takes back what was allowed from start on.
//
//go:nosplit
//go:norace
func Forbid(start uintptr) {
	for i := range allowed {
		if atomic.LoadUintptr(&allowed[i][0]) == start {
			atomic.StoreUintptr(&allowed[i][1], 0)
			atomic.StoreUintptr(&allowed[i][0], 0)
			return
		}
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func inBounds(a, size uintptr) {
	var here byte
	if a-uintptr(unsafe.Pointer(&here)) < nearStack {
		return
	}
	for i := uintptr(0); i < uintptr(allowedUsed); i++ {
		r := (*[2]uintptr)(unsafe.Pointer(uintptr(unsafe.Pointer(&allowed)) + i*unsafe.Sizeof(allowed[0])))
		if start, end := r[0], r[1]; start != 0 && a >= start && a < end && end-a >= size {
			return
		}
	}
	trap()
}

// trap ends the process by an access to the first page.
//
//go:nosplit
//go:norace
//go:nocheckptr
func trap() { *(*uint64)(unsafe.Add(unsafe.Pointer(nil), 64)) = 0xb0 }

// At turns an address outside the Go heap into a pointer. Inlined here,
// Go 1.26's compiler fails on a copy from it (disjointTypes).
//
//go:nosplit
//go:noinline
//go:norace
//go:nocheckptr
func At(a uintptr) unsafe.Pointer {
	inBounds(a, 1)
	return unsafe.Add(unsafe.Pointer(nil), a)
}
