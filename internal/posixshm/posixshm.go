// SPDX-License-Identifier: Apache-2.0

// Package posixshm creates, finds, replaces and maps POSIX shared memory objects
// by name, as glibc's shm_open does: files in /dev/shm.
package posixshm

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const dir = "/dev/shm/"

// Path returns the path of the object called name. A leading '/' is optional,
// another one is EINVAL, as is an empty name; more than 255 bytes are
// ENAMETOOLONG.
func Path(name string) (string, error) {
	base := strings.TrimLeft(name, "/")
	switch {
	case base == "" || base == "." || base == ".." || strings.ContainsAny(base, "/\x00"):
		return "", unix.EINVAL
	case len(base) > unix.NAME_MAX:
		return "", unix.ENAMETOOLONG
	}
	return dir + base, nil
}

// Open opens the existing object called name for reading and writing.
func Open(name string) (fd int, err error) { return open(name, unix.O_RDWR) }

// OpenToRead opens the existing object called name for reading only.
func OpenToRead(name string) (fd int, err error) { return open(name, unix.O_RDONLY) }

func open(name string, access int) (fd int, err error) {
	path, err := Path(name)
	if err != nil {
		return -1, err
	}
	fd, err = unix.Open(path, access|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == unix.ELOOP {
		err = unix.EACCES
	}
	return fd, err
}

// Create makes an object of size bytes, all of them reserved, that has no name
// yet: path leads to it as long as fd is open, and if this process dies before it
// is published nothing is left. mode are its permissions, group its group (-1: the
// process's).
func Create(size int64, mode os.FileMode, group int) (fd int, path string, err error) {
	fd, err = unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0600)
	if err != nil {
		return -1, "", err
	}
	for err = unix.EINTR; err == unix.EINTR || err == unix.ENOSPC && collect(); {
		err = unix.Fallocate(fd, 0, 0, size)
	}
	if err == nil && group >= 0 {
		err = unix.Fchown(fd, -1, group)
	}
	if err == nil {
		err = unix.Fchmod(fd, uint32(mode.Perm()))
	}
	if err != nil {
		unix.Close(fd)
		return -1, "", err
	}
	return fd, fmt.Sprintf("/proc/self/fd/%d", fd), nil
}

func link(path, name string) error {
	return unix.Linkat(unix.AT_FDCWD, path, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
}

var count atomic.Uint32

// temporary is a path that nobody else uses.
func temporary() string {
	return fmt.Sprintf("%s.villas-ext.%d.%d.%x", dir, os.Getpid(), count.Add(1), time.Now().UnixNano())
}

// Publish gives the object at path the name. It fails with EEXIST if the name is
// taken, but for the object that replace identifies.
func Publish(path, name string, replace *unix.Stat_t) error {
	target, err := Path(name)
	if err != nil {
		return err
	}
	if replace == nil {
		return link(path, target)
	}
	var now unix.Stat_t
	if err := unix.Lstat(target, &now); err != nil {
		return err
	}
	switch {
	case now.Mode&unix.S_IFMT != unix.S_IFREG || now.Dev != replace.Dev || now.Ino != replace.Ino:
		return unix.EEXIST
	case int(now.Uid) != os.Geteuid():
		return unix.EACCES
	}
	somewhere := temporary()
	if err := link(path, somewhere); err != nil {
		return err
	}
	if err := unix.Rename(somewhere, target); err != nil {
		unix.Unlink(somewhere)
		return err
	}
	return nil
}

// Unlink removes the name if it still leads to the object of st.
func Unlink(name string, st *unix.Stat_t) error {
	path, err := Path(name)
	if err != nil {
		return err
	}
	if !LeadsTo(name, st) {
		return unix.ENOENT
	}
	return unix.Unlink(path)
}

// PutAside takes the name away, and gives it back if keep says so then: who comes
// meanwhile finds nothing.
func PutAside(name string, keep func() bool) error {
	path, err := Path(name)
	if err != nil {
		return err
	}
	aside := temporary()
	if err := unix.Rename(path, aside); err != nil {
		return err
	}
	if keep() {
		unix.Link(aside, path) // unless somebody else has the name by now
	}
	return unix.Unlink(aside)
}

// LeadsTo reports whether the name leads to the object of st.
func LeadsTo(name string, st *unix.Stat_t) bool {
	path, err := Path(name)
	var now unix.Stat_t
	return err == nil && unix.Lstat(path, &now) == nil && now.Dev == st.Dev && now.Ino == st.Ino
}

// Map maps size bytes of fd, touched once so that no page faults later, and
// returns their address. lock keeps them in memory.
func Map(fd int, size uintptr, lock bool) (uintptr, error) {
	p, err := mapShared(fd, size)
	if err != nil {
		return 0, err
	}
	if lock {
		if err := unix.Mlock(unsafe.Slice((*byte)(p), size)); err != nil {
			unmapShared(uintptr(p), size)
			return 0, fmt.Errorf("lock %d bytes in memory (see RLIMIT_MEMLOCK): %w", size, err)
		}
	}
	return uintptr(p), nil
}

// Unmap takes the mapping at address base away. Nobody may be in a call on it.
func Unmap(base, size uintptr) { unmapShared(base, size) }

// Abandon unmaps the mapping at address base when the garbage collector sees that
// nothing refers to owner any more, and then calls after, which may be nil. So
// calls that never wait need not be counted, which would double what they cost.
// Where much is abandoned, or room is needed, it is collected at once.
func Abandon[T any](owner *T, base, size uintptr, after func()) {
	runtime.AddCleanup(owner, func(base uintptr) {
		unmapShared(base, size)
		abandoned.Add(-int64(size))
		if after != nil {
			after()
		}
	}, base)
	if abandoned.Add(int64(size)) > muchAbandoned {
		runtime.GC()
	}
}

// collect has the garbage collector come to what is abandoned, and reports whether
// it let anything go.
func collect() bool {
	before := abandoned.Load()
	for end := time.Now().Add(patience); abandoned.Load() >= before; {
		if before == 0 || time.Now().After(end) {
			return false
		}
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run on a goroutine of their own
	}
	return true
}

// Discard is Abandon that lets the object go at once: those who may still be in a
// call on it find zeros, in private memory.
func Discard[T any](owner *T, base, size uintptr, after func()) {
	unix.MmapPtr(-1, 0, unsafe.Add(unsafe.Pointer(nil), base), size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE|unix.MAP_FIXED) // where it fails the object stays until then
	Abandon(owner, base, size, after)
}

// abandoned are the bytes of mappings that the garbage collector has not come to.
var abandoned atomic.Int64

const (
	muchAbandoned = 64 << 20
	patience      = 100 * time.Millisecond
)

// Stat identifies the object that fd is open on, which must be a regular file.
func Stat(fd int) (st unix.Stat_t, err error) {
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.EPROTO
	}
	return st, err
}

// Exists reports whether something has the name.
func Exists(name string) bool {
	path, err := Path(name)
	var st unix.Stat_t
	return err == nil && unix.Lstat(path, &st) == nil
}
