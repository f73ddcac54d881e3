// SPDX-License-Identifier: Apache-2.0

package format

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

// newSample is a sample of a region with room for n values.
func newSample(t *testing.T, n int) sample.Sample {
	t.Helper()
	region, err := shmem.Create(fmt.Sprintf("/villas-format-%d", os.Getpid()), shmem.Config{QueueLen: 2, SampleLen: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { region.Close() })
	var s [1]sample.Sample
	if region.Alloc(s[:]) != 1 {
		t.Fatal("no sample")
	}
	return s[0]
}

func TestSamplesKeepWhatTheyHaveRoomFor(t *testing.T) {
	s := newSample(t, 74) // which fills its block
	s.SetSent(time.Unix(1, 2))
	rec := Record{Sec: -5, Nsec: 999999999, Offset: 2*time.Second + 3, HasOffset: true, Sequence: 1<<32 + 1<<31 + 7, HasSequence: true,
		Values: []Value{Float(0.1), Int(-7), Bool(true), Complex(1.5 + 2i), Int(math.MaxInt32), Int(math.MaxInt32 + 1), Float(math.Inf(-1))}}
	for len(rec.Values) < 78 {
		rec.Values = append(rec.Values, Int(int64(len(rec.Values))))
	}
	if dropped := rec.Store(s); dropped != 4 {
		t.Errorf("%d values dropped", dropped)
	}
	want := Record{Sec: -5, Nsec: 999999999, Offset: 2*time.Second + 3, HasOffset: true, Sequence: 1<<31 + 7, HasSequence: true,
		Values: []Value{Float(float64(float32(0.1))), Int(-7), Int(1), Float(1.5), Int(math.MaxInt32), Float(math.MaxInt32 + 1), Float(math.Inf(-1))}}
	for i := len(want.Values); i < 64; i++ {
		want.Values = append(want.Values, Int(int64(i)))
	}
	for i := 64; i < 74; i++ {
		want.Values = append(want.Values, Float(float64(i)))
	}
	var got Record
	if got.Load(s); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !s.Sent().Equal(time.Unix(0, 0)) {
		t.Errorf("sent at %v", s.Sent())
	}

	// The next one in the same block brings nothing along.
	next := Record{Sec: 1, Values: []Value{Float(1), Float(2)}}
	next.Store(s)
	if got.Load(s); !reflect.DeepEqual(got, Record{Sec: 1, HasSequence: true, Values: next.Values}) {
		t.Errorf("got  %+v", got)
	}
	if n := testing.AllocsPerRun(1000, func() { rec.Store(s); got.Load(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestIntegersBecomeFloatsWhereAsked(t *testing.T) {
	rec := Record{Values: []Value{Int(5), Bool(true), Float(1.5), Complex(1i)}}
	rec.Floats()
	if want := []Value{Float(5), Float(1), Float(1.5), Complex(1i)}; !reflect.DeepEqual(rec.Values, want) {
		t.Error(rec.Values)
	}
}

func TestValuesConvert(t *testing.T) {
	for _, c := range []struct {
		v       Value
		kind    Kind
		f       float64
		i       int64
		b       bool
		text    string
		complex complex128
	}{
		{Value{}, KindFloat, 0, 0, false, "0", 0},
		{Float(2.5), KindFloat, 2.5, 2, true, "2.5", 2.5},
		{Float(-1e300), KindFloat, -1e300, math.MinInt64, true, "-1e+300", -1e300},
		{Float(math.Inf(1)), KindFloat, math.Inf(1), math.MaxInt64, true, "+Inf", complex(math.Inf(1), 0)},
		{Int(-3), KindInt, -3, -3, true, "-3", -3},
		{Bool(true), KindBool, 1, 1, true, "1", 1},
		{Bool(false), KindBool, 0, 0, false, "0", 0},
		{Complex(0 - 2i), KindComplex, 0, 0, true, "0-2i", -2i},
	} {
		if v := c.v; v.Kind() != c.kind || v.Float64() != c.f || v.Int64() != c.i || v.Bool() != c.b || v.String() != c.text || v.Complex128() != c.complex {
			t.Errorf("%v: %v %v %v %v %v", v, v.Kind(), v.Float64(), v.Int64(), v.Bool(), v.Complex128())
		}
	}
	if Float(math.NaN()).Int64() != 0 {
		t.Error("NaN is an integer")
	}
}
