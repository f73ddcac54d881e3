// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/pthread"
	"golang.org/x/sys/unix"
)

// A semaphore is a named one, as glibc's sem_open keeps it: a sem_t in the file
// /dev/shm/sem.NAME. Opened without sem_open, since that does not tell which file
// it opened.
type semaphore struct {
	file string // the name of the object that it is
	addr uintptr
	st   unix.Stat_t
	made bool // by us
}

// openSemaphore opens the semaphore of the object called name.
func openSemaphore(name string) (*semaphore, error) {
	s := &semaphore{file: semaphoreFile(name)}
	fd, err := posixshm.Open(s.file)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := s.attach(fd); err != nil {
		return nil, err
	}
	return s, nil
}

// makeSemaphore makes it with value 0: EEXIST if there is one.
func makeSemaphore(name string, mode os.FileMode, group int) (*semaphore, error) {
	s := &semaphore{file: semaphoreFile(name), made: true}
	fd, path, err := posixshm.Create(pthread.SemaphoreSize, mode, group)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err = s.attach(fd); err == nil {
		if err = pthread.InitSemaphore(s.addr); err == nil {
			err = posixshm.Publish(path, s.file, nil)
		}
		if err != nil {
			s.close()
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func semaphoreFile(name string) string { return "sem." + strings.TrimLeft(name, "/") }

func (s *semaphore) attach(fd int) (err error) {
	if s.st, err = posixshm.Stat(fd); err == nil && s.st.Size < pthread.SemaphoreSize {
		err = unix.EPROTO
	}
	if err == nil {
		s.addr, err = posixshm.Map(fd, pthread.SemaphoreSize, false)
	}
	return err
}

func (s *semaphore) post()                     { pthread.Post(s.addr) }
func (s *semaphore) take(d time.Duration) bool { return pthread.Take(s.addr, d) }
func (s *semaphore) tryTake() bool             { return pthread.TryTake(s.addr) }

// drain takes all there is and reports whether there was anything.
func (s *semaphore) drain() (any bool) {
	for s.tryTake() {
		any = true
	}
	return any
}

func (s *semaphore) value() int { return pthread.Value(s.addr) }

// What became of a semaphore's name.
const (
	named    = iota
	nameless // nobody has it
	replaced // another semaphore has it
)

func (s *semaphore) look() int {
	switch {
	case posixshm.LeadsTo(s.file, &s.st):
		return named
	case posixshm.Exists(s.file):
		return replaced
	}
	return nameless
}

func (s *semaphore) unlink() { posixshm.Unlink(s.file, &s.st) }

// tidy removes the name unless another process than this and peer has the semaphore
// open: that one would wait for ever at a semaphore which nobody finds any more. The
// name goes first and comes back then, so that nobody can come between the look and
// the removal.
func (s *semaphore) tidy(peer int) {
	if s.look() == named {
		posixshm.PutAside(s.file, func() bool {
			pids, _ := liveness.Mappers(s.st.Dev, s.st.Ino)
			return slices.ContainsFunc(pids, func(pid int) bool { return pid != peer })
		})
	}
}

func (s *semaphore) close() { posixshm.Unmap(s.addr, pthread.SemaphoreSize) }
