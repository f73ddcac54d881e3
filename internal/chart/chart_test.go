// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestALongSeriesKeepsItsExtremesAndItsGaps(t *testing.T) {
	var s Series
	const n = 1000000
	for i := range n {
		v := math.Sin(float64(i) / 1000)
		switch i {
		case 123457:
			v = 7
		case 777777:
			v = -5
		case n / 2:
			v = math.NaN()
		}
		s.Add(float64(i), v)
	}
	lines := s.lines(800)
	points, low, high := 0, math.Inf(1), math.Inf(-1)
	last := -1.0
	for _, line := range lines {
		points += len(line)
		for _, p := range line {
			if p.X <= last || p.X > last+n/400 {
				t.Fatalf("%v comes behind %v", p.X, last)
			}
			last, low, high = p.X, min(low, p.Y), max(high, p.Y)
		}
	}
	if points > 4*2*800 || low != -5 || high != 7 || lines[0][0].X != 0 || last != n-1 {
		t.Errorf("%d points from %v to %v, of %v to %v", points, lines[0][0], last, low, high)
	}
	s = Series{}
	for i := range 100 {
		v := float64(i)
		if i%10 == 5 {
			v = math.Inf(1)
		}
		s.Add(float64(i), v)
	}
	if lines := s.lines(800); len(lines) != 11 || len(lines[0]) != 5 || len(lines[1]) != 9 {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
}

func TestTicksAreRoundNumbersWithinTheRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.OneOf(rapid.Float64Range(-1e300, 1e300), rapid.Float64Range(-10, 10)).Draw(t, "low")
		high := low + math.Abs(rapid.OneOf(rapid.Float64Range(0, 1e300), rapid.Float64Range(0, 10)).Draw(t, "width"))
		if high-low <= math.Abs(low)*1e-12 || high-low < 1e-300 {
			return
		}
		labels, before := map[string]bool{}, math.NaN()
		slack := (high - low) * 1e-3
		for _, tick := range (ticks{}).Ticks(low, high) {
			if tick.Value < low-slack || tick.Value > high {
				t.Fatalf("%v is outside of %v to %v", tick.Value, low, high)
			}
			if tick.Label == "" {
				continue
			}
			var v float64
			if fmt.Sscan(tick.Label, &v); math.Abs(v-tick.Value) > slack || labels[tick.Label] {
				t.Fatalf("%v is labelled %q", tick.Value, tick.Label)
			}
			labels[tick.Label] = true
			if step := fmt.Sprintf("%.0e", tick.Value-before)[:1]; before == before && step != "1" && step != "2" && step != "5" {
				t.Fatalf("from %v to %v is a step of %v", before, tick.Value, tick.Value-before)
			}
			before = tick.Value
		}
		if len(labels) < 4 || len(labels) > 14 {
			t.Fatalf("from %v to %v there are %v", low, high, labels)
		}
	})
}

func TestChartsAreDrawn(t *testing.T) {
	var series []*Series
	for i := range 80 {
		s := &Series{Name: fmt.Sprintf("signal%d[V]", i)}
		for k := range 10 {
			s.Add(float64(k), float64(i*k))
		}
		series = append(series, s)
	}
	series[1] = &Series{Name: "constant"}
	series[1].Add(5, 5)
	series[2] = &Series{Name: "empty"}
	for what, list := range map[string][]*Series{"many": series, "one": series[:1], "a point": series[1:2], "nothing": series[2:3], "none": nil} {
		for _, kind := range []string{"png", "svg", "pdf"} {
			var out bytes.Buffer
			if err := Draw(&out, list, Options{Type: kind, Width: 640, Height: 300, Title: "t", XLabel: "x", YLabel: "y"}); err != nil {
				t.Errorf("%s as %s: %v", what, kind, err)
			}
			switch kind {
			case "png":
				if image, err := png.Decode(&out); err != nil || image.Bounds().Dx() != 640 || image.Bounds().Dy() != 300 {
					t.Errorf("%s: %v", what, err)
				}
			case "svg":
				if text := out.String(); len(list) > 1 && (!strings.Contains(text, ">signal0[V]<") || !strings.Contains(text, ">and ") || strings.Contains(text, ">signal79[V]<")) {
					t.Errorf("%s: the legend is wrong", what)
				}
			}
		}
	}
}
