// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A command is a running command of exec. It has a process group of its own: an
// interrupt from the keyboard goes to the node, which then ends in order, and
// what a shell started ends with the shell.
type command struct {
	*exec.Cmd
	ended chan struct{} // closed when it has ended
	exit  error         // then, how: nil for status 0
}

// start starts argv[0], found in PATH, with the arguments argv as they are.
func start(argv []string, output *os.File) (*command, error) {
	c := &command{Cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	c.Stdout, c.Stderr = output, output
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.exit = c.Wait()
		close(c.ended)
	}()
	return c, nil
}

// end waits a moment for the command to end by itself, since the region has been
// stopped, then tells it to, and kills it after the grace time. False: it was killed.
func (c *command) end(grace time.Duration) bool {
	for _, step := range []struct {
		wait   time.Duration
		signal syscall.Signal
	}{{grace / 10, syscall.SIGTERM}, {grace, syscall.SIGKILL}} {
		select {
		case <-c.ended:
			return true
		case <-time.After(step.wait):
			syscall.Kill(-c.Process.Pid, step.signal)
		}
	}
	<-c.ended
	return false
}
