// SPDX-License-Identifier: Apache-2.0

package pthread

import (
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// SemaphoreSize is the bytes of a sem_t.
const SemaphoreSize = 32

type semaphores struct{ init, post, tryWait, clockWait, getValue uintptr }

var loadSemaphores = sync.OnceValues(func() (*semaphores, error) {
	lib, err := purego.Dlopen("libc.so.6", rtldNow)
	if err != nil {
		return nil, fmt.Errorf("semaphores need glibc: %w", err)
	}
	s := new(semaphores)
	for name, p := range map[string]*uintptr{"sem_init": &s.init, "sem_post": &s.post, "sem_trywait": &s.tryWait,
		"sem_clockwait": &s.clockWait, "sem_getvalue": &s.getValue} {
		if *p, err = purego.Dlsym(lib, name); err != nil {
			return nil, fmt.Errorf("glibc 2.34 or later is needed: %w", err)
		}
	}
	return s, nil
})

// SemaphoresAvailable reports why semaphores cannot be used, nil if they can.
func SemaphoresAvailable() error {
	_, err := loadSemaphores()
	return err
}

// InitSemaphore makes the bytes at s a process-shared semaphore of value 0.
func InitSemaphore(s uintptr) error {
	c, err := loadSemaphores()
	if err != nil {
		return err
	}
	return call(c.init, s, processShared, 0)
}

// Post raises the semaphore at s.
func Post(s uintptr) {
	if c, err := loadSemaphores(); err == nil {
		purego.SyscallN(c.post, s)
	}
}

// TryTake lowers the semaphore at s and reports whether it could at once.
func TryTake(s uintptr) bool {
	c, err := loadSemaphores()
	if err != nil {
		return false
	}
	r, _, _ := purego.SyscallN(c.tryWait, s)
	return int32(r) == 0
}

// Take lowers the semaphore at s, waiting no longer than d, and reports whether
// it could.
func Take(s uintptr, d time.Duration) bool {
	c, err := loadSemaphores()
	if err != nil {
		return false
	}
	return call(c.clockWait, s, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(until(d)))) == nil
}

// Value is the value of the semaphore at s.
func Value(s uintptr) int {
	c, err := loadSemaphores()
	if err != nil {
		return 0
	}
	v := new(int32)
	call(c.getValue, s, uintptr(unsafe.Pointer(v)))
	return int(*v)
}
