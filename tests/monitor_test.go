// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A terminal is a tmux session that runs a command.
type terminal struct {
	t      *testing.T
	socket string
}

func openTerminal(t *testing.T, width, height int, shell string) *terminal {
	t.Helper()
	need(t, "tmux", "tmux")
	x := &terminal{t, "villas-test" + strings.TrimPrefix(regionName(t), "/villas-test")}
	x.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), shell)
	t.Cleanup(func() { exec.Command("tmux", "-L", x.socket, "kill-server").Run() })
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	b, err := exec.Command("tmux", append([]string{"-L", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %v: %v\n%s", args, err, b)
	}
	return string(b)
}

func (x *terminal) screen() string       { return x.tmux("capture-pane", "-p") }
func (x *terminal) press(keys ...string) { x.tmux(append([]string{"send-keys"}, keys...)...) }

// shows waits until the screen matches the pattern.
func (x *terminal) shows(pattern string) {
	x.t.Helper()
	is := regexp.MustCompile(pattern)
	var screen string
	defer func() {
		if x.t.Failed() {
			x.t.Logf("the screen:\n%s", screen)
		}
	}()
	until(x.t, "the screen shows "+pattern, func() bool {
		screen = x.screen()
		return is.MatchString(screen)
	})
}

const braille = `[⠁-⣿]`

func TestMonitorShowsFillRatesAndValuesAndTakesNothing(t *testing.T) {
	name := regionName(t)
	conf := config(t, name, echoing(name))
	args := []string{command, "node", conf, "--in", mixed, "--loop", "--rate", "500", "--out", "/dev/null"}
	p := start(t, nil, args...)
	waitFor(t, "/dev/shm"+name)
	x := openTerminal(t, 100, 30, fmt.Sprintf("%s monitor %s; echo ended with status $?; exec cat", command, name))
	x.shows(`to program +\S+ +\d+ of 512 +[1-9][0-9.]* samples/s +[1-9]\d* written`)
	x.shows(`to node +\S+ +\d+ of 512 +[1-9][0-9.]* samples/s`)
	x.shows(`pool +\S+ +\d+ of 1024`)
	x.shows(`(?s)to program  sample \d+: 0: -?[0-9.e-]+.*` + braille + braille + `.*to node  sample \d+.*` + braille + braille)
	x.shows(`node living, villas-shmem \(\d+\)  program living, echo`)

	x.press("Tab") // one direction alone
	x.shows(`to program  sample`)
	until(t, "one chart", func() bool { return strings.Count(x.screen(), "└") == 1 })
	x.press("Tab")
	until(t, "the other chart", func() bool {
		return strings.Contains(x.screen(), "to node  sample") && strings.Count(x.screen(), "└") == 1
	})
	x.press("-")
	x.shows(`-2.5 s`)
	x.press("+", "+")
	x.shows(`-10 s`)
	x.press("Space")
	x.shows(name + `  paused`)
	x.press("Space")
	until(t, "no pause", func() bool { return !strings.Contains(x.screen(), "paused") })

	p.Process.Signal(syscall.SIGTERM)
	out, err := p.end()
	if err != nil || !regexp.MustCompile(`lost      [0-5]\n`).MatchString(out) { // those on the way at the end
		t.Errorf("%v\n%s", err, out)
	}
	x.shows(`no such file or directory`)
	p = start(t, nil, args...) // made anew
	x.shows(`to node +\S+ +\d+ of 512 +[1-9][0-9.]* samples/s`)
	x.press("q")
	x.shows(`ended with status 0`)
	p.Process.Signal(syscall.SIGTERM)
	p.end()
	expect(t, 2, []string{"monitor", name}, "monitor needs a terminal")
}

func TestProgressIsForTerminalsOnly(t *testing.T) {
	name := regionName(t)
	node := fmt.Sprintf("%s node %s --in %s --loop --rate 500 --out /dev/null", command, config(t, name, echoing(name)), mixed)
	x := openTerminal(t, 100, 30, node+"; echo ended with status $?; exec cat")
	x.shows(`sent [1-9]\d*, received \d+, \d+ samples/s`)
	x.press("C-c") // the keyboard's interrupt reaches the program through the node alone
	x.shows(`(?s)lost      \d+\n.*ended with status 0`)
	name = regionName(t)
	out := expect(t, 0, []string{"node", config(t, name, echoing(name)), "--in", mixed, "--rate", "500", "--out", "/dev/null"})
	if strings.Contains(out, "\x1b") || strings.Contains(out, "\r") {
		t.Errorf("progress in a pipe: %q", out)
	}
}
