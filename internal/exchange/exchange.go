// SPDX-License-Identifier: Apache-2.0

// Package exchange is one end of an exchange between two processes in Go: how it
// reads, writes and waits, whatever the layout of what the two share.
package exchange

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/wait"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/queue"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
)

const (
	// unpublishedAfter is when a claimed cell counts as never to be published.
	unpublishedAfter = 20 * time.Millisecond
	// defaultSpin is how long a reader in signalled mode spins before it sleeps.
	defaultSpin = 50 * time.Microsecond
	// Grace is how long one who leaves stays for the other side to come out of
	// what both share.
	Grace = time.Second
)

// Errors of an exchange. Its end is [io.EOF].
var (
	// ErrPeerDied: the other side died without a word. All it sent was read.
	ErrPeerDied = errors.New("the other side died")
	// ErrDamaged: what the other side sent is no sample.
	ErrDamaged error = unix.EBADMSG
	// ErrOtherPool: a sample of another pool was given to be written.
	ErrOtherPool = errors.New("a sample of another pool: allocate it from this side's")
)

// A Direction is a channel, the pool of the samples that pass through it, and how
// its reader waits.
type Direction struct {
	*queue.Channel
	Pool *pool.View
	Wait wait.Channel
	G    bool // samples are of layout G
}

// Init makes d the direction of c. polling: its reader waits awake; g: samples are
// of layout G.
func (d *Direction) Init(c *queue.Channel, p *pool.View, polling, g bool) {
	d.Channel, d.Pool, d.G = c, p, g
	d.Wait.Waiters, d.Wait.Ready, d.Wait.Mutex, d.Wait.Polling = c.Waiters, c.Ready, c.Mutex, polling
	d.Wait.Done = func() bool { return c.Readable() || c.HasStopped() }
}

