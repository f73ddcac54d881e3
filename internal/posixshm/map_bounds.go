// SPDX-License-Identifier: Apache-2.0

//go:build bounds

package posixshm

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/villas-ext/villas-ext/internal/word"
)

// reserved is how much address space before and behind a mapping faults when
// touched, in builds with the tag bounds.
const reserved = 4 << 30

func mapShared(fd int, size uintptr) (unsafe.Pointer, error) {
	size = (size + 4095) &^ 4095
	p, err := unix.MmapPtr(-1, 0, nil, size+2*reserved, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	at := unsafe.Add(p, reserved)
	if _, err = unix.MmapPtr(fd, 0, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE|unix.MAP_FIXED); err != nil {
		unix.MunmapPtr(p, size+2*reserved)
		return nil, err
	}
	word.Allow(uintptr(at), size)
	return at, nil
}

func unmapShared(base, size uintptr) {
	word.Forbid(base)
	unix.MunmapPtr(unsafe.Add(unsafe.Pointer(nil), base-reserved), (size+4095)&^4095+2*reserved)
}
