// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/internal/pace"
	"github.com/villas-ext/villas-ext/node"
)

// An exchange moves samples between text and a side: what it reads goes out, what
// comes in is written.
type exchange struct {
	side  side
	in    *source // nil: nothing is sent
	out   *sink
	stats *statistics

	rate   float64                     // samples a second; 0: as fast as it goes
	limit  uint64                      // samples to send, or without an input to receive; 0: no limit
	drop   bool                        // what does not fit is dropped, not waited for
	linger time.Duration               // when all is sent: how long the next may take to come back; negative: for ever
	again  func(context.Context) error // waits for the next program when one has gone; nil: that is the end

	pacer   *pace.Pacer // of rate
	turning sync.Mutex
	turn    atomic.Uint64 // programs that have gone
}

// errDone ends an exchange that is complete.
var errDone = errors.New("done")

// endOfInput is how long the sender may take to find that its input has ended.
const endOfInput = 50 * time.Millisecond

// run moves samples until the input has ended and all came back, the limit is
// reached, ctx ends (no error), the output cannot be written, or the other side
// goes away.
func (x *exchange) run(outer context.Context) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	x.stats.begin(x.side.Samples())
	x.stats.complete.Store(x.in == nil)
	var sent chan struct{} // closed when all is sent
	if x.in != nil {
		sent = make(chan struct{})
		go func() {
			if err := x.send(ctx); err != nil {
				cancel(err)
			} else {
				close(sent)
			}
		}()
	}
	received := make(chan struct{})
	go func() {
		defer close(received)
		cancel(x.receive(ctx))
	}()
	select {
	case <-ctx.Done():
	case <-sent:
		x.settle(ctx)
		cancel(errDone)
	}
	if context.Cause(ctx) == io.EOF { // all may have been sent, and the sender about to notice
		select {
		case <-sent:
			x.stats.complete.Store(true)
		case <-time.After(endOfInput):
		}
	}
	var failed error
	select {
	case <-received:
		failed = x.out.err
	case <-time.After(time.Second): // it stands in a write that nobody reads
	}
	x.stats.end()
	switch err := context.Cause(ctx); {
	case failed != nil:
		return failed
	case outer.Err() != nil, err == errDone, err == io.EOF && x.stats.complete.Load():
		return nil
	case node.Gone(err):
		return fmt.Errorf("%w: %w (sent %d, received %d)", errPeer, err, x.stats.sent.Load(), x.stats.received.Load())
	default:
		return err
	}
}

// settle waits until what was sent has come back, or nothing more comes.
func (x *exchange) settle(ctx context.Context) {
	x.stats.complete.Store(true)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for last, since := uint64(0), time.Now(); x.linger < 0 || time.Since(since) < x.linger && x.stats.missing() > 0; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := x.stats.received.Load(); n != last {
			last, since = n, time.Now()
		}
	}
}

// send sends the input. What has been read is on its way before more is waited for.
func (x *exchange) send(ctx context.Context) error {
	var (
		batch  [vectorLen]format.Record
		n      int
		failed error
	)
	push := func() {
		if n > 0 && failed == nil {
			failed = x.push(ctx, batch[:n])
		}
		n = 0
	}
	x.in.beforeWait = push
	if x.rate > 0 {
		x.pacer = pace.New(x.rate, math.MaxInt64) // the input is sent whole, however late
	}
	due := 0
	var rec format.Record
	for number := uint64(0); x.limit == 0 || number < x.limit; number++ {
		if x.pacer != nil {
			if due == 0 {
				push()
				var err error
				if due, err = x.pacer.Wait(ctx); err != nil {
					return err
				}
			}
			due--
			x.pacer.Done(1)
		}
		err := x.in.read(&rec)
		if failed == nil && err == io.EOF {
			break
		}
		for _, err := range []error{failed, err, ctx.Err()} {
			if err != nil {
				return err
			}
		}
		batch[n], rec = rec, batch[n]
		if n++; n == len(batch) {
			push()
		}
	}
	push()
	return failed
}

// push sends records, to the next program if this one goes meanwhile.
func (x *exchange) push(ctx context.Context, records []format.Record) error {
	for len(records) > 0 {
		turn := x.turn.Load()
		x.stats.depart(records)
		n, err := x.side.Send(ctx, records, !x.drop)
		records = records[n:]
		x.stats.cancel(len(records))
		if err == nil {
			x.stats.dropped.Add(uint64(len(records)))
			return nil
		}
		if err = x.next(ctx, turn, err); err != nil {
			return err
		}
		if x.pacer != nil {
			x.pacer.Resume()
		}
	}
	return nil
}

// next is what to do about err, which the side said in that turn: nil to go on with
// the next program. The first of sender and receiver to come waits for it.
func (x *exchange) next(ctx context.Context, turn uint64, err error) error {
	if x.again == nil || ctx.Err() != nil || !node.Gone(err) && !errors.Is(err, os.ErrClosed) {
		return err
	}
	x.turning.Lock()
	defer x.turning.Unlock()
	if x.turn.Load() != turn {
		return nil
	}
	if err := x.again(ctx); err != nil {
		return err
	}
	x.turn.Add(1)
	return nil
}

// receive writes what comes in. What has come is written before more is waited for.
func (x *exchange) receive(ctx context.Context) (err error) {
	defer func() {
		if failed := x.out.flush(); failed != nil {
			err = failed
		}
	}()
	var records [vectorLen]format.Record
	for {
		turn := x.turn.Load()
		n, err := x.side.Receive(ctx, records[:], false)
		if n == 0 && err == nil {
			if err := x.out.flush(); err != nil {
				return err
			}
			n, err = x.side.Receive(ctx, records[:], true)
		}
		if err != nil {
			if err = x.next(ctx, turn, err); err != nil {
				return err
			}
			continue
		}
		if x.in == nil && x.limit > 0 {
			n = int(min(uint64(n), x.limit-x.stats.received.Load()))
		}
		x.stats.arrive(records[:n])
		for i := range records[:n] {
			if err := x.out.write(&records[i]); err != nil {
				return err
			}
		}
		if x.in == nil && x.stats.received.Load() == x.limit && x.limit > 0 {
			return errDone
		}
	}
}
