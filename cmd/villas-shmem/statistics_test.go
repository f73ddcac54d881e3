// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/format"
)

func records(sequences ...uint64) (all []format.Record) {
	for _, n := range sequences {
		all = append(all, format.Record{Sequence: n, HasSequence: true})
	}
	return all
}

func TestSamplesAreMatchedInAnyOrderAndOnlyOnce(t *testing.T) {
	for what, c := range map[string]struct {
		sent, came []uint64
		matched    uint64
	}{
		"in order":           {[]uint64{0, 1, 2, 3}, []uint64{0, 1, 2, 3}, 4},
		"out of order":       {[]uint64{0, 1, 2, 3}, []uint64{3, 0, 2, 1}, 4},
		"some are lost":      {[]uint64{0, 1, 2, 3}, []uint64{1, 3}, 2},
		"twice":              {[]uint64{0, 1}, []uint64{0, 0, 1, 1}, 2},
		"never sent":         {[]uint64{0, 1}, []uint64{7, 1, 8}, 1},
		"the same again":     {[]uint64{5, 6, 5, 6}, []uint64{5, 6, 5, 6}, 4},
		"beyond 32 bits":     {[]uint64{1<<32 + 5}, []uint64{5}, 1},
		"nothing":            {nil, []uint64{1}, 0},
		"none comes":         {[]uint64{1, 2}, nil, 0},
		"the first, at last": {[]uint64{0, 1, 2}, []uint64{1, 2, 0}, 3},
	} {
		s := newStatistics()
		s.begin(1000)
		s.depart(records(c.sent...))
		s.arrive(records(c.came...))
		if s.matched.Load() != c.matched || s.missing() != uint64(len(c.sent))-c.matched || s.received.Load() != uint64(len(c.came)) {
			t.Errorf("%s: %d matched, %d missing, %d received", what, s.matched.Load(), s.missing(), s.received.Load())
		}
		if n := s.latency.TotalCount(); n != int64(c.matched) {
			t.Errorf("%s: %d latencies", what, n)
		}
	}
}

func TestManyLostSamplesDoNotHideThoseAfterThem(t *testing.T) {
	s := newStatistics()
	s.begin(1000)
	for n := range uint64(3 * leastFlights) {
		s.depart(records(n))
		if n%2 == 1 {
			s.arrive(records(n))
		}
	}
	if n := uint64(3 * leastFlights); s.matched.Load() != n/2 || s.missing() != n/2 {
		t.Errorf("%d of %d matched", s.matched.Load(), n)
	}
}

func TestAsManyAsThereAreCanBeOnTheirWay(t *testing.T) {
	s := newStatistics()
	s.begin(20000)
	for n := range uint64(20000) {
		s.depart(records(n))
	}
	for n := range uint64(20000) {
		s.arrive(records(n))
	}
	if s.missing() != 0 {
		t.Errorf("%d are missing", s.missing())
	}
}

func TestWhatWasNotSentIsNotWaitedFor(t *testing.T) {
	s := newStatistics()
	s.begin(1000)
	s.depart(records(0, 1, 2, 3))
	s.cancel(2)
	s.arrive(records(0, 2))
	if s.sent.Load() != 2 || s.matched.Load() != 1 || s.missing() != 1 {
		t.Errorf("%d sent, %d matched", s.sent.Load(), s.matched.Load())
	}
}

func TestASampleThatComesAfterTheDeadlineIsLate(t *testing.T) {
	s := newStatistics()
	s.begin(1000)
	s.deadline = time.Hour
	s.depart(records(0, 1))
	s.arrive(records(0))
	s.deadline = time.Nanosecond
	time.Sleep(time.Millisecond)
	s.arrive(records(1))
	if s.late.Load() != 1 {
		t.Errorf("%d are late", s.late.Load())
	}
}
