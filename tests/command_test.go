// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var command = filepath.Join(buildDir, "villas-shmem")

// config writes a configuration of a node called name.
func config(t *testing.T, name string, more ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shmem.conf")
	text := fmt.Sprintf("name = %q\n%s\n", name, strings.Join(more, "\n"))
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// execOf is the setting that starts a command.
func execOf(argv ...string) string {
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = fmt.Sprintf("%q", a)
	}
	return "exec = [ " + strings.Join(quoted, ", ") + " ]"
}

// echoing is the setting that starts the C example on the region.
func echoing(name string, args ...string) string {
	return execOf(append(append([]string{filepath.Join(buildDir, "echo"), "-q"}, args...), name)...)
}

var mixed = filepath.Join(root, "tests/data/mixed.villas")

// patient lets samples take their time to come back on a busy machine.
const patient = "--linger=30s"

// status is how a command ended, -1 for by a signal.
func (p *process) status() int { return p.ProcessState.ExitCode() }

// expect runs the command to its end, with that status and with all of those patterns in its output.
func expect(t *testing.T, status int, args []string, patterns ...string) string {
	t.Helper()
	p := start(t, nil, append([]string{command}, args...)...)
	out, err := p.end()
	if p.status() != status {
		t.Errorf("villas-shmem %s: status %d, not %d (%v)\n%s", strings.Join(args, " "), p.status(), status, err, out)
	}
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("villas-shmem %s: no %s in\n%s", strings.Join(args, " "), pattern, out)
		}
	}
	return out
}

