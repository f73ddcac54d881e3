// SPDX-License-Identifier: Apache-2.0

package shmem_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

// slack is the factor between a stated bound and when a test gives up on it.
const slack = 20

func TestMain(m *testing.M) {
	if name := os.Getenv("SHMEM_TEST_VICTIM"); name != "" {
		victim(name, os.Getenv("SHMEM_TEST_ROLE"), os.Getenv("SHMEM_TEST_POLLING") == "1")
	}
	os.Exit(m.Run())
}

// victim is a process that attaches, says so on stdout, sends three samples and
// waits to be killed.
func victim(name, role string, polling bool) {
	ctx := context.Background()
	var smps [3]sample.Sample
	if role == "node" {
		n, err := shmem.Create(name, shmem.Config{QueueLen: 16, SampleLen: 4, Polling: polling})
		if err != nil {
			panic(err)
		}
		n.Write(smps[:n.Alloc(smps[:])])
	} else {
		p, err := shmem.Open(ctx, name, shmem.OpenOptions{})
		if err != nil {
			panic(err)
		}
		p.Write(smps[:p.Alloc(smps[:])])
	}
	// A child that outlives us must not count as us.
	child := exec.Command("sleep", "5")
	child.Start()
	fmt.Println("ready")
	select {}
}

func startVictim(t *testing.T, name, role string, polling bool) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SHMEM_TEST_VICTIM="+name, "SHMEM_TEST_ROLE="+role, map[bool]string{true: "SHMEM_TEST_POLLING=1"}[polling])
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(out, new(string)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func regionName(t *testing.T) string {
	name := fmt.Sprintf("/villas-go-test-%d-%s", os.Getpid(), filepath.Base(t.Name()))
	t.Cleanup(func() { os.Remove("/dev/shm" + name) })
	return name
}

func both(t *testing.T, f func(t *testing.T, polling bool)) {
	t.Run("signalled", func(t *testing.T) { f(t, false) })
	t.Run("polling", func(t *testing.T) { f(t, true) })
}

func pair(t *testing.T, polling bool) (*shmem.Node, *shmem.Program) {
	t.Helper()
	name := regionName(t)
	n, err := shmem.Create(name, shmem.Config{QueueLen: 16, SampleLen: 4, Polling: polling})
	if err != nil {
		t.Fatal(err)
	}
	p, err := shmem.Open(t.Context(), name, shmem.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n, p
}

func TestReadsEndWithTheirDeadlineAndTheirContext(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		n, p := pair(t, polling)
		defer n.Close()
		defer p.Close()
		var smps [4]sample.Sample
		p.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if _, err := p.Read(smps[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		p.SetReadDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if _, err := p.ReadContext(ctx, smps[:]); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if k, err := p.Read(nil); k != 0 || err != nil {
			t.Error(k, err)
		}
		if k, err := p.TryRead(smps[:]); k != 0 || err != nil {
			t.Error(k, err)
		}
	})
}

func TestAFullQueueIsAShortWriteAndAContextWaitsForRoom(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		n, p := pair(t, polling)
		defer n.Close()
		defer p.Close()
		var smps, got [32]sample.Sample
		if k := p.Alloc(smps[:]); k != 32 {
			t.Fatal(k)
		}
		if k, err := p.Write(smps[:]); k != 16 || err != nil {
			t.Fatal(k, err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if k, err := p.WriteContext(t.Context(), smps[16:]); k != 16 || err != nil {
				t.Error(k, err)
			}
		})
		for all := 0; all < 32; {
			k, err := n.Read(got[:])
			if err != nil {
				t.Fatal(err)
			}
			sample.PutAll(got[:k])
			all += k
		}
		wg.Wait()
		if free := n.Pool().Free(); free != 32 {
			t.Errorf("%d of 32 samples are back", free)
		}
	})
}

