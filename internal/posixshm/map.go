// SPDX-License-Identifier: Apache-2.0

//go:build !bounds

package posixshm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func mapShared(fd int, size uintptr) (unsafe.Pointer, error) {
	return unix.MmapPtr(fd, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

func unmapShared(base, size uintptr) {
	unix.MunmapPtr(unsafe.Add(unsafe.Pointer(nil), base), size)
}