// values are the lines of a samples file without comments, sequence, time and values each.
func samplesOf(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// headOf is a sample's time and sequence number.
func headOf(line string) string { return strings.Fields(line)[0] }

func TestARealFileCrossesAndComesBack(t *testing.T) {
	for _, mode := range []string{"pthread", "polling"} {
		t.Run(mode, func(t *testing.T) {
			name, out := regionName(t), filepath.Join(t.TempDir(), "out.villas")
			conf := config(t, name, fmt.Sprintf("mode = %q", mode), echoing(name, "-v", "8"))
			expect(t, 0, []string{"node", conf, "--in", mixed, "--out", out, patient}, `sent      500\n`, `received  500\n`, `lost      0\n`,
				`p50 [0-9.]+ us, p99 [0-9.]+ us, p99.9 [0-9.]+ us, max [0-9.]+ us`)
			sent, returned := samplesOf(t, mixed), samplesOf(t, out)
			if len(returned) != len(sent) {
				t.Fatalf("%d samples of %d came back", len(returned), len(sent))
			}
			for i := range sent {
				var a, b [4]float32
				fmt.Sscan(strings.Join(strings.Fields(sent[i])[1:], " "), &a[0], &a[1], &a[2], &a[3])
				fmt.Sscan(strings.Join(strings.Fields(returned[i])[1:], " "), &b[0], &b[1], &b[2], &b[3])
				if headOf(sent[i]) != headOf(returned[i]) || a != b {
					t.Fatalf("sent %s, came back %s", sent[i], returned[i])
				}
			}
		})
	}
}

func TestAPipelineFromGeneratorToComparisonAgrees(t *testing.T) {
	for _, mode := range []string{"pthread", "polling"} {
		name, sent := regionName(t), filepath.Join(t.TempDir(), "sent.csv")
		conf := config(t, name, fmt.Sprintf("mode = %q", mode), echoing(name, "-v", "16"))
		gen := command + " gen --wave mixed --values 8 --rate 2000 --limit 3000 --start 0 --fast --format csv"
		out := run(t, nil, "bash", "-c", fmt.Sprintf("set -eo pipefail; %[1]s --out %[2]s; %[1]s | %[3]s node %[4]s --format csv -q %[5]s | %[3]s compare %[2]s - --float32",
			gen, sent, command, conf, patient))
		if !regexp.MustCompile(`(?s)compared +3000\n.*different +0\n`).MatchString(out) {
			t.Error(out)
		}
	}
}

func TestALoopGoesOnInSequenceAndTime(t *testing.T) {
	name, out := regionName(t), filepath.Join(t.TempDir(), "out.villas")
	expect(t, 0, []string{"node", config(t, name, echoing(name)), "--in", mixed, "--loop", "--limit", "1200", "--out", out, patient}, `received  1200\n`)
	lines := samplesOf(t, out)
	if len(lines) != 1200 {
		t.Fatal(len(lines))
	}
	for i, line := range lines {
		at := 1795464218_478504893 + int64(i)*1_000_000
		if want := fmt.Sprintf("%d.%09d(%d)", at/1e9, at%1e9, i); headOf(line) != want {
			t.Fatalf("sample %d is %s, not %s", i, headOf(line), want)
		}
	}
}

func TestARateIsKept(t *testing.T) {
	name := regionName(t)
	begin := time.Now()
	expect(t, 0, []string{"node", config(t, name, echoing(name)), "--in", mixed, "--limit", "400", "--rate", "1000", "--out", "/dev/null"})
	if d := time.Since(begin); d < 390*time.Millisecond {
		t.Errorf("400 samples at 1000 a second took %v", d)
	}
}

func TestProgramsThatDoNotWorkAreReportedAndTheRegionIsRemoved(t *testing.T) {
	t.Parallel() // it sleeps most of its time
	for exec, want := range map[string]string{
		execOf("/there/is/none"):         `exec: start "/there/is/none": .*no such file or directory`,
		execOf("no-such-program"):        `exec: start "no-such-program": .*executable file not found in \$PATH`,
		execOf("/etc"):                   `exec: start "/etc": .*permission denied`,
		execOf("false"):                  `exec: "false" ended before a program opened the region: exit status 1`,
		execOf("sh", "-c", "kill -9 $$"): `ended before a program opened the region: signal: killed`,
		execOf("true"):                   `exec: "true" ended with status 0 and left no program that opened the region within 2s`,
	} {
		expect(t, 1, []string{"node", config(t, regionName(t), exec), "--in", mixed}, want)
	}
}

// interruptAt starts the command, waits for ready, interrupts it, and expects it to end well
// and soon. The region's name is looked after by its test.
func interruptAt(t *testing.T, sig syscall.Signal, ready func(p *process), args ...string) string {
	t.Helper()
	p := start(t, nil, append([]string{command}, args...)...)
	ready(p)
	p.Process.Signal(sig)
	begin := time.Now()
	out, err := p.end()
	if p.ProcessState.Sys().(syscall.WaitStatus).Signaled() && p.soFar() == "" {
		t.Logf("villas-shmem %s: %v came before main: once more", strings.Join(args, " "), sig)
		return interruptAt(t, sig, func(p *process) { ready(p); time.Sleep(2 * time.Second) }, args...)
	}
	if err != nil {
		t.Errorf("villas-shmem %s on %v: %v\n%s", strings.Join(args, " "), sig, err, out)
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("villas-shmem %s took %v to end on %v", strings.Join(args, " "), d, sig)
	}
	return out
}

// until waits until the condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestAnInterruptAtAnyStageEndsWellAndLeavesNoRegion(t *testing.T) {
	t.Parallel() // it sleeps most of its time
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		moment := func(*process) { time.Sleep(100 * time.Millisecond) }

		name := regionName(t) // no writer opens the input, so there is no region yet
		interruptAt(t, sig, moment, "node", config(t, name), "--in", fifo)

		name = regionName(t) // no program comes
		interruptAt(t, sig, func(*process) { waitFor(t, "/dev/shm"+name) }, "node", config(t, name), "--in", mixed)

		name = regionName(t) // the command started does not attach, and ends only when it is killed
		deaf := execOf("sh", "-c", "trap '' TERM; echo deaf; while true; do sleep 1; done")
		out := interruptAt(t, sig, func(p *process) { until(t, "deaf", func() bool { return p.printed("deaf") }) }, "node", config(t, name, deaf), "--in", mixed)
		if !strings.Contains(out, "command killed: it did not end on SIGTERM") {
			t.Errorf("nothing is said of a command that had to be killed:\n%s", out)
		}

		name = regionName(t) // in full traffic, polling and signalled
		interruptAt(t, sig, moment, "node", config(t, name, echoing(name)), "--in", mixed, "--loop", "--out", "/dev/null")
		interruptAt(t, sig, moment, "node", config(t, name, "polling = true", echoing(name)), "--in", mixed, "--loop", "--out", "/dev/null")

		name = regionName(t) // at rest
		out = interruptAt(t, sig, moment, "node", config(t, name, echoing(name)), "--in", mixed, "--rate", "5", "--out", "/dev/null")
		if !regexp.MustCompile(`sent      [1-9]`).MatchString(out) {
			t.Errorf("no statistics after an interrupt:\n%s", out)
		}

		name = regionName(t) // the program that has gone is waited for
		interruptAt(t, sig, func(p *process) { until(t, "a program gone", func() bool { return p.printed("went away") }) },
			"node", config(t, name, execOf("sh", "-c", command+" echo "+name+" --limit 5; sleep 60")), "--in", mixed, "--loop", "--keep", "--out", "/dev/null")
	}
}

