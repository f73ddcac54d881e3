// SPDX-License-Identifier: Apache-2.0

package word

import "unsafe"

// StoreRelease64 publishes: whoever loads v here sees all that was stored
// before it. On amd64 stores become visible in program order, so a plain store
// is a release store, and an exchange, which is what sync/atomic would use,
// costs twenty times as much. The compiler keeps the order of stores through
// pointers that may alias.
//
//go:nosplit
//go:norace
//go:nocheckptr
func StoreRelease64(a uintptr, v uint64) {
	inBounds(a, 8)
	*(*uint64)(unsafe.Add(unsafe.Pointer(nil), a)) = v
}

// StoreRelease32 is [StoreRelease64] for four bytes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func StoreRelease32(a uintptr, v uint32) {
	inBounds(a, 4)
	*(*uint32)(unsafe.Add(unsafe.Pointer(nil), a)) = v
}
