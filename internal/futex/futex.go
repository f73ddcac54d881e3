// SPDX-License-Identifier: Apache-2.0

// Package futex lets processes sleep on a word in shared memory and wake each
// other (futex(2), the shared form).
package futex

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	opWait = 0
	opWake = 1
)

// Wait sleeps while the word at address a is value, but no longer than timeout;
// a negative timeout is none. It may return early for no reason: look again.
func Wait(a uintptr, value uint32, timeout time.Duration) {
	if timeout < 0 {
		unix.Syscall6(unix.SYS_FUTEX, a, opWait, uintptr(value), 0, 0, 0)
		return
	}
	t := unix.NsecToTimespec(int64(timeout))
	unix.Syscall6(unix.SYS_FUTEX, a, opWait, uintptr(value), uintptr(unsafe.Pointer(&t)), 0, 0)
}

// Wake wakes everybody who sleeps on the word at address a and returns how many.
func Wake(a uintptr) int {
	n, _, err := unix.RawSyscall6(unix.SYS_FUTEX, a, opWake, 1<<31-1, 0, 0, 0)
	if err != 0 {
		return 0
	}
	return int(n)
}
