// SPDX-License-Identifier: Apache-2.0

// Package pthread works glibc's process-shared mutex, condition variable and
// barrier at an address in shared memory, for peers that know nothing else. It
// needs no cgo: glibc is reached through purego, when the first object is used
// and not before.
//
// A mutex belongs to an operating system thread: callers hold
// runtime.LockOSThread from Lock to Unlock.
package pthread

import (
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/word"
	"golang.org/x/sys/unix"
)

// Values of glibc's constants on Linux.
const (
	processShared = 1
	robust        = 1
	rtldNow       = 2
)

type glibc struct {
	mutexInit, mutexLock, mutexTrylock, mutexUnlock, mutexConsistent         uintptr
	mutexattrInit, mutexattrShared, mutexattrRobust                          uintptr
	condInit, condWait, condBroadcast, condattrInit, condattrShared, barInit uintptr
	barattrInit, barattrShared, barWait                                      uintptr
}

var load = sync.OnceValues(func() (*glibc, error) {
	lib, err := purego.Dlopen("libc.so.6", rtldNow)
	if err != nil {
		return nil, fmt.Errorf("a peer built with the original needs glibc's pthread functions: %w", err)
	}
	c := new(glibc)
	for name, p := range map[string]*uintptr{
		"pthread_mutex_init": &c.mutexInit, "pthread_mutex_clocklock": &c.mutexLock, "pthread_mutex_unlock": &c.mutexUnlock,
		"pthread_mutex_trylock":    &c.mutexTrylock,
		"pthread_mutex_consistent": &c.mutexConsistent, "pthread_mutexattr_init": &c.mutexattrInit,
		"pthread_mutexattr_setpshared": &c.mutexattrShared, "pthread_mutexattr_setrobust": &c.mutexattrRobust,
		"pthread_cond_init": &c.condInit, "pthread_cond_clockwait": &c.condWait, "pthread_cond_broadcast": &c.condBroadcast,
		"pthread_condattr_init": &c.condattrInit, "pthread_condattr_setpshared": &c.condattrShared,
		"pthread_barrier_init": &c.barInit, "pthread_barrierattr_init": &c.barattrInit,
		"pthread_barrierattr_setpshared": &c.barattrShared, "pthread_barrier_wait": &c.barWait,
	} {
		if *p, err = purego.Dlsym(lib, name); err != nil {
			return nil, fmt.Errorf("glibc 2.34 or later is needed: %w", err)
		}
	}
	return c, nil
})

// Available reports why the primitives cannot be used, nil if they can.
func Available() error {
	_, err := load()
	return err
}

// call keeps the objects that its arguments are made of alive, and off the
// movable stack, until it returns.
//
//go:uintptrescapes
func call(fn uintptr, args ...uintptr) error {
	if r, _, _ := purego.SyscallN(fn, args...); r != 0 {
		return unix.Errno(r)
	}
	return nil
}

// attributes has room for any of glibc's attribute objects.
type attributes [8]uint64

// InitMutex makes the 40 bytes at m a process-shared mutex, robust: if its
// holder dies, the next to lock it gets it.
func InitMutex(m uintptr) error {
	c, err := load()
	if err != nil {
		return err
	}
	a := new(attributes)
	call(c.mutexattrInit, uintptr(unsafe.Pointer(a)))
	call(c.mutexattrShared, uintptr(unsafe.Pointer(a)), processShared)
	call(c.mutexattrRobust, uintptr(unsafe.Pointer(a)), robust)
	return call(c.mutexInit, m, uintptr(unsafe.Pointer(a)))
}

// InitCond makes the 48 bytes at v a process-shared condition variable.
func InitCond(v uintptr) error {
	c, err := load()
	if err != nil {
		return err
	}
	a := new(attributes)
	call(c.condattrInit, uintptr(unsafe.Pointer(a)))
	call(c.condattrShared, uintptr(unsafe.Pointer(a)), processShared)
	return call(c.condInit, v, uintptr(unsafe.Pointer(a)))
}

// InitBarrier makes the 32 bytes at b a process-shared barrier for count, and
// the 4 bytes at attr its attributes.
func InitBarrier(b, attr uintptr, count uint32) error {
	c, err := load()
	if err != nil {
		return err
	}
	call(c.barattrInit, attr)
	call(c.barattrShared, attr, processShared)
	return call(c.barInit, b, attr, uintptr(count))
}

