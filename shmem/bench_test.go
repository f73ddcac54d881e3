// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/villas-ext/villas-ext/sample"
)

// A bed is what a benchmark works on, an external program's side. The node's part
// is done on the same mapping.
type bed struct {
	*Program
	region *Region
	smps   []sample.Sample
	addrs  []uintptr // of samples, as they are in a queue
}

func (b *bed) address(n int) uintptr {
	for i, s := range b.smps[:n] {
		b.addrs[i] = s.Addr()
	}
	return uintptr(unsafe.Pointer(&b.addrs[0]))
}

// The cases of bench/measure/calls.c, under the same names, which `make bench`
// compares: elements at once, and what is done with b.N of them.
var calls = []struct {
	name      string // a format for n
	polling   bool
	sampleLen int
	n         []int
	run       func(b *bed, n, count int)
}{
	{"sample_alloc + sample_put, %d", true, 4, []int{1, 64}, func(b *bed, n, count int) {
		for range count / n {
			b.Alloc(b.smps[:n])
			for _, s := range b.smps[:n] {
				s.Put()
			}
		}
	}},
	{"sample_alloc + sample_put_many, %d", true, 4, []int{1, 64}, func(b *bed, n, count int) {
		for range count / n {
			b.Alloc(b.smps[:n])
			sample.PutAll(b.smps[:n])
		}
	}},
	{"sample_get + sample_put, %d", true, 4, []int{1}, func(b *bed, _, count int) {
		b.Alloc(b.smps[:1])
		for range count {
			b.smps[0].Get()
			b.smps[0].Put()
		}
		b.smps[0].Put()
	}},
	{"sample_copy, %d values", true, 1024, []int{4, 64, 1024}, func(b *bed, n, count int) {
		b.Alloc(b.smps[:2])
		b.smps[0].SetLen(n)
		for range count {
			b.smps[1].CopyFrom(b.smps[0])
		}
		sample.PutAll(b.smps[:2])
	}},
	{"read + process + write + put, %d", true, 4, []int{1, 8, 64}, func(b *bed, n, count int) {
		for range count / n {
			b.Alloc(b.smps[:n])
			b.region.Out.PushMany(b.address(n), uint64(n))
			got, _ := b.TryRead(b.smps[:n])
			for _, s := range b.smps[:got] {
				s.SetSequence(s.Sequence() + 1)
				s.SetFloat(0, s.Float(0)*0.5)
			}
			b.Write(b.smps[:got])
			b.region.In.PullMany(b.address(n), uint64(n))
			sample.PutAll(b.smps[:n])
		}
	}},
	{"signalled write, nobody sleeps, %d", false, 4, []int{1, 64}, nil},
}

func BenchmarkCalls(b *testing.B) {
	for i, c := range calls {
		name := fmt.Sprintf("/villas-test-%d-bench-%d", os.Getpid(), i)
		node, err := Create(name, Config{QueueLen: 1024, SampleLen: c.sampleLen, Polling: c.polling})
		if err != nil {
			b.Fatal(err)
		}
		program, err := Open(context.Background(), name, OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		on := &bed{program, &program.current.Load().Region, make([]sample.Sample, 256), make([]uintptr, 256)}
		for _, n := range c.n {
			b.Run(strings.ReplaceAll(fmt.Sprintf(c.name, n), " ", "_"), func(b *testing.B) {
				if c.run == nil {
					signalledWrite(b, on, n)
					return
				}
				c.run(on, n, 1024) // each page is there
				b.ResetTimer()
				c.run(on, n, (b.N+n-1)/n*n)
			})
		}
		program.Close()
		node.Close()
	}
}

// signalledWrite times the writes alone.
func signalledWrite(b *testing.B, on *bed, n int) {
	const once = 256
	for left := b.N; left > 0; left -= once {
		b.StopTimer()
		on.Alloc(on.smps[:once])
		b.StartTimer()
		for k := 0; k < min(left, once); k += n {
			on.Write(on.smps[k : k+n])
		}
		b.StopTimer()
		got := on.region.In.PullMany(on.address(once), once)
		for _, a := range on.addrs[:got] {
			sample.At(a, on.Pool()).Put()
		}
		for _, s := range on.smps[got:once] {
			s.Put()
		}
		b.StartTimer()
	}
}
