// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"context"
	"io"
	"iter"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/pthread"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
)

const (
	// lookEvery bounds how long a call waits without looking whether the other
	// side lives.
	lookEvery = 50 * time.Millisecond
	// lookEveryLegacy is the same for a peer without a lock: a scan of /proc.
	lookEveryLegacy = 150 * time.Millisecond
	// looksBeforeYield bounds a spin: with fewer CPUs than pollers a pure one
	// starves the other side.
	looksBeforeYield = 50
	// unpublishedAfter is when a claimed cell counts as never to be published.
	unpublishedAfter = 20 * time.Millisecond
	// defaultSpin is how long a reader in signalled mode spins before it sleeps.
	defaultSpin = 50 * time.Microsecond
)

// mapping is one mapped region and what this process knows of the other side.
type mapping struct {
	Region
	fd       int
	st       unix.Stat_t
	hold     *liveness.Hold
	peerByte int64 // that the other side locks

	legacy   atomic.Bool // the other side knows only the pthread objects
	dead     atomic.Bool // the other side died
	peerSeen atomic.Bool // a peer without a lock was seen to map the object
	closing  atomic.Bool
	callers  atomic.Int32
	looked   atomic.Int64 // when the other side was last looked after, UnixNano
}

// unmap forgets the region. Nobody may be in a call on it.
func (m *mapping) unmap() {
	m.hold.Release()
	posixshm.Unmap(m.Base, m.Size)
	unix.Close(m.fd)
}

// peerLives reports false once the other side is known to be dead.
func (m *mapping) peerLives() bool {
	lives := true
	if m.peerByte == liveness.ProgramByte && !m.attached() {
		return true // nobody is there yet
	}
	if m.legacy.Load() {
		others, sure := liveness.Mapped(m.st.Dev, m.st.Ino)
		if others > 0 {
			m.peerSeen.Store(true)
		}
		lives = others > 0 || !sure || !m.peerSeen.Load()
	} else if held, err := liveness.Held(m.fd, m.peerByte); err == nil {
		lives = held
	}
	if !lives {
		m.dead.Store(true)
	}
	return lives
}

// lookAfter looks after the other side if the last look was long ago.
func (m *mapping) lookAfter(now time.Time) {
	last, every := m.looked.Load(), lookEvery
	if m.legacy.Load() {
		every = lookEveryLegacy
	}
	if now.UnixNano()-last >= int64(every) && m.looked.CompareAndSwap(last, now.UnixNano()) && last != 0 {
		m.peerLives()
	}
}

// wakeReader wakes whoever waits for c.
func (m *mapping) wakeReader(c *Channel) {
	word.Store32(c.Waiters, 0)
	futex.Wake(c.Waiters)
	if m.legacy.Load() && !m.Polling {
		m.broadcast(c)
	}
}

// broadcast wakes a peer that waits on the pthread objects. A holder that died
// with a mutex that is not robust would keep us for ever: then without the mutex.
func (m *mapping) broadcast(c *Channel) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if pthread.Lock(c.Mutex, lookEvery) == nil {
		defer pthread.Unlock(c.Mutex)
	}
	pthread.Broadcast(c.Ready)
}

// A side is one end of a region: what Node and Program have in common.
type side struct {
	name     string
	spin     time.Duration
	current  atomic.Pointer[mapping]
	rx, tx   func(*mapping) *Channel // the directions that this side reads and writes
	deadline atomic.Int64            // of reads, UnixNano; 0: none
}

func in(m *mapping) *Channel  { return &m.In }
func out(m *mapping) *Channel { return &m.Out }

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
	if m.closing.Load() {
		m.callers.Add(-1)
		return nil, os.ErrClosed
	}
	return m, nil
}

func (m *mapping) leave() { m.callers.Add(-1) }

// driveOut ends the calls that wait on m and waits until they have returned.
func (m *mapping) driveOut() {
	m.closing.Store(true)
	for m.callers.Load() != 0 {
		m.wakeReader(&m.In)
		m.wakeReader(&m.Out)
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
func (m *mapping) take(c *Channel, smps []sample.Sample) (n int, err error) {
	for n < len(smps) {
		pos, got := c.ClaimPull(uint64(len(smps) - n))
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			if a := m.Take(c, pos); a == 0 {
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
	if c.HasStopped() || m.dead.Load() {
		return m.drain(c, smps)
	}
	m.lookAfter(time.Now())
	return 0, nil
}

// drain reads what a side that is gone has left; cells that it claimed and never
// published are stepped over. Then comes the end.
func (m *mapping) drain(c *Channel, smps []sample.Sample) (int, error) {
	for waited := m.dead.Load(); ; {
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
	if m.dead.Load() {
		return 0, ErrPeerDied
	}
	return 0, io.EOF
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
				m.wakeReader(s.rx(m))
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
		case m.closing.Load():
			return 0, os.ErrClosed
		case c.HasStopped() || m.dead.Load():
			return m.drain(c, smps)
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !deadline.IsZero() && !now.Before(deadline):
			return 0, os.ErrDeadlineExceeded
		}
		m.lookAfter(now)
		wait := lookEvery
		if !deadline.IsZero() {
			wait = min(wait, deadline.Sub(now))
		}
		m.waitReadable(ctx, c, s.spin, wait)
	}
}

// waitReadable waits until there may be something to pull from c, or something
// else to look at, but no longer than d.
func (m *mapping) waitReadable(ctx context.Context, c *Channel, spin, d time.Duration) {
	done := func() bool { return c.Readable() || c.HasStopped() || m.closing.Load() }
	if m.Polling {
		spin = d
	}
	for end := time.Now().Add(spin); spin > 0; {
		for range looksBeforeYield {
			if done() {
				return
			}
		}
		if m.Polling {
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			runtime.Gosched()
			if ctx.Err() != nil {
				return
			}
		}
		if !time.Now().Before(end) {
			break
		}
	}
	switch {
	case m.Polling:
	case m.legacy.Load():
		m.waitReady(c, d)
	default:
		c.Announce()
		if !done() && ctx.Err() == nil {
			futex.Wait(c.Waiters, 1, d)
		}
	}
}

// waitReady waits on the pthread objects, with the look under the mutex.
func (m *mapping) waitReady(c *Channel, d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if pthread.Lock(c.Mutex, d) != nil {
		return
	}
	defer pthread.Unlock(c.Mutex)
	if !c.Readable() && !c.HasStopped() && !m.closing.Load() {
		pthread.Wait(c.Ready, c.Mutex, d)
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
	switch c := s.rx(m); {
	case m.dead.Load():
		return 0, ErrPeerDied
	case c.HasStopped():
		return 0, io.EOF
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
			c.Publish(pos, smps[n].Addr())
			n++
		}
	}
	if n == 0 || m.Polling {
		return n, nil
	}
	if m.legacy.Load() {
		m.broadcast(c)
	} else if c.Wake() {
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
		case m.closing.Load():
			return done, os.ErrClosed
		}
		if n > 0 {
			pause = 0
		}
		m.lookAfter(time.Now())
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
