// SPDX-License-Identifier: Apache-2.0

package between

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"golang.org/x/sys/unix"
)

// messages is an end of what copies messages by system calls: a pipe, a Unix
// socket, a POSIX message queue. A message has the bytes of a sample. Calls are
// raw ones, so that they cost what they do in C.
type messages struct {
	ctx     context.Context
	in, out int // descriptors
	queues  bool
	words   []int32 // of the messages of a batch
	size    int     // words of a message
}

// head is a sample's without values, in words; its first is the sequence number.
const head = int(unsafe.Sizeof(layout.Sample{})) / 4

func (m *messages) allocate(j *job) {
	m.queues = j.Column == "POSIX queue"
	m.size = head + j.Values
	m.words = make([]int32, m.size*max(j.Batch, 1))
}

// make makes both ends; the second one's are files to be inherited, to read from
// and to write to.
func (m *messages) make(j *job) (files []*os.File, err error) {
	m.allocate(j)
	there, back := [2]int{-1, -1}, [2]int{-1, -1} // to read from, to write to
	switch j.Column {
	case "pipe":
		if err = unix.Pipe2(there[:], unix.O_CLOEXEC); err == nil {
			err = unix.Pipe2(back[:], unix.O_CLOEXEC)
		}
	case "Unix socket":
		var pair [2]int
		if pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			there, back = [2]int{pair[1], pair[0]}, [2]int{pair[0], pair[1]}
		}
	default:
		if there, err = makeQueue(m.size * 4); err == nil {
			back, err = makeQueue(m.size * 4)
		}
	}
	if err != nil {
		return nil, err
	}
	m.in, m.out = back[0], there[1]
	files = []*os.File{os.NewFile(uintptr(there[0]), "in")}
	if there[0] != back[1] {
		files = append(files, os.NewFile(uintptr(back[1]), "out"))
	}
	return files, nil
}

// join finds the second process's files.
func (m *messages) join(j *job) {
	const first = 3 // behind standard error
	m.allocate(j)
	m.in, m.out = first, first+1
	if j.Column == "Unix socket" {
		m.out = first
	}
}

func (m *messages) meet(context.Context) error { return nil }

func (m *messages) close() error {
	err := unix.Close(m.in)
	if m.out != m.in && err == nil {
		err = unix.Close(m.out)
	}
	return err
}

// makeQueue makes a message queue without a name.
func makeQueue(size int) (fds [2]int, err error) {
	attributes := struct{ flags, most, size, present, _, _, _, _ int }{most: 10, size: size}
	names++
	name, err := unix.BytePtrFromString(fmt.Sprintf("villas-bench-%d-%d", os.Getpid(), names))
	if err != nil {
		return fds, err
	}
	fd, _, failed := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0600,
		uintptr(unsafe.Pointer(&attributes)), 0, 0)
	if failed != 0 {
		return fds, fmt.Errorf("mq_open for messages of %d bytes: %w", size, failed)
	}
	unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0)
	second, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	return [2]int{int(fd), second}, err
}

// message is the nth of a batch.
func (m *messages) message(n int) []int32 { return m.words[n*m.size:][:m.size] }

// patience is how long a call on a message queue waits until it looks whether the
// measurement goes on; the others hear of the end of the other process.
const patience = time.Second

// move moves all bytes of n messages by calls of number.
func (m *messages) move(n int, descriptor int, stream, queue uintptr) error {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&m.words[0])), 4*m.size*n)
	for len(bytes) > 0 {
		at, moved, failed := uintptr(unsafe.Pointer(&bytes[0])), uintptr(0), unix.Errno(0)
		if m.queues {
			var until unix.Timespec
			unix.ClockGettime(unix.CLOCK_REALTIME, &until)
			until.Sec += int64(patience / time.Second)
			_, _, failed = unix.RawSyscall6(queue, uintptr(descriptor), at, uintptr(4*m.size), 0, uintptr(unsafe.Pointer(&until)), 0)
			moved = uintptr(4 * m.size)
		} else {
			moved, _, failed = unix.RawSyscall(stream, uintptr(descriptor), at, uintptr(len(bytes)))
		}
		switch {
		case failed == unix.EINTR, failed == unix.ETIMEDOUT && m.ctx.Err() == nil:
		case failed != 0:
			return failed
		case moved == 0:
			return io.ErrUnexpectedEOF
		default:
			bytes = bytes[moved:]
		}
	}
	return nil
}

func (m *messages) write(n int) error { return m.move(n, m.out, unix.SYS_WRITE, unix.SYS_MQ_TIMEDSEND) }
func (m *messages) read(n int) error  { return m.move(n, m.in, unix.SYS_READ, unix.SYS_MQ_TIMEDRECEIVE) }

func (m *messages) trip(sequence int32) error {
	smp := m.message(0)
	smp[0] = sequence
	fill(smp[head:], sequence)
	if err := m.write(1); err != nil || sequence == last {
		return err
	}
	err := m.read(1)
	total(smp[head:])
	return err
}

func (m *messages) bounce() (int32, error) {
	if err := m.read(1); err != nil {
		return 0, err
	}
	smp := m.message(0)
	if total(smp[head:]); smp[0] == last {
		return last, nil
	}
	return smp[0], m.write(1)
}

func (m *messages) send(sequence int32, n int) error {
	for i := range n {
		smp := m.message(i)
		smp[0] = int32(i)
		fill(smp[head:], sequence)
	}
	m.message(n - 1)[0] = sequence
	return m.write(n)
}

func (m *messages) take(n int) (int32, error) {
	if err := m.read(n); err != nil {
		return 0, err
	}
	for i := range n {
		total(m.message(i)[head:])
	}
	return m.message(n - 1)[0], nil
}
