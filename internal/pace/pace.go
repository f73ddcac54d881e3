// SPDX-License-Identifier: Apache-2.0

// Package pace holds a rate. Tick n is due at the start plus n periods, by the
// monotonic clock, however late the ticks before it were: a rate does not drift.
package pace

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// A Pacer says when ticks are due. It is not safe for concurrent use.
type Pacer struct {
	rate  float64
	lag   time.Duration
	start int64 // of tick 0, ns of the monotonic clock
	next  uint64
}

// New makes a pacer of rate ticks a second, from now on. Ticks that are later than
// lag are missed: Next jumps over them, and no burst to catch up is longer.
func New(rate float64, lag time.Duration) *Pacer {
	return &Pacer{rate: rate, lag: lag, start: now()}
}

// Next is the number of the next tick, from 0.
func (p *Pacer) Next() uint64 { return p.next }

// Resume makes the next tick due now, after a pause that counts for nothing.
func (p *Pacer) Resume() { p.start += now() - p.due(p.next) }

// Done takes n ticks off.
func (p *Pacer) Done(n int) { p.next += uint64(n) }

// slice bounds how long a wait does not look at its context.
const slice = int64(20 * time.Millisecond)

// Wait blocks until the next tick is due and returns how many are: some may be
// late. It ends with ctx's error when ctx does.
func (p *Pacer) Wait(ctx context.Context) (int, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		t := now()
		due := p.due(p.next)
		if t < due {
			// Go's own timers are only good for a millisecond.
			until := unix.NsecToTimespec(min(due, t+slice))
			unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &until, nil)
			continue
		}
		if late := t - due - int64(p.lag); late > 0 {
			p.next += uint64(float64(late)*p.rate/1e9) + 1
			continue
		}
		return 1 + int(float64(t-due)*p.rate/1e9), nil
	}
}

// due is when tick n is.
func (p *Pacer) due(n uint64) int64 { return p.start + int64(float64(n)/p.rate*1e9) }

func now() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail: the clock exists, the address is good
	return t.Nano()
}
