// SPDX-License-Identifier: Apache-2.0

package signal

import (
	"math"
	"strings"
	"testing"
)

// series is one signal's values 0 to n-1.
func series(rate float64, seed uint64, s Signal, n int) []float64 {
	g, values := NewGenerator(rate, seed, s), make([]float64, n)
	for i := range values {
		g.At(uint64(i), values[i:i+1])
	}
	return values
}

func TestShapesAreWhatTheySay(t *testing.T) {
	for shape, want := range map[Shape][8]float64{
		Sine:     {0, math.Sqrt2 / 2, 1, math.Sqrt2 / 2, 0, -math.Sqrt2 / 2, -1, -math.Sqrt2 / 2},
		Square:   {-1, -1, -1, -1, 1, 1, 1, 1},
		Triangle: {1, 0.5, 0, -0.5, -1, -0.5, 0, 0.5},
		Ramp:     {0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875},
	} {
		// Period 8 samples, a million periods on, with a phase of an eighth.
		for phase, shift := range map[float64]int{0: 0, 45: 1, -45: 7, 720: 0} {
			got := series(400, 1, Signal{Shape: shape, Frequency: 50, Amplitude: 3, Offset: -1, Phase: phase}, 8)
			g := NewGenerator(400, 1, Signal{Shape: shape, Frequency: 50, Amplitude: 3, Offset: -1, Phase: phase})
			for i := range got {
				w := 3*want[(i+shift)%8] - 1
				var late [1]float64
				g.At(uint64(8e6+i), late[:])
				if math.Abs(got[i]-w) > 1e-12 || math.Abs(late[0]-w) > 1e-6 {
					t.Errorf("%v, phase %v: value %d is %v, a million periods on %v, want %v", shape, phase, i, got[i], late[0], w)
				}
			}
		}
	}
	if got := series(10, 1, Signal{Shape: Counter, Amplitude: 2, Offset: 1}, 4); got[0] != 1 || got[3] != 7 {
		t.Error(got)
	}
}

func TestMixedIsAllShapes(t *testing.T) {
	shapes, err := ByName("mixed")
	if err != nil || len(shapes) != len(shapeNames) {
		t.Error(shapes, err)
	}
	for _, s := range shapes {
		if got, err := ByName(s.String()); err != nil || got[0] != s {
			t.Error(s, got, err)
		}
	}
	if _, err := ByName("sinus"); err == nil || !strings.Contains(err.Error(), `"sinus"`) {
		t.Error(err)
	}
}

// moments are mean, standard deviation and the correlation of neighbours.
func moments(x []float64) (mean, deviation, correlation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	var square, product float64
	for i, v := range x {
		square += (v - mean) * (v - mean)
		product += (v - mean) * (x[(i+1)%len(x)] - mean)
	}
	return mean, math.Sqrt(square / float64(len(x))), product / square
}

func TestNoiseIsWhiteAndTheWalksStepsAre(t *testing.T) {
	const n = 40000
	for _, seed := range []uint64{0, 1, 2, 1 << 63} {
		noise := series(1000, seed, Signal{Shape: Sine, Noise: 0.5}, n)
		if m, d, c := moments(noise); math.Abs(m) > 0.02 || math.Abs(d-0.5) > 0.02 || math.Abs(c) > 0.03 {
			t.Errorf("noise, seed %d: mean %v, deviation %v, correlation %v", seed, m, d, c)
		}
		walk := series(1000, seed, Signal{Shape: Random, Frequency: 10, Amplitude: 2}, n)
		steps := make([]float64, n-1)
		for i := range steps {
			steps[i] = walk[i+1] - walk[i]
		}
		// 100 steps a period: each of a tenth of the amplitude.
		if m, d, c := moments(steps); math.Abs(m) > 0.01 || math.Abs(d-0.2) > 0.01 || math.Abs(c) > 0.03 || walk[0] != 0 {
			t.Errorf("steps, seed %d: mean %v, deviation %v, correlation %v, from %v", seed, m, d, c, walk[0])
		}
	}
}

func TestAWalkStraysByItsAmplitudeInAPeriod(t *testing.T) {
	for periods, want := range map[uint64]float64{1: 3, 100: 30} {
		var ends []float64
		for seed := range uint64(2000) {
			var v [1]float64
			NewGenerator(1000, seed, Signal{Shape: Random, Frequency: 10, Amplitude: 3}).At(100*periods, v[:])
			ends = append(ends, v[0])
		}
		if m, d, _ := moments(ends); math.Abs(m) > want/10 || math.Abs(d/want-1) > 0.06 {
			t.Errorf("after %d periods: mean %v, deviation %v", periods, m, d)
		}
	}
}

func TestASampleDependsOnItsNumberAndTheSeedAlone(t *testing.T) {
	signals := []Signal{{Shape: Random, Frequency: 1, Amplitude: 1}, {Shape: Sine, Frequency: 1, Noise: 1}, {Shape: Random, Frequency: 1, Amplitude: 1}}
	there, back := make([][3]float64, 1000), NewGenerator(100, 7, signals...)
	for g, n := NewGenerator(100, 7, signals...), 0; n < len(there); n++ {
		g.At(uint64(n), there[n][:])
	}
	other := NewGenerator(100, 8, signals...)
	for n := len(there) - 1; n > 0; n -= 3 {
		var v [3]float64
		if back.At(uint64(n), v[:]); v != there[n] {
			t.Fatalf("sample %d is %v, and in another order %v", n, there[n], v)
		}
		if other.At(uint64(n), v[:]); v[0] == there[n][0] || v[1] == there[n][1] || v[0] == v[2] {
			t.Fatalf("sample %d: another seed or signal, the same noise: %v", n, v)
		}
	}
	var v [3]float64
	if n := testing.AllocsPerRun(1000, func() { back.At(5, v[:]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
