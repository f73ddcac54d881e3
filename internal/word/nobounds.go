// SPDX-License-Identifier: Apache-2.0

//go:build !bounds

package word

import "unsafe"

// Allow makes the size bytes at start accessible: of effect only in builds with
// the tag bounds, where any other access by this package is a crash.
//
//go:nosplit
//go:norace
func Allow(start, size uintptr) {}

// Forbid takes back what was allowed from start on.
//
//go:nosplit
//go:norace
func Forbid(start uintptr) {}

//go:nosplit
//go:norace
func inBounds(a, size uintptr) {}

// At turns an address outside the Go heap into a pointer.
//
//go:nosplit
//go:norace
//go:nocheckptr
func At(a uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), a) }
