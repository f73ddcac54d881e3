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
	Unit  string            `json:"unit"`
	By    map[string]Spread `json:"by"` // column
	// Ratio is that of the first column to the second, of each run; nil where it
	// says nothing.
	Ratio  *Spread `json:"ratio,omitempty"`
	Target float64 `json:"target,omitempty"` // that the ratio's median is to keep; 0: none
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
