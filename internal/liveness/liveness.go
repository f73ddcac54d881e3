// SPDX-License-Identifier: Apache-2.0

// Package liveness tells whether the other side of a shared memory object still
// lives. Each side locks a byte of the object; the kernel drops the lock when
// the process dies, however it dies.
package liveness

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The bytes that the sides lock, far past the end of any object.
const (
	NodeByte    = 0x4000000000000001
	ProgramByte = 0x4000000000000002
)

// A Hold keeps a byte locked for as long as the process lives, or until
// Release. The lock belongs to an open file description that a single page
// references, and that page is not passed on by fork: so a child that outlives
// its parent does not keep the parent's lock.
type Hold struct{ page []byte }

// Take locks byte at of the object that fd is open on. It fails with EAGAIN if
// another holds it.
func Take(fd int, at int64) (*Hold, error) {
	own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reopen the object for its lock: %w", err)
	}
	defer unix.Close(own)
	if err := unix.FcntlFlock(uintptr(own), unix.F_OFD_SETLK, lock(at)); err != nil {
		return nil, err
	}
	page, err := unix.Mmap(own, 0, os.Getpagesize(), unix.PROT_NONE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the page that keeps the lock: %w", err)
	}
	if err := unix.Madvise(page, unix.MADV_DONTFORK); err != nil {
		unix.Munmap(page)
		return nil, fmt.Errorf("keep the lock out of children: %w", err)
	}
	return &Hold{page}, nil
}

// Release drops the lock.
func (h *Hold) Release() {
	if h != nil && h.page != nil {
		unix.Munmap(h.page)
		h.page = nil
	}
}

func lock(at int64) *unix.Flock_t {
	return &unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET, Start: at, Len: 1}
}

// Held reports whether somebody holds byte at of the object that fd is open on.
func Held(fd int, at int64) (bool, error) {
	l := lock(at)
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, l); err != nil {
		return false, err
	}
	return l.Type != unix.F_UNLCK, nil
}

// Maps reports whether the process pid maps the object of this device and inode;
// false also where that cannot be seen.
func Maps(pid int, dev, ino uint64) bool {
	maps, _ := mapsObject(pid, dev, ino)
	return maps
}

func mapsObject(pid int, dev, ino uint64) (bool, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	return bytes.Contains(maps, fmt.Appendf(nil, " %02x:%02x %d ", unix.Major(dev), unix.Minor(dev), ino)), err
}

// A Program is what a process runs: the device and inode of its file.
type Program struct{ dev, ino uint64 }

// ProgramOf returns what the process pid runs; the zero Program where that cannot
// be seen. Unlike its maps it can be asked for without waiting for the process's
// memory, which takes seconds where that has no CPU.
func ProgramOf(pid int) Program {
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/exe", pid), &st) != nil {
		return Program{}
	}
	return Program{st.Dev, st.Ino}
}

// MappedByProgram returns the id of another process that runs p and maps the
// object, 0 if none is seen.
func MappedByProgram(p Program, dev, ino uint64) int {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && ProgramOf(pid) == p && Maps(pid, dev, ino) {
			return pid
		}
	}
	return 0
}

// MappedBy returns how many other processes map the object of this device and
// inode, none, one, or two and more, and the id of the first, rather of one that
// runs another program than this, which a forked child does; 0 also where that
// cannot be seen.
func MappedBy(dev, ino uint64) (n, first int) {
	own, foreign := ProgramOf(os.Getpid()), false
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || n >= 2 && foreign || !Maps(pid, dev, ino) {
			continue
		}
		other := ProgramOf(pid) != own
		if n == 0 || other && !foreign {
			first = pid
		}
		n, foreign = n+1, foreign || other
	}
	return n, first
}

// Mappers are the ids of all other processes that map the object; sure is false if
// a process could not be looked into.
func Mappers(dev, ino uint64) (pids []int, sure bool) {
	entries, err := os.ReadDir("/proc")
	sure = err == nil
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		maps, err := mapsObject(pid, dev, ino)
		if maps {
			pids = append(pids, pid)
		}
		sure = sure && !os.IsPermission(err)
	}
	return pids, sure
}
