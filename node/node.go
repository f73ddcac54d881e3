// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/villas-ext/villas-ext/shmem"
)

// killAfter is how long a program that was told to end (SIGTERM) may take.
const killAfter = 2 * time.Second

// A Node is a running shmem node: its region, and the external program that its
// configuration started.
type Node struct {
	*shmem.Node
	log   *slog.Logger
	cmd   *exec.Cmd
	ended chan struct{} // closed when the program has ended; nil without one
	exit  error
}

// Start creates the region, starts the program that exec names and waits until it
// (or any other program) is attached. When ctx ends before, when the program
// cannot be started or ends early, the region is removed.
func Start(ctx context.Context, c Config, log *slog.Logger) (*Node, error) {
	region, err := shmem.Create(c.Name, c.Region())
	if err != nil {
		return nil, err
	}
	n := &Node{Node: region, log: log}
	log.Info("region created", "name", c.Name, "queuelen", c.QueueLen, "samplelen", c.SampleLen, "polling", c.Polling)
	if err := n.spawn(c.Exec); err != nil {
		region.Close()
		return nil, fmt.Errorf("exec: start %q: %w (check the path, and that it is executable)", c.Exec[0], err)
	}
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if n.ended != nil {
		go func() {
			select {
			case <-n.ended:
				cancel(fmt.Errorf("exec: %q ended before it opened the region: %w", c.Exec[0], n.exit))
			case <-waiting.Done():
			}
		}()
	}
	if err := region.Accept(waiting); err != nil {
		if cause := context.Cause(waiting); cause != nil {
			err = cause
		}
		n.Stop()
		return nil, err
	}
	log.Info("program attached", "name", c.Name)
	return n, nil
}

// errExitedCleanly is what is reported of a program that ended with status 0.
var errExitedCleanly = errors.New("exit status 0")

func (n *Node) spawn(argv []string) error {
	if len(argv) == 0 {
		return nil
	}
	n.cmd = exec.Command(argv[0], argv[1:]...)
	n.cmd.Stdout, n.cmd.Stderr = os.Stdout, os.Stderr
	if err := n.cmd.Start(); err != nil {
		n.cmd = nil
		return err
	}
	n.log.Info("program started", "command", argv[0], "pid", n.cmd.Process.Pid)
	n.ended = make(chan struct{})
	go func() {
		if n.exit = n.cmd.Wait(); n.exit == nil {
			n.exit = errExitedCleanly
		}
		n.log.Info("program ended", "pid", n.cmd.Process.Pid, "status", n.cmd.ProcessState.String())
		close(n.ended)
	}()
	return nil
}

// Stop tells the program that the node stops, removes the region, and ends a
// program of exec that does not end by itself: SIGTERM, then SIGKILL.
func (n *Node) Stop() error {
	err := n.Close()
	if n.ended == nil {
		return err
	}
	select {
	case <-n.ended:
		return err
	case <-time.After(killAfter / 10):
		n.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-n.ended:
	case <-time.After(killAfter):
		n.log.Warn("program killed", "pid", n.cmd.Process.Pid)
		n.cmd.Process.Kill()
		<-n.ended
	}
	return err
}