func TestTheEndComesAfterWhatWasSent(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		n, p := pair(t, polling)
		var smps [3]sample.Sample
		n.Alloc(smps[:])
		for i, s := range smps {
			s.SetSequence(int32(i))
			s.SetValues([]float32{float32(i), -1})
		}
		if k, err := n.Write(smps[:]); k != 3 || err != nil {
			t.Fatal(k, err)
		}
		n.Close()
		seen := int32(0)
		for s, err := range p.Samples(t.Context()) {
			if err != nil || s.Sequence() != seen || s.Values()[0] != float32(seen) || s.Float(1) != -1 {
				t.Errorf("sample %d: %v %v", seen, s.Values(), err)
			}
			seen++
		}
		if seen != 3 {
			t.Errorf("%d samples before the end", seen)
		}
		if _, err := p.Read(smps[:]); err != io.EOF {
			t.Error(err)
		}
		if _, err := p.Write(nil); err != io.EOF {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if _, err := p.Read(smps[:]); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestCloseEndsCallsThatWait(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		n, p := pair(t, polling)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := p.Read(make([]sample.Sample, 1)); !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := n.Read(make([]sample.Sample, 1)); !errors.Is(err, os.ErrClosed) && err != io.EOF {
					t.Error(err)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		p.Close()
		n.Close()
		wg.Wait()
	})
}

func TestDeathIsNoticedThoughAChildLivesOn(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		for _, role := range []string{"program", "node"} {
			t.Run(role, func(t *testing.T) {
				name := regionName(t)
				var node *shmem.Node
				var read func([]sample.Sample) (int, error)
				var err error
				if role == "program" {
					if node, err = shmem.Create(name, shmem.Config{QueueLen: 16, SampleLen: 4, Polling: polling}); err != nil {
						t.Fatal(err)
					}
					defer node.Close()
					read = node.Read
				}
				cmd := startVictim(t, name, role, polling)
				if role == "program" {
					if err := node.Accept(t.Context()); err != nil {
						t.Fatal(err)
					}
				} else {
					p, err := shmem.Open(t.Context(), name, shmem.OpenOptions{})
					if err != nil {
						t.Fatal(err)
					}
					defer p.Close()
					read = p.Read
				}
				smps := make([]sample.Sample, 8)
				if k, err := read(smps); k != 3 || err != nil {
					t.Fatal(k, err)
				}
				died := make(chan time.Time, 1)
				go func() {
					time.Sleep(50 * time.Millisecond)
					cmd.Process.Kill()
					died <- time.Now()
				}()
				_, err = read(smps)
				took := time.Since(<-died)
				if !errors.Is(err, shmem.ErrPeerDied) || took > slack*200*time.Millisecond {
					t.Errorf("%v after %v", err, took)
				}
				t.Logf("noticed after %v", took)
				cmd.Wait()
				if role == "program" { // the name is good for the next program
					next := startVictim2(t, node, name, polling)
					defer func() { next.Process.Kill(); next.Wait() }()
					sample.PutAll(smps[:3]) // of the dead program's region, still valid
				} else if _, err := shmem.Open(t.Context(), name, shmem.OpenOptions{}); !errors.Is(err, shmem.ErrPeerDied) {
					t.Errorf("a dead node's region opens: %v", err)
				} else if n, err := shmem.Create(name, shmem.Config{}); err != nil {
					t.Errorf("a dead node's region is not replaced: %v", err)
				} else {
					n.Close()
				}
			})
		}
	})
}

func TestAWriterWhoFindsTheQueueFullNoticesADeath(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		name := regionName(t)
		node, err := shmem.Create(name, shmem.Config{QueueLen: 4, SampleLen: 4, Polling: polling})
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close()
		cmd := startVictim(t, name, "program", polling)
		if err := node.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		smps := make([]sample.Sample, 5) // one more than there is room for
		if n := node.Alloc(smps); n != len(smps) {
			t.Fatal(n)
		}
		if n, err := node.Write(smps); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		cmd.Process.Kill()
		cmd.Wait()
		for died := time.Now(); !errors.Is(err, shmem.ErrPeerDied); _, err = node.Write(smps[4:]) {
			if time.Since(died) > slack*200*time.Millisecond {
				t.Fatalf("not noticed: %v", err)
			}
		}
	})
}

// startVictim2 accepts the next program on the name of one that has died.
func startVictim2(t *testing.T, node *shmem.Node, name string, polling bool) *exec.Cmd {
	t.Helper()
	accepted := make(chan error, 1)
	go func() { accepted <- node.Accept(t.Context()) }()
	cmd := startVictim(t, name, "program", polling)
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	smps := make([]sample.Sample, 8)
	if k, err := node.Read(smps); k != 3 || err != nil {
		t.Errorf("the next program: %d %v", k, err)
	}
	sample.PutAll(smps[:3])
	return cmd
}

