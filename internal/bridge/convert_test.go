// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

// samples are one of a pair with its room for 16 values and one of a region with
// that for 10.
func samples(t *testing.T) (pair.Sample, sample.Sample) {
	t.Helper()
	name := fmt.Sprintf("/villas-test-%d-bridge", os.Getpid())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := pair.Open(ctx, name+"-pair", name+"-pair", pair.Options{SampleLen: 13})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	r, err := shmem.Create(name, shmem.Config{SampleLen: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	var g [1]pair.Sample
	var a [1]sample.Sample
	if p.Alloc(g[:]) != 1 || r.Alloc(a[:]) != 1 || g[0].Cap() != 13 || a[0].Cap() != 10 {
		t.Fatal("no samples of that size")
	}
	return g[0], a[0]
}

func kinds(t *testing.T, text string) format.Kinds {
	t.Helper()
	k, err := format.ParseKinds(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestValuesThatFitCrossAndComeBack(t *testing.T) {
	g, a := samples(t)
	g.SetLen(6)
	g.SetFloat(0, -2.5)
	g.SetInt(1, -1<<31)
	g.SetBool(2, true)
	g.SetComplex(3, 1.5-2i)
	g.SetInt(4, 1<<40)
	g.SetFloat(5, 0.1)
	k := kinds(t, "fibcif")
	if left := toRegion(a, g, k); left != 0 || a.Len() != 7 {
		t.Fatalf("%d values are left, %d crossed", left, a.Len())
	}
	if !a.IsInt(1) || !a.IsInt(2) || a.IsInt(0) || a.IsInt(3) || a.IsInt(5) || a.Float(3) != 1.5 || a.Float(4) != -2 || a.Float(5) != 1<<40 {
		t.Errorf("%v", a.Values())
	}
	g.SetLen(0)
	g.SetFlags(0)
	if left := toPair(g, a, k); left != 0 || g.Len() != 6 {
		t.Fatalf("%d values are left, %d came back", left, g.Len())
	}
	if g.Float(0) != -2.5 || g.Int(1) != -1<<31 || !g.Bool(2) || g.Complex(3) != 1.5-2i || g.Int(4) != 1<<40 || g.Float(5) != float64(float32(0.1)) {
		t.Errorf("%x", g.Bits())
	}
	if toPair(g, a, nil) != 0 || g.Len() != 7 || g.Int(1) != -1<<31 || g.Int(2) != 1 || g.Float(4) != -2 { // as the program marks them
		t.Errorf("%x", g.Bits())
	}
	if g.Flags() != pair.HasData|pair.HasSequence {
		t.Errorf("flags %#x of a sample without times", g.Flags())
	}
}

func TestValuesThatHaveNoRoomAreCounted(t *testing.T) {
	g, a := samples(t)
	g.SetLen(13)
	if left := toRegion(a, g, nil); left != 3 || a.Len() != 10 {
		t.Errorf("%d are left, %d crossed", left, a.Len())
	}
	if left := toRegion(a, g, kinds(t, "fc")); left != 8 || a.Len() != 9 { // half a complex number is none
		t.Errorf("%d are left, %d crossed", left, a.Len())
	}
}

func TestASampleThatComesBackIsKnown(t *testing.T) {
	g, a := samples(t)
	m := newMemory(3)
	g.SetSequence(7<<32 | 5)
	g.SetOrigin(time.Unix(1700000000, 999999999))
	g.SetFlags(g.Flags() | pair.NewFrame | pair.NewSimulation)
	flags := g.Flags()
	m.keep(g)
	toRegion(a, g, nil)
	if !a.Origin().Equal(time.Unix(1700000000, 999999999)) || a.Sequence() != 5 || !a.Received().Equal(epoch) {
		t.Errorf("%d %v", a.Sequence(), a.Origin())
	}
	g.SetFlags(0)
	toPair(g, a, nil)
	m.restore(g)
	if g.Sequence() != 7<<32|5 || g.Flags() != flags {
		t.Errorf("%#x %#x", g.Sequence(), g.Flags())
	}
	a.SetOrigin(time.Unix(1700000000, 1)) // another sample of that number: one of the program's own
	g.SetFlags(0)
	toPair(g, a, nil)
	m.restore(g)
	if g.Sequence() != 5 || g.Flags()&pair.NewFrame != 0 {
		t.Errorf("%#x %#x", g.Sequence(), g.Flags())
	}
}
