// SPDX-License-Identifier: Apache-2.0

// Command soak is one side of a soak, through the Go API: what it does is told in
// its twin in C, tests/c/soak/soak.c.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

const (
	senders, readers = 2, 2
	vector           = 32
	queueLen         = 256
	leave            = -1
)

func main() {
	var err error
	switch {
	case len(os.Args) == 6 && os.Args[1] == "node":
		seconds, _ := strconv.ParseFloat(os.Args[4], 64)
		round, _ := strconv.ParseFloat(os.Args[5], 64)
		err = node(os.Args[2], os.Args[3] == "1", time.Duration(seconds*1e9), time.Duration(round*1e9))
	case len(os.Args) == 3 && os.Args[1] == "program":
		err = program(os.Args[2])
	default:
		err = errors.New("usage: soak node NAME POLLING SECONDS ROUND | soak program NAME")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type counter struct{ sent, got, sumSent, sumGot atomic.Uint64 }

func node(name string, polling bool, d, round time.Duration) error {
	n, err := shmem.Create(name, shmem.Config{QueueLen: queueLen, SampleLen: 8, Polling: polling})
	if err != nil {
		return err
	}
	defer n.Close()
	var c [senders]counter
	var rss, last, fds int
	rounds := 0
	for end := time.Now().Add(d); time.Now().Before(end) || rounds < 2; rounds++ {
		if err := exchange(n, &c, round); err != nil {
			return fmt.Errorf("round %d: %w", rounds, err)
		}
		runtime.GC()
		last = resident()
		entries, _ := os.ReadDir("/proc/self/fd")
		if rounds == 1 { // the first two touch everything once
			rss, fds = last, len(entries)
		}
		if rounds > 1 && (len(entries) != fds || last > rss+8192) {
			return fmt.Errorf("round %d: %d descriptors, %d kB; were %d and %d", rounds, len(entries), last, fds, rss)
		}
	}
	sent, got := uint64(0), uint64(0)
	for i := range c {
		sent, got = sent+c[i].sent.Load(), got+c[i].got.Load()
	}
	mode := map[bool]string{true: "polling", false: "signalled"}[polling]
	fmt.Printf("node in Go, %s: %d rounds, sent %d received %d, resident %d kB after two rounds, %d kB in the end, %d descriptors\n",
		mode, rounds, sent, got, rss, last, fds)
	return nil
}

func resident() (kb int) {
	b, _ := os.ReadFile("/proc/self/statm")
	var size, pages int
	fmt.Sscan(string(b), &size, &pages)
	return pages * os.Getpagesize() / 1024
}

// exchange is one round with one program.
func exchange(n *shmem.Node, c *[senders]counter, round time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second+round)
	defer cancel()
	if err := n.Accept(ctx); err != nil {
		return err
	}
	var failed atomic.Pointer[error]
	fail := func(err error) { failed.CompareAndSwap(nil, &err) }
	var sending, reading sync.WaitGroup
	stop := time.Now().Add(round)
	for t := range c {
		sending.Go(func() {
			for k := uint32(0); time.Now().Before(stop) && failed.Load() == nil; {
				done, err := send(n, t, k)
				if err != nil {
					fail(err)
				}
				sum := uint64(0)
				for i := range uint32(done) {
					sum += uint64((k + i) & 0x7fffffff)
				}
				c[t].sent.Add(uint64(done))
				c[t].sumSent.Add(sum)
				if k += uint32(done); done == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	quiet, hush := context.WithCancel(ctx)
	for range readers {
		reading.Go(func() {
			smps := make([]sample.Sample, vector)
			for {
				k, err := n.ReadContext(quiet, smps)
				if errors.Is(err, context.Canceled) {
					return
				}
				if err != nil {
					fail(err)
					return
				}
				for _, s := range smps[:k] {
					if t, number, ok := check(s); ok {
						c[t].got.Add(1)
						c[t].sumGot.Add(uint64(number))
					} else {
						fail(fmt.Errorf("a sample came back wrong: %d %v", s.Sequence(), s.Ints()))
					}
				}
				sample.PutAll(smps[:k])
			}
		})
	}
	sending.Wait()
	missing := func() bool {
		for t := range c {
			if c[t].got.Load() < c[t].sent.Load() {
				return true
			}
		}
		return false
	}
	for late := time.Now().Add(20 * time.Second); missing() && time.Now().Before(late) && failed.Load() == nil; {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // would anything come twice?
	hush()
	reading.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	for t := range c {
		if c[t].sent.Load() != c[t].got.Load() || c[t].sumSent.Load() != c[t].sumGot.Load() {
			return fmt.Errorf("sender %d: %d sent, %d came back", t, c[t].sent.Load(), c[t].got.Load())
		}
	}
	if free := n.Pool().Free(); free != 2*queueLen {
		return fmt.Errorf("%d of %d blocks are free", free, 2*queueLen)
	}
	return sendAway(ctx, n)
}

func send(n *shmem.Node, t int, k uint32) (int, error) {
	var smps [vector]sample.Sample
	have := n.Alloc(smps[:1+k%vector])
	for i, s := range smps[:have] {
		number := (k + uint32(i)) & 0x7fffffff
		s.SetSequence(int32(number))
		s.SetLen(4)
		s.SetInt(0, int32(t))
		s.SetInt(1, int32(number))
		s.SetFloat(2, float64(number%1000)*0.5)
		s.SetFloat(3, -float64(t))
	}
	done, err := n.Write(smps[:have])
	sample.PutAll(smps[done:have])
	return done, err
}

func check(s sample.Sample) (t int, number uint32, ok bool) {
	if s.Len() != 4 {
		return 0, 0, false
	}
	t, number = int(s.Ints()[0]), uint32(s.Ints()[1])
	v := s.Values()
	return t, number, t >= 0 && t < senders && s.Sequence() == int32(number) && v[2] == float32(number%1000)*0.5 && v[3] == -float32(t)
}

// sendAway tells the program to leave; what it sent before has been read.
func sendAway(ctx context.Context, n *shmem.Node) error {
	one := make([]sample.Sample, 1)
	if n.Alloc(one) != 1 {
		return errors.New("no sample is left")
	}
	one[0].SetSequence(leave)
	if _, err := n.WriteContext(ctx, one); err != nil {
		return err
	}
	if k, err := n.ReadContext(ctx, one); k != 0 || err != io.EOF {
		return fmt.Errorf("%d more samples, %w", k, err)
	}
	return nil
}

func program(name string) error {
	for rounds := 0; ; rounds++ {
		var p *shmem.Program
		var err error
		for range 2000 {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			p, err = shmem.Open(ctx, name, shmem.OpenOptions{})
			cancel()
			if !errors.Is(err, shmem.ErrBusy) && (rounds > 0 || !errors.Is(err, os.ErrNotExist)) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if rounds > 0 && (errors.Is(err, os.ErrNotExist) || errors.Is(err, shmem.ErrPeerDied)) {
			return nil // the node has ended
		}
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				smps := make([]sample.Sample, vector)
				for {
					k, err := p.ReadContext(ctx, smps)
					if err != nil {
						return
					}
					leaving := smps[k-1].Sequence() == leave // everything else is back before it is sent
					if leaving {
						k--
						smps[k].Put()
						cancel()
					}
					if done, err := p.WriteContext(context.Background(), smps[:k]); err != nil {
						sample.PutAll(smps[done:k])
						return
					}
					if leaving {
						return
					}
				}
			})
		}
		wg.Wait()
		cancel()
		if err := p.Close(); err != nil {
			return err
		}
	}
}
