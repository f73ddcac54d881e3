// SPDX-License-Identifier: Apache-2.0

package liveness

import "sync/atomic"

// A Sighting is a process that was seen to map an object: who holds no lock is
// judged by that. One that was never seen, since it is another user's or in another
// container, cannot be judged so.
type Sighting struct {
	pid     atomic.Int32 // 0: never seen
	program atomic.Pointer[Program]
}

// Pid is the id of the process, 0 if none was ever seen.
func (s *Sighting) Pid() int { return int(s.pid.Load()) }

// Look looks for processes that map the object, and returns how many it sees: none,
// one, or two and more.
func (s *Sighting) Look(dev, ino uint64) int {
	n, pid := MappedBy(dev, ino)
	if n > 0 {
		program := ProgramOf(pid)
		s.program.Store(&program)
		s.pid.Store(int32(pid))
	}
	return n
}

// Remains reports whether the process that was seen maps the object still. When it
// is gone, a child that it forked may, which runs the same program, since exec would
// unmap.
func (s *Sighting) Remains(dev, ino uint64) bool {
	if Maps(s.Pid(), dev, ino) {
		return true
	}
	child := MappedByProgram(*s.program.Load(), dev, ino)
	if child != 0 {
		s.pid.Store(int32(child))
	}
	return child != 0
}
