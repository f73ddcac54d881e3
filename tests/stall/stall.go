// SPDX-License-Identifier: Apache-2.0

// Package stall measures how long this process got no CPU, or the whole machine
// stood still: what a bound on waiting cannot answer for.
package stall

import (
	"sync/atomic"
	"time"
)

var total atomic.Int64

// Start begins to measure.
func Start() {
	go func() {
		for last := time.Now(); ; {
			time.Sleep(5 * time.Millisecond)
			now := time.Now()
			if gap := now.Sub(last); gap > 50*time.Millisecond {
				total.Add(int64(gap - 5*time.Millisecond))
			}
			last = now
		}
	}()
}

// Total is how long it was so far.
func Total() time.Duration { return time.Duration(total.Load()) }

// Calls are calls of one goroutine, and how long the longest took of what such a
// bound can answer for.
type Calls struct {
	Count   int
	Longest time.Duration
}

// Time makes one more call.
func (c *Calls) Time(call func()) {
	start, stalled := time.Now(), Total()
	call()
	took := time.Since(start)
	if took > 500*time.Millisecond {
		time.Sleep(20 * time.Millisecond) // the beat comes late, too
	}
	c.Count, c.Longest = c.Count+1, max(c.Longest, took-(Total()-stalled))
}
