// SPDX-License-Identifier: Apache-2.0

// Command storm is a kill storm through the Go API; what it does is told in its
// twin in C, tests/c/storm/kill.c.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"github.com/villas-ext/villas-ext/tests/stall"
)

// bound is the stated bound for noticing a death; a test gives up after twenty
// times that.
const (
	bound  = 200 * time.Millisecond
	giveUp = 20 * bound
)

func main() {
	var err error
	switch args := os.Args; {
	case len(args) == 5 && args[1] == "victim":
		err = victim(args[2] == "node", args[3], args[4] == "1")
	case len(args) > 7 && args[1] == "survive":
		rounds, _ := strconv.Atoi(args[5])
		err = survive(args[2] == "node", args[3], args[4] == "1", rounds, args[6], args[7:])
	default:
		err = errors.New("usage: storm survive node|program NAME POLLING ROUNDS FAULTS VICTIM... | storm victim node|program NAME POLLING")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type side interface {
	Alloc([]sample.Sample) int
	Write([]sample.Sample) (int, error)
	ReadContext(context.Context, []sample.Sample) (int, error)
	TryRead([]sample.Sample) (int, error)
	Pool() *pool.View
}

// traffic goes both ways until the other side is gone.
func traffic(s side) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	smps := make([]sample.Sample, 8)
	for sequence := 0; ; {
		have := s.Alloc(smps)
		for i, smp := range smps[:have] {
			v := float32(sequence + i)
			smp.SetSequence(int32(sequence + i))
			smp.SetValues([]float32{v, -v, 7})
		}
		done, _ := s.Write(smps[:have])
		sample.PutAll(smps[done:have])
		sequence = (sequence + done) % 100000
		n, err := s.ReadContext(ctx, smps)
		if err == io.EOF || errors.Is(err, shmem.ErrPeerDied) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		for _, smp := range smps[:n] {
			v, q := smp.Values(), float32(smp.Sequence())
			if len(v) != 3 || v[0] != q || v[1] != -q || v[2] != 7 {
				return fmt.Errorf("sample %v: %v", q, v)
			}
		}
		sample.PutAll(smps[:n])
	}
}

func victim(asNode bool, name string, polling bool) error {
	if asNode {
		n, err := shmem.Create(name, shmem.Config{QueueLen: 64, SampleLen: 4, Polling: polling})
		if err != nil {
			return err
		}
		if err := n.Accept(context.Background()); err != nil {
			return err
		}
		err = traffic(n)
		return fmt.Errorf("the survivor left first: %v", err)
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		p, err := shmem.Open(ctx, name, shmem.OpenOptions{})
		cancel()
		if err == nil {
			err = traffic(p)
			return fmt.Errorf("the survivor left first: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// execute starts the victim, kills it, and tells when it was dead.
func execute(argv []string, faults string, missed int, died chan<- time.Time) {
	life, fault := time.Duration(rand.IntN(40_000)+missed*10_000)*time.Microsecond, ""
	if points := strings.Split(faults, ","); faults != "-" && rand.IntN(2) == 0 {
		fault = fmt.Sprintf("%s:%d", points[rand.IntN(len(points))], 1+rand.IntN([]int{3, 300}[rand.IntN(2)]))
		life = 300 * time.Millisecond
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "VILLAS_EXT_FAULT="+fault)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	timer := time.AfterFunc(life, func() { cmd.Process.Kill() })
	cmd.Wait()
	died <- time.Now()
	timer.Stop()
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGKILL {
		fmt.Fprintf(os.Stderr, "the victim ended by itself: %v, fault %s\n", cmd.ProcessState, fault)
	}
}

func survive(asNode bool, name string, polling bool, rounds int, faults string, argv []string) error {
	var node *shmem.Node
	var noticed []time.Duration
	longest := time.Duration(0) // less what the machine took
	stall.Start()
	if asNode {
		var err error
		if node, err = shmem.Create(name, shmem.Config{QueueLen: 64, SampleLen: 4, Polling: polling}); err != nil {
			return err
		}
		defer node.Close()
	} else {
		defer os.Remove("/dev/shm" + name)
	}
	missed := 0
	for round := 0; round < rounds || len(noticed) <= rounds/10; round++ {
		if round == 20*rounds {
			return fmt.Errorf("met %d times only", len(noticed))
		}
		died := make(chan time.Time, 1)
		go execute(argv, faults, missed, died)
		var s side
		var prog *shmem.Program
		for s == nil {
			over := len(died) > 0
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			var err error
			if node != nil {
				if err = node.Accept(ctx); err == nil {
					s = node
				}
			} else if prog, err = shmem.Open(ctx, name, shmem.OpenOptions{}); err == nil {
				s = prog
			}
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrNotExist) &&
				!errors.Is(err, shmem.ErrPeerDied) && !errors.Is(err, shmem.ErrBusy) {
				return fmt.Errorf("round %d: %w", round, err)
			}
			if over {
				break // one more look, then it is sure that it never came
			}
			time.Sleep(time.Millisecond)
		}
		missed++
		if s != nil {
			missed = 0
			stalled := stall.Total()
			if err := traffic(s); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
			now := time.Now()
			took := max(0, now.Sub(<-died))
			noticed = append(noticed, took)
			time.Sleep(20 * time.Millisecond) // the beat comes late, too
			longest = max(longest, took-(stall.Total()-stalled))
		} else {
			<-died
		}
		if prog != nil {
			if err := prog.Close(); err != nil {
				return err
			}
		}
	}
	slices.Sort(noticed)
	ms := func(i int) float64 { return noticed[i].Seconds() * 1e3 }
	fmt.Printf("%d rounds, met %d times, death noticed: p50 %.1f ms, p99 %.1f ms, max %.1f ms (%.1f ms without the time that this process got no CPU)\n",
		rounds, len(noticed), ms(len(noticed)/2), ms(len(noticed)*99/100), ms(len(noticed)-1), longest.Seconds()*1e3)
	if longest > giveUp {
		return fmt.Errorf("a death was noticed after %v", longest)
	}
	if node == nil {
		return mapped(0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	if err := node.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) { // makes the next region
		return err
	}
	if free := node.Pool().Free(); free != 128 {
		return fmt.Errorf("%d of 128 blocks are free", free)
	}
	if st := node.Stats(); st.Attached < uint64(len(noticed)) || st.Died+st.Stopped != st.Attached || st.Died == 0 {
		return fmt.Errorf("%d times met, %+v", len(noticed), st)
	}
	return mapped(4) // the present one, and the last that were left
}

// mapped checks how many regions this process maps once the garbage collector was
// there.
func mapped(most int) error {
	n := 0
	for range 100 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		b, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			return err
		}
		n = 0
		for l := range strings.Lines(string(b)) {
			if strings.Contains(l, "/dev/shm/") && strings.Contains(l, "rw-s") {
				n++
			}
		}
		if n <= most {
			return nil
		}
	}
	return fmt.Errorf("%d regions are mapped in the end", n)
}