func TestASecondProgramAndASecondNodeAreRefused(t *testing.T) {
	n, p := pair(t, false)
	defer n.Close()
	defer p.Close()
	if _, err := shmem.Open(t.Context(), n.Name(), shmem.OpenOptions{}); !errors.Is(err, shmem.ErrBusy) {
		t.Error(err)
	}
	if _, err := shmem.Create(n.Name(), shmem.Config{}); !errors.Is(err, shmem.ErrNameTaken) {
		t.Error(err)
	}
}

func TestWhatCannotBeIsSaid(t *testing.T) {
	ctx := t.Context()
	for name, want := range map[string]error{
		"": unix.EINVAL, "/": unix.EINVAL, "/a/b": unix.EINVAL, "/villas-test-there-is-none": os.ErrNotExist,
		"/" + fmt.Sprintf("%0300d", 1): unix.ENAMETOOLONG,
	} {
		if _, err := shmem.Open(ctx, name, shmem.OpenOptions{}); !errors.Is(err, want) {
			t.Errorf("open %.20q: %v, want %v", name, err, want)
		}
	}
	if _, err := shmem.Create("/villas-test-too-large", shmem.Config{QueueLen: 1 << 30, SampleLen: 1 << 12}); !errors.Is(err, unix.ENOSPC) {
		t.Error(err)
	}
	if _, err := shmem.Create("/villas-test-too-large", shmem.Config{QueueLen: 1 << 40}); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	n, p := pair(t, true)
	defer n.Close()
	defer p.Close()
	other, q := pair2(t)
	defer other.Close()
	defer q.Close()
	var s [1]sample.Sample
	q.Alloc(s[:])
	if k, err := p.Write(s[:]); k != 0 || !errors.Is(err, shmem.ErrOtherPool) {
		t.Error(k, err)
	}
	if s[0].Put() != 0 || s[0].Put() != -1 || s[0].Get() != -1 {
		t.Error("references of a released sample change")
	}
}

func pair2(t *testing.T) (n *shmem.Node, p *shmem.Program) {
	t.Run("other", func(t *testing.T) {
		var err error
		name := fmt.Sprintf("/villas-go-test-%d-other", os.Getpid())
		if n, err = shmem.Create(name, shmem.Config{QueueLen: 2, SampleLen: 4}); err != nil {
			t.Fatal(err)
		}
		if p, err = shmem.Open(context.Background(), name, shmem.OpenOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	return n, p
}

func Example() {
	ctx := context.Background()
	node, err := shmem.Create("/villas-example", shmem.Config{QueueLen: 8, SampleLen: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	prog, err := shmem.Open(ctx, "/villas-example", shmem.OpenOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	node.Accept(ctx)

	smps := make([]sample.Sample, 1)
	node.Alloc(smps)
	smps[0].SetSequence(1)
	smps[0].SetValues([]float32{0.5, 230})
	node.Write(smps)
	node.Close()

	for smp, err := range prog.Samples(ctx) {
		fmt.Println(smp.Sequence(), smp.Values(), err)
	}
	prog.Close()
	// Output: 1 [0.5 230] <nil>
}

func TestAProgramThatCameAndWentBeforeAcceptIsStillHeard(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		name := regionName(t)
		n, err := shmem.Create(name, shmem.Config{QueueLen: 16, SampleLen: 4, Polling: polling})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		soon := func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			t.Cleanup(cancel)
			return ctx
		}
		for range 2 {
			p, err := shmem.Open(t.Context(), name, shmem.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var smps [4]sample.Sample
			p.Alloc(smps[:1])
			smps[0].SetSequence(7)
			p.Write(smps[:1])
			p.Close()
			if err := n.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
			if k, err := n.Read(smps[:]); k != 1 || err != nil || smps[0].Sequence() != 7 {
				t.Fatal(k, err)
			}
			smps[0].Put()
			if _, err := n.Read(smps[:]); err != io.EOF {
				t.Error(err)
			}
			if err := n.Accept(soon()); !errors.Is(err, context.DeadlineExceeded) {
				t.Error("there is nobody, but", err)
			}
		}
	})
}
