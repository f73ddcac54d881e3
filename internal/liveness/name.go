// SPDX-License-Identifier: Apache-2.0

package liveness

import (
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"golang.org/x/sys/unix"
)

// Ours reports whether the object that fd is open on was made by one of ours, so
// that its maker's lock, [NodeByte], tells whether that lives.
type Ours func(fd int, st unix.Stat_t) bool

// TakeName puts the finished object at path under the name. One that somebody dead
// left there is replaced, a living one's is not: EEXIST.
func TakeName(path, name string, ours Ours) error {
	for range 100 {
		err := posixshm.Publish(path, name, nil)
		if err != unix.EEXIST {
			return err
		}
		fd, err := posixshm.Open(name)
		if err == unix.ENOENT {
			continue
		}
		if err == unix.EACCES { // another user's, or a symbolic link
			return err
		}
		if err != nil {
			return unix.EEXIST
		}
		err = replaceStale(fd, path, name, ours)
		unix.Close(fd)
		if err == nil || err != unix.ENOENT {
			return err
		}
	}
	return unix.EEXIST
}

func replaceStale(fd int, path, name string, ours Ours) error {
	hold, st, err := HoldStale(fd, ours)
	if err != nil {
		return unix.EEXIST
	}
	defer hold.Release()
	return posixshm.Publish(path, name, &st)
}

// HoldStale takes the lock of the dead maker of the object that fd is open on,
// which keeps others from replacing or removing it meanwhile. It fails if the maker
// lives: a foreign one holds no lock, but maps what it made.
func HoldStale(fd int, ours Ours) (hold *Hold, st unix.Stat_t, err error) {
	if hold, err = Take(fd, NodeByte); err != nil {
		return nil, st, err
	}
	if st, err = posixshm.Stat(fd); err == nil && !ours(fd, st) {
		if n, _ := MappedBy(st.Dev, st.Ino); n > 0 {
			err = unix.EEXIST
		}
	}
	if err != nil {
		hold.Release()
		return nil, st, err
	}
	return hold, st, nil
}
