// SPDX-License-Identifier: Apache-2.0

// Package measure is what the benchmarks of this project share: repeated runs
// and their medians, and what is made of them: a table, JSON, a chart.
package measure

import (
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Spread is a median with the lowest and the highest of the runs it is of.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Over is the spread of runs; NaN of none.
func Over(runs []float64) Spread {
	if len(runs) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	s := slices.Sorted(slices.Values(runs))
	return Spread{Median: (s[(len(s)-1)/2] + s[len(s)/2]) / 2, Low: s[0], High: s[len(s)-1]}
}

// Result is one line of a table: the same measured in each of the columns.
type Result struct {
	Group string            `json:"group"`
	What  string            `json:"what"`
	By    map[string]Spread `json:"by"` // column
	// Ratio is that of the first column to the second, of each run; nil where it
	// says nothing.
	Ratio  *Spread `json:"ratio,omitempty"`
	Target float64 `json:"target,omitempty"` // that the ratio's median is to keep; 0: none
}

// Series are the figures of some runs: what was measured, in the order in which
// it came up, and a figure a run in each column. The zero value is empty.
type Series struct {
	What []string
	by   map[string]map[string][]float64 // what, column
}

// ratio is a column beside those of a table.
const ratio = "\x00ratio"

// Add adds the figure of a run.
func (s *Series) Add(what, column string, figure float64) {
	if s.by == nil {
		s.by = map[string]map[string][]float64{}
	}
	if s.by[what] == nil {
		s.What = append(s.What, what)
		s.by[what] = map[string][]float64{}
	}
	s.by[what][column] = append(s.by[what][column], figure)
}

// Runs returns the figures of what in a column.
func (s *Series) Runs(what, column string) []float64 { return s.by[what][column] }

// AddTurns adds, as one run, the medians of turns that columns took, and how the
// first column compares with the second: the median of the ratios of turns that
// follow each other.
func (s *Series) AddTurns(turns *Series, columns []string) {
	for _, what := range turns.What {
		for column, figures := range turns.by[what] {
			s.Add(what, column, Over(figures).Median)
		}
		a, b := turns.Runs(what, columns[0]), turns.Runs(what, columns[1])
		var ratios []float64
		for i := range min(len(a), len(b)) {
			ratios = append(ratios, a[i]/b[i])
		}
		if len(ratios) > 0 {
			s.Add(what, ratio, Over(ratios).Median)
		}
	}
}

// Table makes a table of the series; targets are those of ratios.
func (s *Series) Table(group string, columns []string, targets map[string]float64) Table {
	t := Table{Columns: columns}
	for _, what := range s.What {
		r := Result{Group: group, What: what, By: map[string]Spread{}}
		for _, column := range columns {
			if runs := s.Runs(what, column); len(runs) > 0 {
				r.By[column] = Over(runs)
			}
		}
		if ratios := s.Runs(what, ratio); len(ratios) > 0 {
			over := Over(ratios)
			r.Ratio, r.Target = &over, targets[what]
		}
		t.Results = append(t.Results, r)
	}
	return t
}

// Quantiles of latencies that are reported.
var Quantiles = []struct {
	Name string
	At   float64 // percent
}{{"p50", 50}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}}

// Latencies counts latencies, to the nanosecond below 4 us and to a thousandth
// above.
type Latencies struct{ h *hdrhistogram.Histogram }

// NewLatencies returns an empty count, for up to ten seconds.
func NewLatencies() Latencies { return Latencies{hdrhistogram.New(1, int64(10*time.Second), 3)} }

// Add counts one of ns nanoseconds.
func (l Latencies) Add(ns int64) { l.h.RecordValue(min(max(ns, 1), int64(10*time.Second))) }

// Quantiles returns [Quantiles] in nanoseconds.
func (l Latencies) Quantiles() []float64 {
	var q []float64
	for _, quantile := range Quantiles {
		q = append(q, float64(l.h.ValueAtQuantile(quantile.At)))
	}
	return q
}