func TestAnInterruptEndsANodeWhoseOutputNobodyReads(t *testing.T) {
	t.Parallel() // it sleeps most of its time
	name := regionName(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command(command, "node", config(t, name, echoing(name)), "--in", mixed, "--loop")
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	time.Sleep(300 * time.Millisecond) // the pipe is full long since
	cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatGoesAwayIsStatus3(t *testing.T) {
	for _, end := range []string{"kill -9 $!", "kill $!"} {
		name := regionName(t)
		exec := execOf("sh", "-c", filepath.Join(buildDir, "echo")+" -q "+name+" & sleep 0.5; "+end)
		expect(t, 3, []string{"node", config(t, name, exec), "--in", mixed, "--loop", "--rate", "100", "--out", "/dev/null"}, "the other side went away")
	}
}

func TestProgramsComeAndGoWhileANodeIsKept(t *testing.T) {
	name := regionName(t)
	p := start(t, nil, command, "node", config(t, name), "--in", mixed, "--loop", "--rate", "1000", "--keep", "--out", "/dev/null")
	for range 3 {
		expect(t, 0, []string{"echo", name, "--limit", "50", "--vector", "4", "--wait"}, "echoed 50 samples")
	}
	// Killed in the middle of its work, and followed by the next.
	killed := start(t, nil, command, "echo", name, "--wait")
	time.Sleep(200 * time.Millisecond)
	killed.Process.Kill()
	killed.end()
	expect(t, 0, []string{"echo", name, "--limit", "50", "--wait"}, "echoed 50 samples")
	p.Process.Signal(syscall.SIGTERM)
	if out, err := p.end(); err != nil || strings.Count(out, "program attached") != 5 {
		t.Errorf("%v\n%s", err, out)
	}

	name = regionName(t) // the command is started again
	p = start(t, nil, command, "node", config(t, name, execOf(command, "echo", name, "--limit", "20")), "--in", mixed, "--loop", "--rate", "1000", "--keep", "--out", "/dev/null")
	until(t, "a second command", func() bool { return p.printed("echoed 20 samples\n(.|\n)*echoed 20 samples") })
	p.Process.Signal(syscall.SIGTERM)
	if out, err := p.end(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestADiskThatIsFullIsAnErrorAndAClosedPipeIsAnEnd(t *testing.T) {
	name := regionName(t)
	expect(t, 1, []string{"node", config(t, name, echoing(name)), "--in", mixed, "--out", "/dev/full"}, "villas-shmem: output: write /dev/full: no space left on device")
	name = regionName(t)
	out := run(t, nil, "bash", "-c", fmt.Sprintf("%s node %s --in %s --loop -q | head -3; echo status ${PIPESTATUS[0]}", command, config(t, name, echoing(name)), mixed))
	if !strings.Contains(out, "(1)") || !strings.Contains(out, "status 0") {
		t.Error(out)
	}
}

func TestALivingNodesRegionIsNotTakenAndADeadOnesIs(t *testing.T) {
	name := regionName(t)
	conf := config(t, name)
	first := start(t, nil, command, "node", conf, "--no-input")
	waitFor(t, "/dev/shm"+name)
	expect(t, 1, []string{"node", conf, "--no-input"}, "a living node has this name: stop it or choose another name")
	first.Process.Kill()
	first.end()
	second := start(t, nil, command, "node", conf, "--no-input")
	expect(t, 0, []string{"pipe", name, "--in", mixed, "--limit", "3", "--linger", "0s", "--wait"}, "sent      3")
	if out, err := second.end(); second.status() != 0 || !strings.Contains(out, "(2)") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPipeIsTheProgramsSide(t *testing.T) {
	name := regionName(t)
	node := start(t, nil, command, "node", config(t, name), "--in", mixed, "--limit", "100", "--linger", "5s")
	out := filepath.Join(t.TempDir(), "out.villas")
	expect(t, 0, []string{"pipe", name, "--wait", "--no-input", "--limit", "60", "--out", out}, "received  60")
	if got, want := samplesOf(t, out), samplesOf(t, mixed); len(got) != 60 || headOf(got[59]) != headOf(want[59]) {
		t.Error(got)
	}
	node.end()
	expect(t, 1, []string{"pipe", name, "--no-input"}, "there is no such region: start the node first")
}

func TestMalformedLinesAreFatalOrSkipped(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.villas")
	if err := os.WriteFile(in, []byte("1.0(0)\t1\nnonsense\n2.0(1)\t2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	name := regionName(t)
	conf := config(t, name, echoing(name))
	expect(t, 1, []string{"node", conf, "--in", in}, in+":2:1: ")
	expect(t, 0, []string{"node", conf, "--in", in, "--skip-malformed", patient}, "skipped "+in+":2:1: ", `skipped   1 malformed lines`, `received  2\n`)
	wide := filepath.Join(t.TempDir(), "wide.csv")
	if err := os.WriteFile(wide, []byte("1,0,0,0"+strings.Repeat(",1", 200)+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	expect(t, 1, []string{"node", conf, "--in", wide}, `a sample of 200 values: there is room for \d+ \(raise samplelen\)`)
}

func TestWrongUseIsStatus2(t *testing.T) {
	two := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(two, []byte("nodes: {a: {type: shmem, name: /a}, b: {type: shmem, name: /b}}"), 0o666); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"accepts between 1 and 2 arg":       {"node"},
		"unknown command \"nod\"":           {"nod"},
		"unknown flag: --nonsense":          {"pipe", "/a", "--nonsense"},
		"there is no format \"xml\"":        {"node", "../etc/shmem.conf", "--format", "xml"},
		"there are 2 shmem nodes: name one": {"node", two},
		`there is no shmem node "c"`:        {"node", two, "c"},
		"--rate must not be negative":       {"node", two, "a", "--rate", "-1"},
		"--vector must be 1 to 64, is 0":    {"echo", "/a", "--vector", "0"},
		`--values must be 1 to \d+, is 0`:   {"bench", "--values", "4,0"},
		"no CPU 9999 for this process":      {"bench", "--cpus", "9999"},
	} {
		expect(t, 2, args, want)
	}
}

func TestABadConfigurationIsSaidWithFileAndLine(t *testing.T) {
	conf := config(t, "/a/b", "quelen = 3")
	for _, args := range [][]string{{"check", conf}, {"node", conf}} {
		out := expect(t, 1, args)
		if !strings.HasPrefix(out, conf+`:1: name: must have no second '/', is "/a/b"`) ||
			!strings.Contains(out, "\n"+conf+`:2: quelen: unknown setting (did you mean "queuelen"?)`) {
			t.Error(out)
		}
	}
	expect(t, 1, []string{"check", "/there/is/none.conf"}, "no such file or directory")
	expect(t, 0, []string{"check", filepath.Join(root, "etc/shmem.conf"), filepath.Join(root, "etc/villasnode.json")},
		`etc/shmem.conf: /villas-ext-demo, 512 samples of 64 values, signalled, 418.4 KiB: starts build/echo`,
		`etc/villasnode.json:8: in: is a setting of VILLASnode that has no use here`, `node controller: /villas-ext-controller`)
}

func TestMetricsTellWhatTheNodeDoes(t *testing.T) {
	name := regionName(t)
	p := start(t, nil, command, "node", config(t, name, echoing(name)), "--in", mixed, "--loop", "--rate", "1000", "--out", "/dev/null", "--metrics", "127.0.0.1:0")
	var url string
	until(t, "the address of the metrics", func() bool {
		if m := regexp.MustCompile(`http://[^ "]*/metrics`).FindString(p.soFar()); m != "" {
			url = m
		}
		return url != ""
	})
	scrape := func() string {
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := regexp.MustCompile(`villas_shmem_latency_seconds_count\{region="` + name + `"\} [1-9]`)
	until(t, "samples in the metrics", func() bool { return want.MatchString(scrape()) })
	text := scrape()
	for _, pattern := range []string{`samples_total\{direction="sent",region="NAME"\} [1-9]`, `samples_total\{direction="received",region="NAME"\} [1-9]`,
		`programs_total\{event="attached",region="NAME"\} 1\n`, `dropped_total\{region="NAME"\} 0\n`, `latency_seconds_bucket\{region="NAME",le="\+Inf"\} [1-9]`,
		`queue_fill\{direction="to node",region="NAME"\} \d`, `queue_capacity\{direction="to program",region="NAME"\} 512\n`,
		`pool_capacity\{region="NAME"\} 1024\n`, `pool_free\{region="NAME"\} \d`} {
		if !regexp.MustCompile(strings.ReplaceAll(pattern, "NAME", name)).MatchString(text) {
			t.Errorf("no %s in\n%s", pattern, text)
		}
	}
	p.Process.Signal(syscall.SIGTERM)
	if out, err := p.end(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	expect(t, 1, []string{"node", config(t, name), "--metrics", "no-such-host:1"}, "--metrics: ")
}

func TestSystemdIsToldWhenTheRegionIsThere(t *testing.T) {
	name, socket := regionName(t), filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := start(t, []string{"NOTIFY_SOCKET=" + socket}, command, "node", config(t, name), "--no-input")
	next := func() string {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(limit))
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	if got := next(); got != "READY=1" {
		t.Errorf("told %q first", got)
	}
	if _, err := os.Stat("/dev/shm" + name); err != nil {
		t.Errorf("ready, but %v", err)
	}
	if got := next(); got != "STATUS=waiting for a program" {
		t.Error(got)
	}
	p.Process.Signal(syscall.SIGTERM)
	if got := next(); got != "STOPPING=1" {
		t.Error(got)
	}
	if out, err := p.end(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestARegionIsShownWhileItIsUsedAndAfterADeath(t *testing.T) {
	name := regionName(t)
	p := start(t, nil, command, "node", config(t, name, "queuelen = 32", "samplelen = 4", "polling = true"), "--in", mixed, "--limit", "20", "--linger", "1m")
	waitFor(t, "/dev/shm"+name)
	until(t, "a region", func() bool { return exec.Command(command, "info", name).Run() == nil })
	expect(t, 0, []string{"info", name}, `region +`+name+`, layout A \(5 of 5 signs\), [0-9.]+ KiB\n`, `mode +polling\n`, `node +living, villas-shmem \(\d+\)\n`, `program +none\n`,
		`to node +0 of 32 wait, 0 were written, 0 read\n`, `pool +64 of 64 samples are free\n`, `mapped by +villas-shmem \(\d+\)\n`)
	expect(t, 0, []string{"ls"}, name+` +[0-9.]+ KiB +polling +living, villas-shmem \(\d+\) +none +0/32 +0/32 +64/64\n`)
	expect(t, 1, []string{"rm", name}, "its node lives: stop it")

	p.Process.Kill()
	p.end()
	expect(t, 0, []string{"info", name}, `node +dead\n`)
	var s struct {
		Node struct{ Living bool }
		Pool struct{ Blocks, Free int }
	}
	if err := json.Unmarshal([]byte(expect(t, 0, []string{"info", "--json", name})), &s); err != nil || s.Node.Living || s.Pool.Blocks != 64 {
		t.Error(err, s)
	}
	expect(t, 0, []string{"rm", name})
	expect(t, 1, []string{"info", name}, "no such file or directory")
	expect(t, 1, []string{"info", "no/name"}, "invalid argument")

	name = regionName(t) // what is no region is neither listed nor removed
	if err := os.WriteFile("/dev/shm"+name, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := expect(t, 0, []string{"ls"}); strings.Contains(out, name) {
		t.Error(out)
	}
	expect(t, 1, []string{"rm", name}, "not a region")
	expect(t, 0, []string{"rm", "--force", name})
}

// A program built with the original holds no lock. That it ended is known by the
// command that exec started.
func TestAProgramBuiltWithTheOriginalIsShownAndItsEndIsNoticed(t *testing.T) {
	for _, polling := range []string{"false", "true"} {
		name := regionName(t)
		legacy := execOf(compile(t, "gcc", "legacy/legacy.c", "-Wl,--as-needed"), "program", name, "1")
		p := start(t, nil, command, "node", config(t, name, "polling = "+polling, legacy), "--in", mixed, "--loop", "--rate", "100", "--out", "/dev/null")
		until(t, "the program attached", func() bool { return p.printed("program attached.*legacy=true") })
		expect(t, 0, []string{"info", name}, `program +living, built with the original\n`, `mapped by +villas-shmem \(\d+\), \w*gcclegacy`)
		var pid int
		fmt.Sscan(regexp.MustCompile(`command started.*pid=(\d+)`).FindStringSubmatch(p.soFar())[1], &pid)
		syscall.Kill(pid, syscall.SIGKILL)
		out, _ := p.end()
		if p.status() != 3 || !strings.Contains(out, "the other side went away") || !strings.Contains(out, "signal: killed") {
			t.Errorf("status %d\n%s", p.status(), out)
		}
	}
}

// TestTheTutorialWorksAsWritten runs the commands of docs/command.md, in a folder that looks like a checkout.
func TestTheTutorialWorksAsWritten(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/command.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir, name := t.TempDir(), regionName(t)
	for link, target := range map[string]string{"build": buildDir, "tests": filepath.Join(root, "tests")} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	script := "set -euo pipefail\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script += strings.ReplaceAll(block[1], "/villas1", name)
	}
	p := start(t, nil, "bash", "-c", "cd "+dir+"; "+script)
	out, err := p.end()
	if err != nil || strings.Count(script, "villas-shmem") < 8 {
		t.Errorf("%v\n%s\n%s", err, script, out)
	}
	for _, want := range []string{`received  500\n`, `different  0\n`, name + ` +[0-9.]+ KiB`, `program +living, echo`, `received  3000\n`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	for _, picture := range []string{"returned.png", "plot.svg"} {
		if _, err := os.Stat(filepath.Join(dir, picture)); err != nil {
			t.Error(err)
		}
	}
}

// TestWhatASlowProgramDoesIsCounted has a program that stops for a while.
func TestWhatASlowProgramDoesIsCounted(t *testing.T) {
	name := regionName(t)
	p := start(t, nil, command, "node", config(t, name, "queuelen = 16", echoing(name)), "--in", mixed, "--rate", "1000", "--drop", "--out", "/dev/null", patient)
	pid := 0
	until(t, "samples", func() bool {
		if m := regexp.MustCompile(`command started.*pid=(\d+)`).FindStringSubmatch(p.soFar()); m != nil {
			fmt.Sscan(m[1], &pid)
		}
		return pid != 0 && p.printed("program attached")
	})
	syscall.Kill(pid, syscall.SIGSTOP)
	time.Sleep(200 * time.Millisecond)
	syscall.Kill(pid, syscall.SIGCONT)
	out, err := p.end()
	count := func(what string) (n int) {
		if m := regexp.MustCompile(what + ` +(\d+)`).FindStringSubmatch(out); m != nil {
			fmt.Sscan(m[1], &n)
		}
		return n
	}
	if err != nil || count("dropped") < 50 || count("sent") != 500-count("dropped") || count("lost") != 0 || count("late") < 5 || count("received") != count("sent") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAProgramThatEndsWhenAllCameBackIsNoFailure(t *testing.T) {
	for range 10 {
		name := regionName(t)
		expect(t, 0, []string{"node", config(t, name, execOf(command, "echo", name, "--limit", "500")), "--in", mixed, "--out", "/dev/null", patient}, `received  500\n`, `lost      0\n`)
	}
}

func TestASinkLosesAllAndThatIsNoFailure(t *testing.T) {
	name := regionName(t)
	sink := execOf(command, "pipe", name, "--no-input", "--out", "/dev/null", "-q")
	expect(t, 0, []string{"node", config(t, name, sink), "--in", mixed, "--linger", "200ms"}, `sent      500\n`, `received  0\n`, `lost      500\n`)
}

func TestIntegersAndTimesOfReceiptAreKeptIfAsked(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.villas")
	if err := os.WriteFile(in, []byte("1700000000.5+2.5(3)\t7\t0.5\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for pattern, args := range map[string][]string{
		`(?m)^1700000000\.000000005\(3\)\t7\.0+\t0\.50+$`:            nil,
		`(?m)^1700000000\.000000005\(3\)\t7\t0\.50+$`:                {"--integers"},
		`(?m)^1700000000\.000000005\+[0-9.e+]+\(3\)\t7\.0+\t0\.50+$`: {"--offset"},
	} {
		name := regionName(t)
		expect(t, 0, append([]string{"node", config(t, name, echoing(name)), "--in", in, "-q", patient}, args...), pattern)
	}
}

func TestPermissionsAndGroupOfTheRegionAreAsConfigured(t *testing.T) {
	name := regionName(t)
	p := start(t, nil, command, "node", config(t, name, `permissions = "0664"`, fmt.Sprintf("group = %d", max(os.Getgid(), 1))), "--no-input")
	waitFor(t, "/dev/shm"+name)
	until(t, "permissions", func() bool {
		st, err := os.Stat("/dev/shm" + name)
		return err == nil && st.Mode().Perm() == 0o664 && st.Sys().(*syscall.Stat_t).Gid == uint32(max(os.Getgid(), 1))
	})
	expect(t, 0, []string{"info", name}, `access +0664, `)
	if os.Getuid() == 0 { // one who may only read looks as well
		other := exec.Command(command, "info", name)
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if dir := filepath.Dir(command); !readableByAll(dir) {
			t.Logf("%s is not readable by others: not tried as another user", dir)
		} else if out, err := other.CombinedOutput(); err != nil || !regexp.MustCompile(`node +living`).Match(out) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	p.Process.Signal(syscall.SIGTERM)
	if out, err := p.end(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// readableByAll reports whether any user can come to path.
func readableByAll(path string) bool {
	for ; path != "/"; path = filepath.Dir(path) {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm()&5 != 5 {
			return false
		}
	}
	return true
}
