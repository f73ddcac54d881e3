// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"context"
	"io"
	"iter"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/wait"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
)

const (
	// unpublishedAfter is when a claimed cell counts as never to be published.
	unpublishedAfter = 20 * time.Millisecond
	// defaultSpin is how long a reader in signalled mode spins before it sleeps.
	defaultSpin = 50 * time.Microsecond
	// grace is how long one who leaves stays for the other side to come out of
	// what both share.
	grace = time.Second
	// ghostAfter is when one who came to the barrier, does not sleep there and has
	// no process to be seen counts as dead; ghostUnseenAfter the same without a
	// look at processes, which may be in another container.
	ghostAfter       = 100 * time.Millisecond
	ghostUnseenAfter = 5 * time.Second
)

// mapping is one mapped region and what this process knows of the other side.
type mapping struct {
	Region
	wait.Party
	fd       int
	st       unix.Stat_t
	hold     *liveness.Hold
	peerByte int64 // that the other side locks
	held     []byte
	in, out  direction

	met                atomic.Bool  // at the barrier
	peer               atomic.Int32 // process id of a peer without a lock; 0: never seen
	told, toldAttached sync.Once
	gone               func(m *mapping) // hears once that the other side is gone; may be nil
	callers            atomic.Int32
}

// direction is a channel and how to wait for it.
type direction struct {
	*Channel
	wait wait.Channel
}

// ready prepares a mapping whose region is attached for waiting.
func (m *mapping) ready() {
	for d, c := range map[*direction]*Channel{&m.in: &m.In, &m.out: &m.Out} {
		d.Channel = c
		d.wait.Waiters, d.wait.Ready, d.wait.Mutex = c.Waiters, c.Ready, c.Mutex
		d.wait.Done = func() bool { return c.Readable() || c.HasStopped() }
	}
	m.Party.Polling = m.Region.Polling
	m.Party.Channels = [2]*wait.Channel{&m.in.wait, &m.out.wait}
	m.Party.Barrier = m.Region.Barrier
	m.Party.Lives = m.peerLives
	m.Party.Begin()
}

// unmap forgets the region. Nobody may be in a call on it.
func (m *mapping) unmap() {
	m.Unguard()
	m.hold.Release()
	posixshm.Unmap(m.Base, m.Size)
	unix.Close(m.fd)
	if m.held != nil {
		unix.Munmap(m.held)
	}
}

// isNode reports whether this process is the node here.
func (m *mapping) isNode() bool { return m.peerByte == liveness.ProgramByte }

// peerStopped reports whether the other side has said that it stops.
func (m *mapping) peerStopped() bool {
	if m.isNode() {
		return m.In.HasStopped()
	}
	return m.Out.HasStopped()
}

// peerLives reports false once the other side is known to be dead.
func (m *mapping) peerLives() bool {
	lives := true
	if m.isNode() && !m.attached() {
		return true // nobody is there yet
	}
	if m.Party.Legacy.Load() {
		lives = m.legacyPeerLives()
	} else if held, err := liveness.Held(m.fd, m.peerByte); err == nil {
		lives = held
	}
	if !lives {
		m.Dead.Store(true)
		m.tellGone()
	}
	return lives
}

// legacyPeerLives: a peer without a lock lives as long as some process maps the
// object. The one that was last seen to is asked first: all of them are hundreds
// of files. One that was never seen, since it is another user's or in another
// container, can only be judged by [Node.ProgramEnded].
func (m *mapping) legacyPeerLives() bool {
	peer := int(m.peer.Load())
	if peer != 0 && liveness.Maps(peer, m.st.Dev, m.st.Ino) {
		return true
	}
	if peer == 0 && m.met.Load() {
		return true
	}
	return m.peerSeen() || peer == 0
}

// peerSeen reports whether some process is seen to map the region.
func (m *mapping) peerSeen() bool {
	pid := liveness.MappedBy(m.st.Dev, m.st.Ino)
	if pid != 0 {
		m.peer.Store(int32(pid))
	}
	return pid != 0
}

// tellGone tells the user, once, that the other side is gone.
func (m *mapping) tellGone() {
	if m.gone != nil {
		m.told.Do(func() { m.gone(m) })
	}
}

// A side is one end of a region: what Node and Program have in common.
type side struct {
	name     string
	spin     time.Duration
	current  atomic.Pointer[mapping]
	rx, tx   func(*mapping) *direction // the directions that this side reads and writes
	deadline atomic.Int64              // of reads, UnixNano; 0: none
}

