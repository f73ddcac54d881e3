// SPDX-License-Identifier: Apache-2.0

// Package chart draws signals over time.
package chart

import (
	"math"

	"gonum.org/v1/plot/plotter"
)

// Series is the line of one signal. However many points are added, it keeps so
// few that they fit on a screen, and still draws the same line: of each stretch
// the first, the last, the lowest and the highest point (Jugel et al., "M4: A
// Visualization-Oriented Time Series Data Aggregation", VLDB 2014).
type Series struct {
	Name      string
	stretches []stretch
	length    int // points that a stretch may take
	broken    bool
}

// stretch is some points in a row.
type stretch struct {
	points                 int
	first, low, high, last plotter.XY
	broken                 bool // from the one before
}

// maxStretches is more than a chart has columns of pixels; the number of stretches
// stays between its half and it.
const maxStretches = 1 << 14

// largest is beyond what a chart can be scaled to.
const largest = 1e300

// Add adds the value v at time t, in seconds. NaN, infinities and values beyond
// ±1e300 break the line.
func (s *Series) Add(t, v float64) {
	if !(math.Abs(v) < largest) {
		s.broken = true
		return
	}
	p := plotter.XY{X: t, Y: v}
	if n := len(s.stretches); n > 0 && !s.broken && s.stretches[n-1].points < s.length {
		s.stretches[n-1].join(stretch{1, p, p, p, p, false})
		return
	}
	if len(s.stretches) == maxStretches {
		s.halve()
	}
	s.length = max(s.length, 1)
	s.stretches = append(s.stretches, stretch{1, p, p, p, p, s.broken})
	s.broken = false
}

// join appends b to a.
func (a *stretch) join(b stretch) {
	a.points += b.points
	a.last = b.last
	if b.low.Y < a.low.Y {
		a.low = b.low
	}
	if b.high.Y > a.high.Y {
		a.high = b.high
	}
}

// halve joins neighbours.
func (s *Series) halve() {
	kept := s.stretches[:0]
	for i := 0; i < len(s.stretches); i += 2 {
		a := s.stretches[i]
		if i+1 < len(s.stretches) {
			a.join(s.stretches[i+1])
		}
		kept = append(kept, a)
	}
	s.stretches = kept
	s.length *= 2
}

// lines is what there is to draw on a chart that is width pixels wide.
func (s *Series) lines(width int) (lines []plotter.XYs) {
	for len(s.stretches) > 2*width {
		s.halve()
	}
	var line plotter.XYs
	add := func(p plotter.XY) {
		if len(line) == 0 || line[len(line)-1] != p {
			line = append(line, p)
		}
	}
	for _, st := range s.stretches {
		if st.broken && len(line) > 0 {
			lines, line = append(lines, line), nil
		}
		early, late := st.low, st.high
		if late.X < early.X {
			early, late = late, early
		}
		add(st.first)
		add(early)
		add(late)
		add(st.last)
	}
	if len(line) > 0 {
		lines = append(lines, line)
	}
	return lines
}
