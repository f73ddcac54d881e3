// SPDX-License-Identifier: Apache-2.0

// Package signal computes test signals: the shapes that VILLASnode's generator
// has, each a pure function of the number of the sample. The same seed gives the
// same samples, from any number on and with any left out.
package signal

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Shape is what a signal of amplitude 1 looks like; p runs from 0 to 1 in each of
// its periods.
type Shape uint8

const (
	Random   Shape = iota // a random walk from 0 that strays by 1 (standard deviation) in a period
	Sine                  // sin(2 pi p)
	Square                // -1, and 1 from p = 1/2 on
	Triangle              // from 1 to -1 at p = 1/2, and back
	Ramp                  // p
	Counter               // the number of the sample
)

var shapeNames = []string{"random", "sine", "square", "triangle", "ramp", "counter"}

func (s Shape) String() string { return shapeNames[s] }

// Names are the names that [ByName] knows.
func Names() []string { return append(slices.Clone(shapeNames), "mixed") }

// ByName finds a shape; "mixed" is all of them, in order.
func ByName(name string) ([]Shape, error) {
	if name == "mixed" {
		return []Shape{Random, Sine, Square, Triangle, Ramp, Counter}, nil
	}
	if i := slices.Index(shapeNames, name); i >= 0 {
		return []Shape{Shape(i)}, nil
	}
	return nil, fmt.Errorf("there is no shape %q: it must be one of %s", name, strings.Join(Names(), ", "))
}

// Signal is Offset + Amplitude * the shape + noise.
type Signal struct {
	Shape
	Frequency float64 // Hz
	Amplitude float64
	Phase     float64 // degrees by which the signal is ahead
	Offset    float64
	Noise     float64 // standard deviation of white noise
}

// A Generator computes the values of samples. It is not safe for concurrent use.
type Generator struct {
	rate    float64
	seed    uint64
	signals []Signal
	source  rand.PCG
	rand    *rand.Rand
}

// NewGenerator makes a generator of samples at rate, in Hz and above 0, with one
// value for each of signals.
func NewGenerator(rate float64, seed uint64, signals ...Signal) *Generator {
	g := &Generator{rate: rate, seed: seed, signals: signals}
	g.rand = rand.New(&g.source)
	return g
}

// At sets values, one for each signal, to those of sample n. It does not allocate.
func (g *Generator) At(n uint64, values []float64) {
	for i := range g.signals {
		values[i] = g.value(n, uint64(i))
	}
}

func (g *Generator) value(n, i uint64) float64 {
	s := &g.signals[i]
	p := s.Frequency*float64(n)/g.rate + s.Phase/360
	p -= math.Floor(p)
	var v float64
	switch s.Shape {
	case Random:
		v = g.walk(n, i) * math.Sqrt(math.Abs(s.Frequency)/g.rate)
	case Sine:
		v = math.Sin(2 * math.Pi * p)
	case Square:
		v = -1
		if p >= 0.5 {
			v = 1
		}
	case Triangle:
		v = 4*math.Abs(p-0.5) - 1
	case Ramp:
		v = p
	case Counter:
		v = float64(n)
	}
	v = s.Offset + s.Amplitude*v
	if s.Noise != 0 {
		v += s.Noise * g.normal(n, 2*i)
	}
	return v
}

// walkBits bounds the length of a walk: it begins anew after 2^walkBits samples.
const walkBits = 48

// walk is a random walk of normal steps, of deviation 1, at step n. Lévy's
// construction finds it without the steps before: between two points that are
// known, width apart, the middle is normal about their mean, of variance width/4.
func (g *Generator) walk(n, i uint64) float64 {
	n &= 1<<walkBits - 1
	from, width := uint64(0), uint64(1)<<walkBits
	a, b := 0.0, g.normal(width, 2*i+1)*math.Sqrt(float64(width))
	for from != n {
		width /= 2
		middle := from + width
		m := (a+b)/2 + g.normal(middle, 2*i+1)*math.Sqrt(float64(width)/2)
		if n < middle {
			b = m
		} else {
			from, a = middle, m
		}
	}
	return a
}

// normal is number n of a stream of standard normal numbers.
func (g *Generator) normal(n, stream uint64) float64 {
	g.source.Seed(g.seed+stream*0x9e3779b97f4a7c15, n)
	return g.rand.NormFloat64()
}