func in(m *mapping) *direction  { return &m.in }
func out(m *mapping) *direction { return &m.out }

// spinFor turns an option into the longest spin before a sleep.
func spinFor(option time.Duration) time.Duration {
	if runtime.NumCPU() < 2 || option < 0 {
		return 0
	}
	if option > 0 {
		return option
	}
	if us, err := strconv.Atoi(os.Getenv("VILLAS_EXT_SPIN")); err == nil {
		return time.Duration(max(us, 0)) * time.Microsecond
	}
	return defaultSpin
}

// enter counts a call on the present mapping, so that it is not unmapped.
func (s *side) enter() (*mapping, error) {
	m := s.current.Load()
	if m == nil {
		return nil, os.ErrClosed
	}
	m.callers.Add(1)
	if m.Closing.Load() {
		m.callers.Add(-1)
		return nil, os.ErrClosed
	}
	return m, nil
}

func (m *mapping) leave() { m.callers.Add(-1) }

// driveOut ends the calls that wait on m and waits until they have returned.
func (m *mapping) driveOut() {
	m.LeaveBy(time.Now().Add(grace))
	m.Closing.Store(true)
	for m.callers.Load() != 0 {
		m.Wake(&m.in.wait)
		m.Wake(&m.out.wait)
		time.Sleep(100 * time.Microsecond)
	}
}

// Pool returns the pool of the present region. It is valid until Close, a node's
// until the Accept after a program has gone.
func (s *side) Pool() *pool.View { return &s.current.Load().Region.Pool }

// Polling reports whether readers poll instead of being woken.
func (s *side) Polling() bool { return s.current.Load().Region.Polling }

// Name returns the name of the region.
func (s *side) Name() string { return s.name }

// Alloc takes up to len(smps) samples from the pool and returns how many it got,
// each with one reference. It never blocks.
func (s *side) Alloc(smps []sample.Sample) int {
	m, err := s.enter()
	if err != nil {
		return 0
	}
	defer m.leave()
	return sample.Alloc(&m.Region.Pool, smps)
}

// take pulls what is there.
func (m *mapping) take(c *direction, smps []sample.Sample) (n int, err error) {
	for n < len(smps) {
		pos, got := c.ClaimPull(uint64(len(smps) - n))
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			if a := m.Take(c.Channel, pos); a == 0 {
				err = ErrDamaged
			} else {
				smps[n] = sample.At(a, &m.Region.Pool)
				n++
			}
		}
		if err != nil {
			break
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// TryRead takes up to len(smps) samples that are there and never blocks: 0 if
// there are none. Errors are those of Read.
func (s *side) TryRead(smps []sample.Sample) (int, error) {
	m, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer m.leave()
	c := s.rx(m)
	n, err := m.take(c, smps)
	if n > 0 || err != nil || len(smps) == 0 {
		return n, err
	}
	if c.HasStopped() || m.Dead.Load() {
		return m.drain(c, smps)
	}
	m.LookAfter(time.Now())
	return 0, nil
}

// drain reads what a side that is gone has left; cells that it claimed and never
// published are stepped over. Then comes the end.
func (m *mapping) drain(c *direction, smps []sample.Sample) (int, error) {
	for waited := m.Dead.Load(); ; {
		if n, err := m.take(c, smps); n > 0 || err != nil {
			return n, err
		}
		if !waited {
			if c.Readable() || c.Len() == 0 {
				break
			}
			time.Sleep(unpublishedAfter)
			waited = true
		} else if !c.SkipUnpublished() {
			break
		}
	}
	return 0, m.end()
}

// end says that nothing comes from the other side any more. One that has said so
// may be dead by now: that is an end like any other.
func (m *mapping) end() error {
	m.tellGone()
	if m.peerStopped() {
		return io.EOF
	}
	return ErrPeerDied
}

// SetReadDeadline ends blocking reads at t, with [os.ErrDeadlineExceeded]; a zero
// t means never. It holds for calls that begin later.
func (s *side) SetReadDeadline(t time.Time) {
	if t.IsZero() {
		s.deadline.Store(0)
	} else {
		s.deadline.Store(t.UnixNano())
	}
}

// Read takes up to len(smps) samples from the other side, each with a reference,
// and returns how many. It blocks until there is one at least, in polling mode
// awake. With an empty smps it returns 0 at once.
//
// Errors: [io.EOF] when the other side has stopped and everything is read,
// [ErrPeerDied] when it died, [os.ErrDeadlineExceeded], [os.ErrClosed],
// [ErrDamaged]. Any number of goroutines may read.
func (s *side) Read(smps []sample.Sample) (int, error) {
	return s.ReadContext(context.Background(), smps)
}

// ReadContext is Read that also ends, with its error, when ctx does.
func (s *side) ReadContext(ctx context.Context, smps []sample.Sample) (int, error) {
	m, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer m.leave()
	c := s.rx(m)
	if n, err := m.take(c, smps); n > 0 || err != nil || len(smps) == 0 {
		return n, err
	}

	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() {
			if m, err := s.enter(); err == nil {
				m.Wake(&s.rx(m).wait)
				m.leave()
			}
		})()
	}
	deadline := time.Time{}
	if d := s.deadline.Load(); d != 0 {
		deadline = time.Unix(0, d)
	}
	for {
		if n, err := m.take(c, smps); n > 0 || err != nil {
			return n, err
		}
		now := time.Now()
		switch {
		case m.Closing.Load():
			return 0, os.ErrClosed
		case c.HasStopped() || m.Dead.Load():
			return m.drain(c, smps)
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !deadline.IsZero() && !now.Before(deadline):
			return 0, os.ErrDeadlineExceeded
		}
		m.LookAfter(now)
		left := wait.LookEvery
		if !deadline.IsZero() {
			left = min(left, deadline.Sub(now))
		}
		m.Party.Readable(ctx, &c.wait, s.spin, left)
	}
}

