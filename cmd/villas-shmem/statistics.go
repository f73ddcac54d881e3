// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/villas-ext/villas-ext/format"
)

// statistics counts an exchange. The sender and the receiver write, anybody reads.
type statistics struct {
	sent, received, matched, late, dropped, malformed atomic.Uint64
	complete                                          atomic.Bool   // all was sent
	deadline                                          time.Duration // to come back in; 0: none

	mu      sync.Mutex // guards what follows
	flights flights
	latency *hdrhistogram.Histogram // ns
	begun   time.Time
	took    time.Duration // 0 while it goes on
}

// longest is the longest latency that is told from longer ones.
const longest = int64(10 * time.Minute)

func newStatistics() *statistics {
	return &statistics{latency: hdrhistogram.New(1, longest, 3)}
}

// begin begins to count, for an exchange in which as many samples can be on their way.
func (s *statistics) begin(samples int) {
	s.mu.Lock()
	s.begun = time.Now()
	s.flights.ring = make([]flight, max(leastFlights, samples+vectorLen))
	s.mu.Unlock()
}

func (s *statistics) end() {
	s.mu.Lock()
	s.took = time.Since(s.begun)
	s.mu.Unlock()
}

// missing is how many of the samples sent have not come back.
func (s *statistics) missing() uint64 { return s.sent.Load() - s.matched.Load() }

// depart notes that records are about to be sent; cancel, that the last n of them
// were not.
func (s *statistics) depart(records []format.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.Add(uint64(len(records)))
	now := time.Now()
	for i := range records {
		s.flights.depart(uint32(records[i].Sequence), now)
	}
}

func (s *statistics) cancel(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.Add(-uint64(n))
	s.flights.cancel(n)
}

// arrive notes that records have come.
func (s *statistics) arrive(records []format.Record) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		at, was := s.flights.arrive(uint32(records[i].Sequence))
		if !was {
			continue
		}
		s.matched.Add(1)
		d := now.Sub(at)
		s.latency.RecordValue(min(int64(d), longest))
		if s.deadline > 0 && d > s.deadline {
			s.late.Add(1)
		}
	}
	s.received.Add(uint64(len(records)))
}

// flights are the samples on their way, in the order in which they were sent, by
// sequence number. Most come back in order: the search begins behind the one that
// came last.
type flights struct {
	ring       []flight
	head, tail uint64 // the oldest, and behind the latest
	next       uint64 // behind the one that came last
}

type flight struct {
	sequence uint32
	back     bool
	at       time.Time
}

const (
	leastFlights = 4096 // those that do not come back take up room as well
	mostSearched = 4096 // from either place where a search begins
)

func (f *flights) slot(i uint64) *flight { return &f.ring[i%uint64(len(f.ring))] }

func (f *flights) depart(sequence uint32, at time.Time) {
	if f.tail-f.head == uint64(len(f.ring)) { // the oldest is lost
		f.head++
	}
	*f.slot(f.tail) = flight{sequence: sequence, at: at}
	f.tail++
}

// cancel forgets the latest n.
func (f *flights) cancel(n int) { f.tail = max(f.head, f.tail-uint64(n)) }

// arrive finds when the sample was sent that has come; false if none such was.
func (f *flights) arrive(sequence uint32) (time.Time, bool) {
	next := max(f.next, f.head)
	i, found := f.find(sequence, next, f.tail)
	if !found {
		i, found = f.find(sequence, f.head, next)
	}
	if !found {
		return time.Time{}, false
	}
	s := f.slot(i)
	s.back = true
	f.next = i + 1
	for f.head < f.tail && f.slot(f.head).back {
		f.head++
	}
	return s.at, true
}

func (f *flights) find(sequence uint32, from, to uint64) (uint64, bool) {
	for i := from; i < min(to, from+mostSearched); i++ {
		if s := f.slot(i); s.sequence == sequence && !s.back {
			return i, true
		}
	}
	return 0, false
}

// report prints what there is to say at the end.
func (s *statistics) report(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, received := s.sent.Load(), s.received.Load()
	fmt.Fprintf(w, "sent      %d\nreceived  %d\nlost      %d\nlate      %d", sent, received, s.missing(), s.late.Load())
	if s.deadline > 0 {
		fmt.Fprintf(w, " (more than %v on the way)", s.deadline)
	}
	fmt.Fprintln(w)
	if n := s.dropped.Load(); n > 0 {
		fmt.Fprintf(w, "dropped   %d (the queue was full)\n", n)
	}
	if n := s.malformed.Load(); n > 0 {
		fmt.Fprintf(w, "skipped   %d malformed lines\n", n)
	}
	fmt.Fprintf(w, "time      %.3f s\n", s.took.Seconds())
	if more := max(sent, received); more > 0 {
		fmt.Fprintf(w, "rate      %.0f samples/s\n", float64(more)/s.took.Seconds())
	}
	if s.latency.TotalCount() > 0 {
		us := func(q float64) float64 { return float64(s.latency.ValueAtQuantile(q)) / 1e3 }
		fmt.Fprintf(w, "latency   p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us (there and back)\n",
			us(50), us(99), us(99.9), float64(s.latency.Max())/1e3)
	}
}

// progress keeps one line of a terminal up to date until ctx ends.
func (s *statistics) progress(ctx context.Context, w io.Writer) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	last, at := uint64(0), time.Now()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprint(w, "\r\x1b[K")
			return
		case now := <-tick.C:
			sent, received := s.sent.Load(), s.received.Load()
			more := max(sent, received)
			fmt.Fprintf(w, "\r\x1b[Ksent %d, received %d, %.0f samples/s", sent, received, float64(more-last)/now.Sub(at).Seconds())
			last, at = more, now
		}
	}
}
