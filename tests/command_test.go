// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// config writes a configuration of a node that starts the echo example.
func config(t *testing.T, name, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shmem.conf")
	text := fmt.Sprintf("name = %q\n%s\n", name, more)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func echoExec(name string, args ...string) string {
	quoted := []string{fmt.Sprintf("%q", filepath.Join(buildDir, "echo"))}
	for _, a := range append(args, name) {
		quoted = append(quoted, fmt.Sprintf("%q", a))
	}
	return "exec = [ " + strings.Join(quoted, ", ") + " ]"
}

func nodeArgs(conf string, more ...string) []string {
	return append([]string{filepath.Join(buildDir, "villas-shmem"), "node", conf, "--in", filepath.Join(root, "tests/data/mixed.villas")}, more...)
}

func TestTheMainJobMovesARealFile(t *testing.T) {
	for _, polling := range []string{"false", "true"} {
		name := regionName(t)
		out := run(t, nil, nodeArgs(config(t, name, "polling = "+polling+"\n"+echoExec(name, "-q", "-v", "8")), "--limit", "20000")...)
		for _, want := range []string{`sent      20000\n`, `received  20000\n`, `wrong     0\n`, `lost      0\n`, `p50 [0-9.]+ us, p99 [0-9.]+ us, p99.9 [0-9.]+ us, max [0-9.]+ us`} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("no %s in\n%s", want, out)
			}
		}
	}
}

func TestARateIsKept(t *testing.T) {
	name := regionName(t)
	begin := time.Now()
	run(t, nil, nodeArgs(config(t, name, echoExec(name, "-q")), "--limit", "400", "--rate", "1000")...)
	if d := time.Since(begin); d < 390*time.Millisecond {
		t.Errorf("400 samples at 1000 a second took %v", d)
	}
}

func TestProgramsThatDoNotWorkAreReportedAndTheRegionIsRemoved(t *testing.T) {
	for exec, want := range map[string]string{
		`exec = [ "/there/is/none" ]`:         `exec: start "/there/is/none"`,
		`exec = [ "false" ]`:                  `exec: "false" ended before it opened the region: exit status 1`,
		`exec = [ "sh", "-c", "kill -9 $$" ]`: `ended before it opened the region: signal: killed`,
	} {
		out, err := start(t, nil, nodeArgs(config(t, regionName(t), exec))...).end()
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", exec, err, out)
		}
	}
}

func TestInterruptAndADeadProgramEndTheNode(t *testing.T) {
	name := regionName(t)
	p := start(t, nil, nodeArgs(config(t, name, echoExec(name, "-q")), "--rate", "100", "--limit", "100000")...)
	waitFor(t, "/dev/shm"+name)
	time.Sleep(200 * time.Millisecond)
	p.Process.Signal(syscall.SIGINT)
	if out, err := p.end(); err == nil {
		t.Errorf("an interrupted node says it is fine:\n%s", out)
	}

	name = regionName(t)
	conf := config(t, name, `exec = [ "sh", "-c", "`+filepath.Join(buildDir, "echo")+` -q `+name+` & sleep 0.5; kill -9 $!" ]`)
	p = start(t, nil, nodeArgs(conf, "--rate", "100", "--limit", "100000")...)
	out, err := p.end()
	if err == nil || p.ProcessState.ExitCode() != 3 || !strings.Contains(out, "the other side went away") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestABadConfigurationIsSaidWithFileAndLine(t *testing.T) {
	conf := config(t, "/a/b", "quelen = 3")
	out, err := start(t, nil, nodeArgs(conf)...).end()
	if err == nil || !strings.Contains(out, conf+`:1: name: must have no second '/', is "/a/b"`) ||
		!strings.Contains(out, conf+`:2: quelen: unknown setting (did you mean "queuelen"?)`) {
		t.Errorf("%v\n%s", err, out)
	}
	p := start(t, nil, filepath.Join(buildDir, "villas-shmem"), "node")
	if out, _ := p.end(); p.ProcessState.ExitCode() != 2 {
		t.Errorf("wrong use ends with status %d\n%s", p.ProcessState.ExitCode(), out)
	}
}