// Write puts up to len(smps) samples of this side's pool into the queue to the
// other side and returns how many went in; each takes a reference along. The
// rest, if the queue is full, still belong to the caller. It never blocks.
//
// Errors: [io.EOF] once the other side has stopped, [ErrPeerDied] once it died,
// [ErrOtherPool] (nothing was written), [os.ErrClosed]. Any number of goroutines
// may write.
func (s *side) Write(smps []sample.Sample) (int, error) {
	m, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer m.leave()
	return s.write(m, smps)
}

func (s *side) write(m *mapping, smps []sample.Sample) (int, error) {
	if s.rx(m).HasStopped() || m.Dead.Load() {
		return 0, m.end()
	}
	for _, smp := range smps {
		if !m.Region.Pool.Contains(smp.Addr()) {
			return 0, ErrOtherPool
		}
	}
	c, n := s.tx(m), 0
	for n < len(smps) {
		pos, got := c.ClaimPush(uint64(len(smps) - n))
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			sample.HandOver(&m.Region.Pool, smps[n].Addr())
			c.Publish(pos, smps[n].Addr())
			n++
		}
	}
	switch {
	case n == 0 || m.Party.Polling:
	case m.Party.Legacy.Load():
		m.Broadcast(&c.wait)
	case c.Wake():
		futex.Wake(c.Waiters)
	}
	return n, nil
}

// WriteContext writes all of smps, waiting for room where there is none, and
// returns how many went in when ctx or the exchange ended before. Nobody wakes a
// writer: it looks again, at first at once, later every millisecond.
func (s *side) WriteContext(ctx context.Context, smps []sample.Sample) (int, error) {
	m, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer m.leave()
	pause, done := time.Duration(0), 0
	for {
		n, err := s.write(m, smps[done:])
		done += n
		switch {
		case err != nil || done == len(smps):
			return done, err
		case ctx.Err() != nil:
			return done, ctx.Err()
		case m.Closing.Load():
			return done, os.ErrClosed
		}
		if n > 0 {
			pause = 0
		}
		m.LookAfter(time.Now())
		if pause == 0 {
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			runtime.Gosched()
			pause = time.Microsecond
			continue
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Millisecond)
	}
}

// Samples reads until the exchange or ctx ends, one sample at a time. A sample is
// put back when the loop body is done with it; to keep it, Get a reference. The
// end of the exchange, io.EOF, ends the loop; any other error is yielded last.
func (s *side) Samples(ctx context.Context) iter.Seq2[sample.Sample, error] {
	return func(yield func(sample.Sample, error) bool) {
		var buf [64]sample.Sample
		for {
			n, err := s.ReadContext(ctx, buf[:])
			if err != nil {
				if err != io.EOF {
					yield(sample.Sample{}, err)
				}
				return
			}
			for i, smp := range buf[:n] {
				more := yield(smp, nil)
				smp.Put()
				if !more {
					sample.PutAll(buf[i+1 : n])
					return
				}
			}
		}
	}
}
