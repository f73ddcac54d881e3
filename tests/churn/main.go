// SPDX-License-Identifier: Apache-2.0

// Command churn opens and closes both sides of a region again and again and checks
// that descriptors, mappings and memory stay (churn ROUNDS); or checks what a
// /dev/shm of 4 MiB has no room for (churn small). Its twins in C are churn.c and
// limits.c in tests/c/host.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

func main() {
	err := errors.New("usage: churn ROUNDS | churn small")
	if len(os.Args) == 2 && os.Args[1] == "small" {
		err = small()
	} else if len(os.Args) == 2 {
		var rounds int
		if rounds, err = strconv.Atoi(os.Args[1]); err == nil {
			err = churn(rounds)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type usage struct{ descriptors, regions, kB int }

func used() (u usage) {
	entries, _ := os.ReadDir("/proc/self/fd")
	var maps []byte
	for range 100 { // former regions of a node are unmapped by the garbage collector
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		if maps, _ = os.ReadFile("/proc/self/maps"); strings.Count(string(maps), "/dev/shm") <= 1 {
			break
		}
	}
	statm, _ := os.ReadFile("/proc/self/statm")
	var size, pages int
	fmt.Sscan(string(statm), &size, &pages)
	return usage{len(entries), strings.Count(string(maps), "/dev/shm"), pages * os.Getpagesize() / 1024}
}

func churn(rounds int) error {
	ctx := context.Background()
	name := fmt.Sprintf("/villas-churn-%d", os.Getpid())
	node, err := shmem.Create(name, shmem.Config{QueueLen: 64, SampleLen: 4})
	if err != nil {
		return err
	}
	before := used() // the first one also opens what the Go runtime keeps open
	smps := make([]sample.Sample, 1)
	for i := range rounds {
		p, err := shmem.Open(ctx, name, shmem.OpenOptions{})
		if err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		if err := node.Accept(ctx); err != nil {
			return err
		}
		p.Alloc(smps)
		smps[0].SetSequence(int32(i))
		if n, err := p.Write(smps); n != 1 || err != nil {
			return err
		}
		if n, err := node.Read(smps); n != 1 || err != nil || smps[0].Sequence() != int32(i) {
			return fmt.Errorf("round %d: %d %w", i, n, err)
		}
		sample.PutAll(smps)
		if i%2 == 1 { // with a sample that nobody puts
			p.Alloc(smps)
		}
		if err := p.Close(); err != nil {
			return err
		}
		if i%10 == 0 { // now and then the node, too
			node.Close()
			if node, err = shmem.Create(name, shmem.Config{QueueLen: 64, SampleLen: 4, Polling: i%20 == 0}); err != nil {
				return err
			}
		} else {
			now, cancel := context.WithCancel(ctx)
			cancel()
			if err := node.Accept(now); !errors.Is(err, context.Canceled) { // makes room for the next
				return err
			}
		}
		if i == rounds/2 {
			before = used()
		}
	}
	after := used()
	fmt.Printf("%d rounds, %d descriptors, %d regions mapped, %d kB\n", rounds, after.descriptors, after.regions, after.kB)
	if after.descriptors != before.descriptors || after.regions > before.regions+1 || after.kB > before.kB+4096 {
		return fmt.Errorf("%+v, half way it was %+v", after, before)
	}
	return node.Close()
}

func small() error {
	const name = "/villas-small"
	if n, err := shmem.Create(name, shmem.Config{QueueLen: 4096, SampleLen: 200}); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%v %w", n, err)
	}
	n, err := shmem.Create(name, shmem.Config{QueueLen: 1000, SampleLen: 300})
	if err != nil {
		return err
	}
	smps := make([]sample.Sample, 2000)
	if k := n.Alloc(smps); k != 2000 {
		return fmt.Errorf("%d samples", k)
	}
	for _, s := range smps {
		s.SetLen(300)
		clear(s.Values())
	}
	sample.PutAll(smps)
	if err := n.Close(); err != nil {
		return err
	}

	// A fresh region for each program, where there is room for two.
	ctx := context.Background()
	if n, err = shmem.Create(name, shmem.Config{QueueLen: 500, SampleLen: 300}); err != nil {
		return err
	}
	for range 5 {
		p, err := shmem.Open(ctx, name, shmem.OpenOptions{})
		if err != nil {
			return err
		}
		if err := errors.Join(n.Accept(ctx), p.Close()); err != nil {
			return err
		}
		now, cancel := context.WithCancel(ctx)
		cancel()
		if err := n.Accept(now); !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return n.Close()
}
