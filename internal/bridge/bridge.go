// SPDX-License-Identifier: Apache-2.0

// Package bridge moves samples between a region, of which it is the node, and a
// pair: so a program of the original's calls talks to a VILLASnode of today.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/internal/exchange"
	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

// Counts is what went in one direction. Samples of a direction are never waited for:
// where there is no room for them they are dropped.
type Counts struct {
	Moved     atomic.Uint64
	Dropped   atomic.Uint64 // the queue was full, the pool empty, or nobody there any more
	Shortened atomic.Uint64 // of Moved: some values had no room
}

// A Bridge is between a region and a pair. Its fields are set before Run.
type Bridge struct {
	Region *shmem.Node // with a program attached
	Pair   *pair.Pair
	In     format.Kinds // of the values that the VILLASnode reads; nil: those that the program marks
	Out    format.Kinds // of the values that the VILLASnode sends; nil: floats

	ToProgram, ToNode Counts

	passing    *memory
	fromPair   [vector]pair.Sample
	toRegion   [vector]sample.Sample
	fromRegion [vector]sample.Sample
	toPair     [vector]pair.Sample
}

const (
	vector = 64 // samples that are moved at once
	// looksBeforeYield bounds the empty looks of a polling bridge, whose neighbours
	// poll as well: with fewer CPUs than pollers a spin keeps one from them. A look is
	// two reads, 0.3 us; 50 of them added 16 us to a round trip on 2 CPUs, 8 add 7 us.
	looksBeforeYield = 8
)

// Ends of a bridge, to be tested by [errors.Is], beside io.EOF or shmem.ErrPeerDied,
// which say how.
var (
	ErrProgram = errors.New("the program")
	ErrNode    = errors.New("the VILLASnode")
)

// Run moves samples until ctx or either side ends. All that a side sent before its
// end has been moved then.
func (b *Bridge) Run(ctx context.Context) error {
	b.passing = newMemory(4 * int(b.Region.Pool().Count()))
	if b.Region.Polling() && b.Pair.Polling() {
		return b.poll(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(wait(ctx, b.nodeToProgram))
	}()
	cancel(wait(ctx, b.programToNode))
	<-ended
	return context.Cause(ctx)
}

// A move moves the samples that are there, or waits for some, and returns how many
// it found.
type move func(ctx context.Context, wait bool) (int, error)

func wait(ctx context.Context, m move) (err error) {
	for err == nil {
		_, err = m(ctx, true)
	}
	return err
}

// poll moves samples both ways on one thread: two would share its CPU.
func (b *Bridge) poll(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for looks, empty := 1, 0; ; looks++ {
		sent, err := b.nodeToProgram(ctx, false)
		if err != nil {
			return err
		}
		returned, err := b.programToNode(ctx, false)
		if err != nil {
			return err
		}
		if empty++; sent+returned > 0 {
			empty = 0
		}
		if looks%looksBeforeYield == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if empty == looksBeforeYield {
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			empty = 0
		}
	}
}

func (b *Bridge) nodeToProgram(ctx context.Context, wait bool) (n int, err error) {
	if wait {
		n, err = b.Pair.ReadContext(ctx, b.fromPair[:])
	} else {
		n, err = b.Pair.TryRead(b.fromPair[:])
	}
	if err != nil {
		return 0, ended(ErrNode, err)
	}
	if n == 0 {
		return 0, nil
	}
	c, to := &b.ToProgram, b.toRegion[:]
	to = to[:b.Region.Alloc(to[:n])]
	now := time.Now()
	for i, s := range to {
		if toRegion(s, b.fromPair[i], b.Out) > 0 {
			c.Shortened.Add(1)
		}
		s.SetSent(now)
		b.passing.keep(b.fromPair[i])
	}
	pair.PutAll(b.fromPair[:n])
	done, err := b.Region.Write(to)
	sample.PutAll(to[done:])
	c.count(n, done)
	return n, unlessGone(err)
}

func (b *Bridge) programToNode(ctx context.Context, wait bool) (n int, err error) {
	if wait {
		n, err = b.Region.ReadContext(ctx, b.fromRegion[:])
	} else {
		n, err = b.Region.TryRead(b.fromRegion[:])
	}
	if err != nil {
		return 0, ended(ErrProgram, err)
	}
	if n == 0 {
		return 0, nil
	}
	c, to := &b.ToNode, b.toPair[:]
	to = to[:b.Pair.Alloc(to[:n])]
	for i, s := range to {
		if toPair(s, b.fromRegion[i], b.In) > 0 {
			c.Shortened.Add(1)
		}
		b.passing.restore(s)
	}
	sample.PutAll(b.fromRegion[:n])
	done, err := b.Pair.Write(to)
	pair.PutAll(to[done:])
	c.count(n, done)
	return n, unlessGone(err)
}

func (c *Counts) count(n, done int) {
	c.Moved.Add(uint64(done))
	c.Dropped.Add(uint64(n - done))
}

// ended says who it was that has gone.
func ended(who, err error) error {
	if exchange.Gone(err) {
		return fmt.Errorf("%w: %w", who, err)
	}
	return err
}

// unlessGone is err of a write: that the reader has gone its own direction tells,
// when what it sent before has been moved.
func unlessGone(err error) error {
	if exchange.Gone(err) {
		return nil
	}
	return err
}
