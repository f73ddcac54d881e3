// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

// TestMain lets the test's own binary be a program that exec starts: it attaches
// to the region and stays until the node stops.
func TestMain(m *testing.M) {
	if name := os.Getenv("NODE_TEST_REGION"); name != "" && len(os.Args) > 1 && os.Args[1] == "program" {
		p, err := shmem.Open(context.Background(), name, shmem.OpenOptions{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("attached")
		for range p.Samples(context.Background()) {
		}
		p.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func regionName(t *testing.T) string {
	name := fmt.Sprintf("/villas-node-test-%d-%s", os.Getpid(), filepath.Base(t.Name()))
	t.Cleanup(func() {
		if err := os.Remove("/dev/shm" + name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the region is left behind (%v)", err)
		}
	})
	t.Setenv("NODE_TEST_REGION", name)
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	return name
}

func quiet(t *testing.T, o Options) Options {
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	f, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	o.Output = f
	return o
}

func is(t *testing.T, n *Node, want State) {
	t.Helper()
	if got := n.State(); got != want {
		t.Errorf("the node is %v, not %v", got, want)
	}
}

func TestANodeGoesThroughItsStates(t *testing.T) {
	o := quiet(t, Options{})
	n := New(Config{Name: regionName(t), QueueLen: 16, SampleLen: 4, Exec: []string{os.Args[0], "program"}}, o)
	is(t, n, Parsed)
	if err := n.Check(); err != nil {
		t.Fatal(err)
	}
	is(t, n, Checked)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(t, n, Connected)
	if n.Config().QueueLen != 16 {
		t.Error(n.Config())
	}
	command := n.running()
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
	is(t, n, Stopped)
	if err := n.Stop(); !errors.Is(err, os.ErrClosed) {
		t.Error("stopped twice:", err)
	}
	if command.exit != nil { // it saw the end and was not killed
		t.Error(command.exit)
	}
	if b, err := os.ReadFile(o.Output.Name()); err != nil || string(b) != "attached\n" {
		t.Errorf("the program's output is %q, %v", b, err)
	}
}

func TestANodeThatCannotStartLeavesNothing(t *testing.T) {
	name := regionName(t)
	for _, c := range []Config{
		{Name: "no slash", QueueLen: 1}, {Name: name}, {Name: name, QueueLen: 1, Exec: []string{""}}, {Name: name, QueueLen: 1, Exec: []string{"a", "\x00"}},
	} {
		n := New(c, quiet(t, Options{}))
		if err := n.Start(); err == nil {
			t.Errorf("%+v was started", c)
		}
		is(t, n, Parsed)
	}
	n := New(Config{Name: name, QueueLen: 1, Exec: []string{"/there/is/none"}}, quiet(t, Options{}))
	if err := n.Start(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), `start "/there/is/none"`) {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/shm" + name); err == nil {
		t.Error("the region is still there")
	}
	if err := n.Stop(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestACommandThatEndsIsReportedWhileAProgramIsWaitedFor(t *testing.T) {
	n := New(Config{Name: regionName(t), QueueLen: 4, Exec: []string{"sh", "-c", "exit 7"}}, quiet(t, Options{}))
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	if err := n.Accept(t.Context()); err == nil || !strings.Contains(err.Error(), `exec: "sh" ended before a program opened the region: exit status 7`) {
		t.Error(err)
	}
	is(t, n, Started)
}

func TestAWaitForAProgramEndsWithItsContextAndWithStop(t *testing.T) {
	n := New(Config{Name: regionName(t), QueueLen: 4}, quiet(t, Options{}))
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	is(t, n, Started)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := n.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { n.Stop() })
	if err := n.Accept(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestACommandIsStartedAgainForTheNextProgram(t *testing.T) {
	n := New(Config{Name: regionName(t), QueueLen: 4, Exec: []string{os.Args[0], "program"}}, quiet(t, Options{Restart: true}))
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	for range 2 {
		if err := n.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.running().Process.Kill()
		if _, err := n.ReadContext(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); n.State() == Connected && time.Now().Before(end); {
			n.TryRead(make([]sample.Sample, 1))
			time.Sleep(time.Millisecond)
		}
		is(t, n, Started)
	}
}