// Take pulls what is there.
func (d *Direction) Take(smps []sample.Sample) (n int, err error) {
	q, p := d.View, d.Pool
	if len(smps) == 1 && !d.G { // the same without a loop and a call
		cell, pos, ok := q.ClaimOne(queue.Head)
		if !ok {
			return 0, nil
		}
		a := q.Empty(cell, pos)
		if !p.Hold(a) {
			return 0, ErrDamaged
		}
		sample.Receive(p, a)
		smps[0] = sample.At(a, p)
		return 1, nil
	}
	for n < len(smps) {
		pos, got := q.Claim(queue.Head, uint64(len(smps)-n))
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			a := q.Take(pos)
			if !p.Hold(a) {
				err = ErrDamaged
				continue
			}
			if d.G {
				sample.ReceiveG(p, a)
			} else {
				sample.Receive(p, a)
			}
			smps[n] = sample.At(a, p)
			n++
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

// put pushes samples of the direction's pool. If the reader may sleep it is a full
// barrier.
func (d *Direction) put(smps []sample.Sample) (n int) {
	q := d.View
	if len(smps) == 1 && !d.G { // the same without a loop and a call
		cell, pos, ok := q.ClaimOne(queue.Tail)
		if !ok {
			return 0
		}
		a := smps[0].Addr()
		if d.Pool.Held() != 0 {
			sample.HandOver(d.Pool, a)
		}
		if d.Wait.Polling {
			q.Fill(cell, pos, a)
		} else {
			q.FillFenced(cell, pos, a)
		}
		return 1
	}
	for n < len(smps) {
		pos, got := q.Claim(queue.Tail, uint64(len(smps)-n))
		if got == 0 {
			break
		}
		for end := pos + got; pos != end; pos++ {
			a := smps[n].Addr()
			if d.G {
				sample.SealG(a)
			} else {
				sample.HandOver(d.Pool, a)
			}
			q.Publish(pos, a)
			n++
		}
	}
	if !d.Wait.Polling {
		word.Fence()
	}
	return n
}

// A Link is what an exchange goes over at present. It is used by address.
type Link struct {
	Party  *wait.Party
	RX, TX *Direction    // what this side reads and writes
	Spin   time.Duration // the longest spin before a sleep, see [SpinFor]
	Gone   func()        // hears, maybe more than once, that the other side is gone; may be nil

	callers atomic.Int32
}

// Enter counts a call that waits or looks after the other side, so that there is
// something to wait for and to look at; false if there soon is not any more. Calls
// that do neither are not counted (see [posixshm.Abandon]).
func (l *Link) Enter() bool {
	l.callers.Add(1)
	if l.Party.Closing.Load() {
		l.callers.Add(-1)
		return false
	}
	return true
}

// Leave ends what Enter began.
func (l *Link) Leave() { l.callers.Add(-1) }

// DriveOut ends the calls that wait and waits until they have returned.
func (l *Link) DriveOut() {
	l.Party.LeaveBy(time.Now().Add(Grace))
	l.Party.Closing.Store(true)
	for l.callers.Load() != 0 {
		l.Party.Wake(&l.RX.Wait)
		l.Party.Wake(&l.TX.Wait)
		time.Sleep(100 * time.Microsecond)
	}
}

// end says that nothing comes from the other side any more. One that has said so
// may be dead by now: that is an end like any other.
func (l *Link) end() error {
	if l.Gone != nil {
		l.Gone()
	}
	if l.RX.HasStopped() {
		return io.EOF
	}
	return ErrPeerDied
}

// gone reports whether the other side is.
func (l *Link) gone() bool { return l.RX.HasStopped() || l.Party.Dead.Load() }

// drain reads what a side that is gone has left; cells that it claimed and never
// published are stepped over. Then comes the end.
func (l *Link) drain(smps []sample.Sample) (int, error) {
	d := l.RX
	for waited := l.Party.Dead.Load(); ; {
		if n, err := d.Take(smps); n > 0 || err != nil {
			return n, err
		}
		if !waited {
			if d.Readable() || d.Len() == 0 {
				break
			}
			time.Sleep(unpublishedAfter)
			waited = true
		} else if !d.SkipUnpublished() {
			break
		}
	}
	return 0, l.end()
}

// A Side is one end of an exchange. Its link may change when the other side does.
type Side struct {
	link     atomic.Pointer[Link]
	deadline atomic.Int64 // of reads, UnixNano; 0: none
}

// Join makes l the link of s; nil: there is none any more. It is no method, since
// those of a Side are also its users'.
func Join(s *Side, l *Link) { s.link.Store(l) }

// SpinFor turns an option into the longest spin before a sleep: 0 is the
// environment's VILLAS_EXT_SPIN or the default, negative none.
func SpinFor(option time.Duration) time.Duration {
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

// enter is [Link.Enter] on the present link, nil if there is none.
func (s *Side) enter() *Link {
	if l := s.link.Load(); l != nil && l.Enter() {
		return l
	}
	return nil
}

// Alloc takes up to len(smps) samples from the pool and returns how many it got,
// each with one reference. It never blocks.
func (s *Side) Alloc(smps []sample.Sample) int {
	l := s.link.Load()
	if l == nil {
		return 0
	}
	n, d := 0, l.TX
	if d.G {
		n = sample.AllocG(d.Pool, smps)
	} else {
		n = sample.Alloc(d.Pool, smps)
	}
	runtime.KeepAlive(l)
	return n
}

// TryRead takes up to len(smps) samples that are there and never blocks: 0 if
// there are none. Errors are those of Read.
func (s *Side) TryRead(smps []sample.Sample) (int, error) {
	l := s.link.Load()
	if l == nil {
		return 0, os.ErrClosed
	}
	n, err := l.RX.Take(smps)
	runtime.KeepAlive(l)
	if n > 0 || err != nil || len(smps) == 0 {
		return n, err
	}
	return l.nothing(smps)
}

// nothing is what a read that does not wait has found.
func (l *Link) nothing(smps []sample.Sample) (int, error) {
	if !l.gone() {
		return 0, l.lookAfter()
	}
	if !l.Enter() {
		return 0, os.ErrClosed
	}
	defer l.Leave()
	return l.drain(smps)
}

// lookAfter looks after the other side, for a call that is not counted.
func (l *Link) lookAfter() error {
	now := time.Now()
	if !l.Party.LookIsDue(now) {
		return nil
	}
	if !l.Enter() {
		return os.ErrClosed
	}
	defer l.Leave()
	l.Party.LookAfter(now)
	return nil
}

// SetReadDeadline ends blocking reads at t, with [os.ErrDeadlineExceeded]; a zero
// t means never. It holds for calls that begin later.
func (s *Side) SetReadDeadline(t time.Time) {
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
func (s *Side) Read(smps []sample.Sample) (int, error) {
	return s.ReadContext(context.Background(), smps)
}

// ReadContext is Read that also ends, with its error, when ctx does.
func (s *Side) ReadContext(ctx context.Context, smps []sample.Sample) (int, error) {
	l := s.link.Load()
	if l == nil {
		return 0, os.ErrClosed
	}
	n, err := l.RX.Take(smps)
	runtime.KeepAlive(l)
	if n > 0 || err != nil || len(smps) == 0 {
		return n, err
	}
	if !l.Enter() {
		return 0, os.ErrClosed
	}
	defer l.Leave()
	d, party := l.RX, l.Party
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() {
			if l := s.enter(); l != nil {
				l.Party.Wake(&l.RX.Wait)
				l.Leave()
			}
		})()
	}
	deadline, over := time.Time{}, os.ErrDeadlineExceeded
	if d := s.deadline.Load(); d != 0 {
		deadline = time.Unix(0, d)
	}
	if d, ok := ctx.Deadline(); ok && (deadline.IsZero() || d.Before(deadline)) { // its timer may come late, see [wait.Party.LookAfter]
		deadline, over = d, context.DeadlineExceeded
	}
	for {
		if n, err := d.Take(smps); n > 0 || err != nil {
			return n, err
		}
		now := time.Now()
		switch {
		case party.Closing.Load():
			return 0, os.ErrClosed
		case l.gone():
			return l.drain(smps)
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !deadline.IsZero() && !now.Before(deadline):
			return 0, over
		}
		party.LookAfter(now)
		left := wait.LookEvery
		if !deadline.IsZero() {
			left = min(left, deadline.Sub(now))
		}
		party.Readable(ctx, &d.Wait, l.Spin, left)
	}
}

// Write puts up to len(smps) samples of this side's pool into the queue to the
// other side and returns how many went in; each takes a reference along. The
// rest, if the queue is full, still belong to the caller. It never blocks.
//
// Errors: [io.EOF] once the other side has stopped, [ErrPeerDied] once it died,
// [ErrOtherPool] (nothing was written), [os.ErrClosed]. Any number of goroutines
// may write.
func (s *Side) Write(smps []sample.Sample) (int, error) {
	l := s.link.Load()
	if l == nil {
		return 0, os.ErrClosed
	}
	n, err := l.write(smps)
	runtime.KeepAlive(l)
	return n, err
}

// nobody is what a write has found.
func (l *Link) nobody() (int, error) {
	if !l.Enter() {
		return 0, os.ErrClosed
	}
	defer l.Leave()
	return 0, l.end()
}

// write is for calls that are counted and for those that are not.
func (l *Link) write(smps []sample.Sample) (int, error) {
	if l.gone() {
		return l.nobody()
	}
	for _, smp := range smps {
		if !l.TX.Pool.Contains(smp.Addr()) {
			return 0, ErrOtherPool
		}
	}
	d := l.TX
	n := d.put(smps)
	switch {
	case n == 0 || d.Wait.Polling:
	case l.Party.Legacy.Load():
		if l.Enter() {
			l.Party.Broadcast(&d.Wait)
			l.Leave()
		}
	case d.TakeFlagDown():
		futex.Wake(d.Waiters)
	}
	if n < len(smps) { // a full queue may be that of a dead reader
		return n, l.lookAfter()
	}
	return n, nil
}

// WriteContext writes all of smps, waiting for room where there is none, and
// returns how many went in when ctx or the exchange ended before. Nobody wakes a
// writer: it looks again, at first at once, later every millisecond.
func (s *Side) WriteContext(ctx context.Context, smps []sample.Sample) (int, error) {
	l := s.enter()
	if l == nil {
		return 0, os.ErrClosed
	}
	defer l.Leave()
	pause, done := time.Duration(0), 0
	for {
		n, err := l.write(smps[done:])
		done += n
		switch {
		case err != nil || done == len(smps):
			return done, err
		case ctx.Err() != nil:
			return done, ctx.Err()
		case l.Party.Closing.Load():
			return done, os.ErrClosed
		}
		if n > 0 {
			pause = 0
		}
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

// Samples reads by read until the exchange or ctx ends, one sample at a time. A
// sample is put back when the loop body is done with it; to keep it, Get a
// reference. The end of the exchange, io.EOF, ends the loop; any other error is
// yielded last.
func Samples[S interface{ Put() int }](ctx context.Context, read func(context.Context, []S) (int, error)) iter.Seq2[S, error] {
	return func(yield func(S, error) bool) {
		var buf [64]S
		for {
			n, err := read(ctx, buf[:])
			if err != nil {
				if err != io.EOF {
					var none S
					yield(none, err)
				}
				return
			}
			for i, smp := range buf[:n] {
				more := yield(smp, nil)
				smp.Put()
				if !more {
					for _, left := range buf[i+1 : n] {
						left.Put()
					}
					return
				}
			}
		}
	}
}
