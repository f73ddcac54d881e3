// SPDX-License-Identifier: Apache-2.0

// Package node is the shmem node-type: its configuration, its life, and the
// external program that it may start.
//
//	file, err := node.Load("shmem.conf")
//	...
//	n := node.New(file.Nodes[0], node.Options{})
//	if err := n.Start(); err != nil {
//		return err
//	}
//	defer n.Stop()
//	if err := n.Accept(ctx); err != nil {
//		return err
//	}
//	k, err := n.ReadContext(ctx, samples) // and all else of shmem.Node
package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/villas-ext/villas-ext/internal/exchange"
	"github.com/villas-ext/villas-ext/shmem"
)

// State is how far a node has come.
type State uint32

// The states of a node, in the order in which it goes through them; from
// connected it may return to started.
const (
	Parsed    State = iota // its settings are known
	Checked                // and sound
	Started                // the region exists, the command of exec runs, no program is attached
	Connected              // a program is attached
	Stopped                // the region is gone
)

func (s State) String() string {
	return [...]string{"parsed", "checked", "started", "connected", "stopped"}[s]
}

// Options are options of [New]; the zero value is the usual.
type Options struct {
	Log     *slog.Logger      // nil: slog.Default()
	Output  *os.File          // standard output and error of the command of exec; nil: os.Stderr
	Grace   time.Duration     // between SIGTERM and SIGKILL for that command; 0: 2 s
	Restart bool              // start that command again when it has ended and Accept waits for a program
	Notify  func(shmem.Event) // hears of programs that come and go, see shmem.Config; they are logged in any case
}

// A Node is a shmem node: a region, and the external program that its
// configuration says. Methods of [shmem.Node] may be used from Start to Stop.
type Node struct {
	*shmem.Node
	config  Config
	options Options
	log     *slog.Logger
	state   atomic.Uint32

	mu      sync.Mutex // guards command
	command *command   // of exec, the latest; nil without one
}

const (
	defaultGrace = 2 * time.Second
	restartPause = time.Second // from the end of a command to its next start
)

// New makes a node of parsed settings.
func New(c Config, o Options) *Node {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Output == nil {
		o.Output = os.Stderr
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	log := o.Log
	if c.Node != "" {
		log = log.With("node", c.Node)
	}
	return &Node{config: c, options: o, log: log}
}

// State returns how far the node has come.
func (n *Node) State() State {
	s := State(n.state.Load())
	if s == Started && n.Attached() {
		return Connected
	}
	return s
}

// Config returns the node's settings.
func (n *Node) Config() Config { return n.config }

// Check reports all that is wrong with the settings, as for settings in a file.
func (n *Node) Check() error {
	err := n.config.check()
	if err == nil {
		n.state.CompareAndSwap(uint32(Parsed), uint32(Checked))
	}
	return err
}

// Start checks the settings, creates the region, in place of one that a dead node
// left, and starts the command of exec. If that cannot be started the region is
// removed. Errors are those of [shmem.Create] and [exec.Cmd.Start].
func (n *Node) Start() error {
	if err := n.Check(); err != nil {
		return err
	}
	c := n.config.Region()
	c.Notify = n.notice
	region, err := shmem.Create(n.config.Name, c)
	if err != nil {
		return err
	}
	n.Node = region
	n.log.Info("region created", "name", n.config.Name, "queuelen", n.config.QueueLen, "samplelen", n.config.SampleLen,
		"polling", n.config.Polling)
	if err := n.spawn(); err != nil {
		region.Close()
		return err
	}
	n.state.Store(uint32(Started))
	return nil
}

// notice logs what happened and passes it on.
func (n *Node) notice(e shmem.Event) {
	switch e.Kind {
	case shmem.ProgramAttached: // Accept tells more
	case shmem.ProgramStopped:
		n.log.Info(e.Kind.String(), "name", n.config.Name, "pid", e.Pid)
	default:
		n.log.Warn(e.Kind.String(), "name", n.config.Name, "pid", e.Pid)
	}
	if n.options.Notify != nil {
		n.options.Notify(e)
	}
}

// spawn starts the command of exec, if there is one.
func (n *Node) spawn() error {
	if len(n.config.Exec) == 0 {
		return nil
	}
	c, err := start(n.config.Exec, n.options.Output)
	if err != nil {
		return fmt.Errorf("exec: start %q: %w (check the path, and that it is executable)", n.config.Exec[0], err)
	}
	n.log.Info("command started", "command", n.config.Exec[0], "pid", c.Process.Pid)
	n.mu.Lock()
	n.command = c
	n.mu.Unlock()
	go func() {
		<-c.ended
		n.log.Info("command ended", "command", n.config.Exec[0], "pid", c.Process.Pid, "status", c.ProcessState.String())
		n.ProgramEnded()
	}()
	return nil
}

func (n *Node) running() *command {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.command
}

// Accept waits until a program is attached, at once if one is; see
// [shmem.Node.Accept]. When the command of exec has ended and nobody is attached,
// it is started again, or, without the option Restart, that is an error: at once
// when the command failed, after the grace time when it ended with status 0, since
// it may have left the program running behind it.
func (n *Node) Accept(ctx context.Context) error {
	waiting, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := n.watch(waiting); err != nil {
			cancel(err)
		}
	}()
	err := n.Node.Accept(waiting)
	if err != nil && context.Cause(waiting) != nil && ctx.Err() == nil {
		err = context.Cause(waiting)
	}
	cancel(nil)
	<-watched
	if err != nil {
		return err
	}
	n.log.Info("program attached", "name", n.config.Name, "legacy", n.Legacy())
	return nil
}

// watch looks after the command while Accept waits for a program, and returns why
// that wait is in vain, or nil when it is over.
func (n *Node) watch(waiting context.Context) error {
	for c := n.running(); c != nil; c = n.running() {
		select {
		case <-waiting.Done():
			return nil
		case <-c.ended:
		}
		pause := restartPause
		switch {
		case n.options.Restart:
		case c.exit != nil:
			return fmt.Errorf("exec: %q ended before a program opened the region: %w", n.config.Exec[0], c.exit)
		default:
			pause = n.options.Grace
		}
		select {
		case <-waiting.Done():
			return nil
		case <-time.After(pause):
		}
		if !n.options.Restart {
			return fmt.Errorf("exec: %q ended with status 0 and left no program that opened the region within %v", n.config.Exec[0], pause)
		}
		if err := n.spawn(); err != nil {
			return err
		}
	}
	return nil
}

// Stop tells the program that the node stops, wakes it, removes the region, and
// ends the command of exec if it does not end by itself: SIGTERM, then SIGKILL
// after the grace time.
func (n *Node) Stop() error {
	if n.Node == nil || !n.state.CompareAndSwap(uint32(Started), uint32(Stopped)) {
		return os.ErrClosed
	}
	err := n.Node.Close()
	if c := n.running(); c != nil && !c.end(n.options.Grace) {
		n.log.Warn("command killed: it did not end on SIGTERM", "command", n.config.Exec[0], "pid", c.Process.Pid, "after", n.options.Grace)
	}
	n.log.Info("region removed", "name", n.config.Name)
	return err
}

// Close is [Node.Stop].
func (n *Node) Close() error { return n.Stop() }

// Gone reports whether err, from a read or a write, says that the program went
// away: Accept waits for the next.
func Gone(err error) bool {
	return exchange.Gone(err)
}
