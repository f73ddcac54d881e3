// SPDX-License-Identifier: Apache-2.0

// Package wait is how the reader of an exchange between two processes waits for
// the writer, and the writer wakes it, whatever the layout of what they share:
// awake in polling mode, on a futex between two of ours, on glibc's condition
// variable where the other side knows nothing else.
//
// glibc can block for ever on an object in which the other process was killed.
// So it is entered only while a guard is there (see [Party.Guard]).
package wait

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/pthread"
	"github.com/villas-ext/villas-ext/internal/word"
	"golang.org/x/sys/unix"
)

const (
	// LookEvery bounds how long a call waits without looking whether the other
	// side lives.
	LookEvery = 50 * time.Millisecond
	// guardEvery is how often a guard looks, and again how often it tries to get
	// somebody out.
	guardEvery = 100 * time.Millisecond
	again      = time.Millisecond
	// looksBeforeYield bounds a spin: with fewer CPUs than pollers a pure one
	// starves the other side.
	looksBeforeYield = 50
	// withoutMutex is how long a reader sleeps between looks while the mutex of
	// its condition variable cannot be had.
	withoutMutex = time.Millisecond
)

// A Channel is one direction of an exchange.
type Channel struct {
	Waiters uintptr     // word: 1 while a reader of ours sleeps; a futex
	Ready   uintptr     // pthread_cond_t
	Mutex   uintptr     // pthread_mutex_t
	Polling bool        // its reader waits awake
	Done    func() bool // there is something to read, or the writer has stopped

	late atomic.Bool // the mutex could not be had in time
}

// A Party is this process's part in an exchange. Its exported fields are set
// before its use and then stay.
type Party struct {
	Channels [2]*Channel
	Barrier  uintptr     // pthread_barrier_t for two; 0: none
	Lives    func() bool // looks whether the other side lives; calls Died if not
	Stuck    func()      // hears of a mutex that cannot be had; may be nil

	Legacy  atomic.Bool // the other side knows only the pthread objects
	Closing atomic.Bool // calls that wait end
	Dead    atomic.Bool // the other side died
	looked  atomic.Int64

	inside    atomic.Int32 // calls in glibc, on objects that the other side shares
	atBarrier atomic.Int32 // 1: one of them stands there; 2: it was got out
	leaveBy   atomic.Int64 // when all must be out, UnixNano; 0: while the other side lives never
	mu        sync.Mutex
	rest      chan struct{} // closed to end the guard; nil without one
	resting   chan struct{} // closed when it has ended
}

// Begin is called once the other side may be there.
func (p *Party) Begin() { p.looked.Store(time.Now().UnixNano()) }

// LookIsDue reports whether the last look after the other side was long ago: where
// a guard looks, longer ago than a guard should need.
func (p *Party) LookIsDue(now time.Time) bool {
	every := LookEvery
	if p.Legacy.Load() {
		every = 2 * guardEvery
	}
	return now.UnixNano()-p.looked.Load() >= int64(every)
}

// LookAfter looks after the other side if the last look was long ago. A guard comes
// late where the runtime's timers do: beside a goroutine that polls, on a loaded
// machine, by seconds.
func (p *Party) LookAfter(now time.Time) {
	last := p.looked.Load()
	if p.LookIsDue(now) && p.looked.CompareAndSwap(last, now.UnixNano()) {
		p.Lives()
	}
}

// Readable waits until there may be something to read from c, or something else
// to look at, but no longer than d. In signalled mode it spins for spin before it
// sleeps.
func (p *Party) Readable(ctx context.Context, c *Channel, spin, d time.Duration) {
	d = min(d, LookEvery)
	done := func() bool { return c.Done() || p.Closing.Load() }
	if p.Dead.Load() {
		return
	}
	if c.Polling {
		spin = d
	}
	for end := time.Now().Add(spin); spin > 0; {
		for range looksBeforeYield {
			if done() {
				return
			}
		}
		if c.Polling {
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
	case c.Polling:
	case p.Legacy.Load():
		p.waitReady(c, d)
	default:
		word.Store32(c.Waiters, 1)
		if !done() && ctx.Err() == nil {
			futex.Wait(c.Waiters, 1, d)
		}
	}
}

// waitReady waits on the pthread objects, with the look under the mutex. Without
// the mutex there is no waiting for the condition: it sleeps a little then.
func (p *Party) waitReady(c *Channel, d time.Duration) {
	if !p.enter() {
		return
	}
	runtime.LockOSThread()
	locked := p.lock(c)
	if locked {
		if !c.Done() && !p.Closing.Load() {
			pthread.Wait(c.Ready, c.Mutex, d)
		}
		pthread.Unlock(c.Mutex)
	}
	runtime.UnlockOSThread()
	p.leave()
	if !locked {
		time.Sleep(withoutMutex)
	}
}

// lock locks the mutex of c, which the other side may hold for ever: it is
// stopped, or was killed and the mutex is not robust, or another ignored that it
// was and it can never be locked again. The first time this waits for a while;
// from then on it only looks, until it succeeds.
func (p *Party) lock(c *Channel) bool {
	patience := LookEvery
	if c.late.Load() {
		patience = 0
	}
	err := pthread.Lock(c.Mutex, patience)
	if (err != nil) != c.late.Swap(err != nil) && err != nil && p.Stuck != nil {
		p.Stuck()
	}
	return err == nil
}

// Wake wakes whoever waits for c.
func (p *Party) Wake(c *Channel) {
	word.Store32(c.Waiters, 0)
	futex.Wake(c.Waiters)
	p.Broadcast(c)
}

// Broadcast wakes a peer that waits for c on the pthread objects, if there is
// one. Where the mutex cannot be had it does without: a waiter that misses this
// one looks again when the next comes.
func (p *Party) Broadcast(c *Channel) {
	if !p.Legacy.Load() || c.Polling || !p.enter() {
		return
	}
	defer p.leave()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	locked := p.lock(c)
	pthread.Broadcast(c.Ready)
	if locked {
		pthread.Unlock(c.Mutex)
	}
}