func until(d time.Duration) *unix.Timespec {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	t := unix.NsecToTimespec(now.Nano() + int64(d))
	return &t
}

// Lock locks the mutex at m, waiting no longer than d: ETIMEDOUT then. A mutex
// whose holder died is made consistent.
func Lock(m uintptr, d time.Duration) error {
	c, err := load()
	if err != nil {
		return err
	}
	if err = call(c.mutexTrylock, m); err == unix.EBUSY {
		err = call(c.mutexLock, m, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(until(d))))
	}
	if err == unix.EOWNERDEAD {
		return call(c.mutexConsistent, m)
	}
	return err
}

// Unlock unlocks the mutex at m.
func Unlock(m uintptr) {
	if c, err := load(); err == nil {
		call(c.mutexUnlock, m)
	}
}

// Wait waits for the condition variable at v with the mutex at m locked, no
// longer than d.
func Wait(v, m uintptr, d time.Duration) error {
	c, err := load()
	if err != nil {
		return err
	}
	err = call(c.condWait, v, m, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(until(d))))
	if err == unix.EOWNERDEAD {
		return call(c.mutexConsistent, m)
	}
	return err
}

// Broadcast wakes all that wait for the condition variable at v.
func Broadcast(v uintptr) {
	if c, err := load(); err == nil {
		call(c.condBroadcast, v)
	}
}

// MakeAnew lets go everybody who is stuck in glibc on the condition variable at v.
// Its waiters sleep until the words at 40 and 44 are not 0, since 2.25. What else
// glibc waits for there are words that become 0 or smaller: groups left by
// their waiters, a lock. All are set to 0, since which ones wait for what differs
// from version to version, and who sleeps on them is woken. Only for an object
// that nobody uses any more but those who shall leave: repeat it until they have.
func MakeAnew(v uintptr) {
	const size, signals = 48, 40
	for i := uintptr(0); i < signals; i += 4 {
		word.Store32(v+i, 0)
	}
	word.Store32(v+signals, 1)
	word.Store32(v+signals+4, 1)
	for i := uintptr(0); i < size; i += 4 {
		futex.Wake(v + i)
	}
}

// The words at the front of glibc's mutex.
const (
	mutexOwner  = 8  // thread id
	mutexKind   = 16 // robust: kindRobust
	kindRobust  = 16
	holderLooks = 50
)

// UnlockFor unlocks the mutex at m, if it is not robust, in the place of its
// holder in another process, which does it no more. A thread of this process gets
// out of where it stands and unlocks it itself; its id stands there a moment after
// it has the lock, so that an unknown holder counts only when it stays so for some
// looks, which unknown counts.
func UnlockFor(m uintptr, unknown *int) {
	owner := word.Load32(m + mutexOwner)
	if word.Load32(m+mutexKind)&kindRobust != 0 || word.Load32(m) == 0 ||
		owner != 0 && unix.Tgkill(os.Getpid(), int(owner), 0) == nil {
		*unknown = 0
		return
	}
	if *unknown++; owner == 0 && *unknown < holderLooks {
		return
	}
	*unknown = 0
	word.Store32(m+mutexOwner, 0)
	word.Store32(m, 0)
	futex.Wake(m)
}

// The words that glibc keeps at the front of a barrier since 2.25.
const (
	barArrived = 0 // in all rounds
	barBefore  = 4 // in the rounds that are complete; who waits sleeps on it
	barCount   = 8 // arrivals that make a round
)

// Arrived returns how many have arrived at the barrier at b, in all, and in the
// rounds that are complete.
func Arrived(b uintptr) (arrived, before uint32) {
	before = word.Load32(b + barBefore)
	return word.Load32(b + barArrived), before
}

// BarrierWord is the futex on which those sleep who wait at the barrier at b.
func BarrierWord(b uintptr) uintptr { return b + barBefore }

// BarrierCount returns how many arrivals the barrier at b is made for.
func BarrierCount(b uintptr) uint32 { return word.Load32(b + barCount) }

// OpenBarrier lets those who stand at the barrier at b go on as if all had come.
func OpenBarrier(b uintptr) {
	word.Store32(b+barBefore, word.Load32(b+barArrived))
	futex.Wake(b + barBefore)
}

// Meet arrives at the barrier at b and waits until it is complete. That cannot
// be interrupted.
func Meet(b uintptr) {
	if c, err := load(); err == nil {
		purego.SyscallN(c.barWait, b)
	}
}
