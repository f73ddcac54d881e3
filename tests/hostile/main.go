// SPDX-License-Identifier: Apache-2.0

// Command hostile makes all calls of the Go API on a region whose other side
// writes anything anywhere, until SIGTERM: its twin in C, and that other side, is
// tests/c/hostile/hostile.c.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"github.com/villas-ext/villas-ext/tests/stall"
)

const (
	queueLen, sampleLen = 16, 6
	// longestCall: no call takes longer; twenty times the bound for noticing a
	// death, which is the longest that any waits.
	longestCall = 4 * time.Second
)

var calls stall.Calls

type side interface {
	Alloc([]sample.Sample) int
	Write([]sample.Sample) (int, error)
	WriteContext(context.Context, []sample.Sample) (int, error)
	ReadContext(context.Context, []sample.Sample) (int, error)
	TryRead([]sample.Sample) (int, error)
	Pool() *pool.View
}

func makeCalls(s side) {
	var smps, got [2 * queueLen]sample.Sample
	var n, w int
	calls.Time(func() { n = s.Alloc(smps[:1+rand.IntN(len(smps))]) })
	for i, smp := range smps[:n] {
		calls.Time(func() {
			smp.SetValues([]float32{1, float32(i), 3})
			smp.SetInt(1, int32(i))
			smp.Get()
			smp.Put()
			smp.SetOrigin(time.Unix(int64(i), 0))
		})
	}
	calls.Time(func() { w, _ = s.Write(smps[:n]) })
	calls.Time(func() { sample.PutAll(smps[w:n]) })
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if rand.IntN(8) == 0 {
		calls.Time(func() { n, _ = s.ReadContext(ctx, got[:]) })
	} else {
		calls.Time(func() { n, _ = s.TryRead(got[:1+rand.IntN(len(got))]) })
	}
	for _, smp := range got[:n] {
		calls.Time(func() {
			values := slices.Clone(smp.Values())
			if len(values) > sampleLen+10 || smp.Len() > smp.Cap() {
				panic("a length is not clamped")
			}
			for i := range smp.Len() {
				smp.IsInt(i)
			}
			_, _, _ = smp.Origin().Format(time.RFC3339Nano), smp.Received(), smp.Sent()
			_, _ = smp.Sequence(), smp.Refs()
		})
	}
	if n > 1 {
		calls.Time(func() { got[0].CopyFrom(got[1]) })
	}
	if n > 0 && rand.IntN(4) == 0 {
		calls.Time(func() { w, _ = s.WriteContext(ctx, got[:n]) })
		got, n = [2 * queueLen]sample.Sample(slices.Concat(got[w:], got[:w])), n-w
	}
	calls.Time(func() { sample.PutAll(got[:n]) })
	calls.Time(func() { s.Pool().Free() })
}

func main() {
	if len(os.Args) != 5 || os.Args[1] != "target" {
		fmt.Fprintln(os.Stderr, "usage: hostile target node|program NAME POLLING")
		os.Exit(2)
	}
	name, polling, attached := os.Args[3], os.Args[4] == "1", 0
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGTERM)
	stall.Start()
	var node *shmem.Node
	if os.Args[2] == "node" {
		var err error
		if node, err = shmem.Create(name, shmem.Config{QueueLen: queueLen, SampleLen: sampleLen, Polling: polling, NoLegacy: true}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	for len(over) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		var s side
		var prog *shmem.Program
		var err error
		if node != nil {
			s = node
			calls.Time(func() { err = node.Accept(ctx) })
		} else {
			calls.Time(func() { prog, err = shmem.Open(ctx, name, shmem.OpenOptions{NoLegacy: true}) })
			s = prog
		}
		cancel()
		if err == nil {
			attached++
		} else if node == nil {
			continue
		}
		for range 20 {
			makeCalls(s)
		}
		if prog != nil {
			calls.Time(func() { prog.Close() })
		}
	}
	if node != nil {
		calls.Time(func() { node.Close() })
	}
	fmt.Printf("%d calls, the longest took %v, attached %d times\n", calls.Count, calls.Longest, attached)
	if calls.Longest > longestCall || attached == 0 {
		os.Exit(1)
	}
}
