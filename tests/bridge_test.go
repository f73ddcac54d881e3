// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kindsOfTheStandIn are the kinds of the values that it sends and checks.
const kindsOfTheStandIn = "fibcfibc"

// bridged starts a bridge with an old program behind it.
func bridged(t testing.TB, region, own, other string, polling bool) *process {
	t.Helper()
	return start(t, oldEnv, command, "bridge", region, own+","+other, "--polling="+strconv.FormatBool(polling), "--samplelen=16",
		"--in-signals", kindsOfTheStandIn, "--out-signals", kindsOfTheStandIn, "--", oldBinary(t), region)
}

// Every field of every sample comes back from a program of the original's calls:
// kinds, flags, sequence numbers and nanoseconds.
func TestAnOldProgramTalksToAVILLASnodeOfTodayThroughABridge(t *testing.T) {
	for _, modes := range []struct {
		node    string
		polling bool
	}{{"polling", true}, {"pthread", false}, {"polling", false}, {"pthread", true}} {
		t.Run(fmt.Sprintf("VILLASnode %s, bridge polling %v", modes.node, modes.polling), func(t *testing.T) {
			t.Parallel()
			a, b := pairNames(t)
			bridge := bridged(t, regionName(t), b, a, modes.polling)
			out := run(t, nil, standInNode(t), "send", a, b, "mode="+modes.node, "count=100000", "narrow=1")
			if !strings.Contains(out, "sent 100000 received 100000 bad 0 free 256 of 256") {
				t.Error(out)
			}
			out, err := bridge.end()
			if err != nil || !strings.Contains(out, "moved 100000 samples") || !strings.Contains(out, "to the program    100000, 0 dropped, 0 shortened\n") ||
				!strings.Contains(out, "to the VILLASnode 100000, 0 dropped, 0 shortened\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// What the bridge costs, in polling mode, one sample at a time. The figures are printed only.
func TestABridgesLatencyIsMeasured(t *testing.T) {
	p50 := func(a, b string) float64 {
		out := run(t, nil, standInNode(t), "send", a, b, "count=20000", "window=1", "narrow=1")
		m := regexp.MustCompile(`bad 0 (?s:.*)latency p50 ([0-9.]+) us`).FindStringSubmatch(out)
		if m == nil {
			t.Fatal(out)
		}
		us, _ := strconv.ParseFloat(m[1], 64)
		return us
	}
	a, b := pairNames(t)
	echo := start(t, nil, compile(t, "gcc", "pair/party.c"), "echo", b, a)
	direct := p50(a, b)
	echo.end()
	a, b = pairNames(t)
	bridge := bridged(t, regionName(t), b, a, true)
	through := p50(a, b)
	if out, err := bridge.end(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("there and back, p50: %.1f us over a pair alone, %.1f us through a bridge to an old program: %.1f us added", direct, through, through-direct)
}

// However a bridge ends, it ends soon, says so by its status, and leaves no object.
func TestABridgeEndsWithEitherSide(t *testing.T) {
	type ending struct {
		name   string
		status int
		end    func(node, bridge *process)
		says   string
	}
	program := func(sig syscall.Signal) func(*process, *process) {
		return func(_, bridge *process) {
			var pid int
			fmt.Sscan(regexp.MustCompile(`command started.*pid=(\d+)`).FindStringSubmatch(bridge.soFar())[1], &pid)
			syscall.Kill(pid, sig)
		}
	}
	for _, polling := range []bool{true, false} {
		for _, e := range []ending{
			{"SIGTERM", 0, func(_, bridge *process) { bridge.Process.Signal(syscall.SIGTERM) }, "to the program"},
			{"SIGINT", 0, func(_, bridge *process) { bridge.Process.Signal(syscall.SIGINT) }, "to the program"},
			{"the program killed", 3, program(syscall.SIGKILL), "the other side went away: the program: the other side died"},
			{"the VILLASnode killed", 3, func(node, _ *process) { node.Process.Kill() }, "the other side went away: the VILLASnode: the other side died"},
		} {
			t.Run(fmt.Sprintf("%s, polling %v", e.name, polling), func(t *testing.T) {
				t.Parallel()
				a, b := pairNames(t)
				region := regionName(t)
				bridge := bridged(t, region, b, a, polling)
				mode := map[bool]string{true: "polling", false: "pthread"}[polling]
				node := start(t, nil, standInNode(t), "send", a, b, "mode="+mode, "count=100000000", "narrow=1", "patience=20")
				until(t, "samples", func() bool {
					out, _ := start(t, nil, command, "info", a).end()
					return regexp.MustCompile(`[1-9]\d{3} were written`).MatchString(out)
				})
				e.end(node, bridge)
				out, _ := bridge.end()
				if bridge.status() != e.status || !strings.Contains(out, e.says) {
					t.Errorf("status %d, not %d:\n%s", bridge.status(), e.status, out)
				}
				node.Process.Kill()
				node.end()
				for _, name := range []string{a, b} { // the node's own
					start(t, nil, command, "rm", name).end()
				}
			})
		}
	}
}

func TestABridgeThatCannotBeSaysWhy(t *testing.T) {
	t.Parallel()
	a, b := pairNames(t)
	region := regionName(t)
	for want, args := range map[string][]string{
		"a region and a pair are needed":       {region},
		`"` + a + `" is no pair`:               {region, a},
		"are needed, then -- and a command":    {region, b + "," + a, "program"},
		"--in-signals: kinds of values":        {region, b + "," + a, "--in-signals", "q"},
		"name: must have no second '/', is \"": {region + "/x", b + "," + a},
	} {
		p := start(t, nil, slices.Concat([]string{command, "bridge"}, args)...)
		if out, _ := p.end(); p.status() != 2 && p.status() != 1 || !strings.Contains(out, want) {
			t.Errorf("%v: status %d\n%s", args, p.status(), out)
		}
	}
	expect(t, 1, []string{"bridge", region, b + "," + a, "--", "/there/is/none"}, `exec: start "/there/is/none"`)
	begin := time.Now()
	expect(t, 1, []string{"bridge", region, b + "," + a, "--", "false"}, `exec: "false" ended before a program opened the region`)
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("it waited %v for a VILLASnode", d)
	}
	interruptAt(t, syscall.SIGTERM, func(*process) { waitFor(t, "/dev/shm"+b); waitFor(t, "/dev/shm"+region) }, "bridge", region, b+","+a, "--wait")
}

// The bridges that the documents start by exec, as a VILLASnode would.
func TestTheBridgesOfTheDocumentsWork(t *testing.T) {
	for path, n := range map[string]int{"docs/pair.md": 1, "etc/villasnode-1.x.conf": 1} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		all := regexp.MustCompile(`(?s)exec = \[ ("villas-shmem".*?) \]`).FindAllStringSubmatch(string(text), -1)
		if len(all) != n {
			t.Errorf("%s: %d commands", path, len(all))
		}
		for _, exec := range all {
			var argv []string
			if err := json.Unmarshal([]byte("["+exec[1]+"]"), &argv); err != nil {
				t.Fatal(err)
			}
			region := argv[len(argv)-1]
			own, other, _ := strings.Cut(argv[2+slices.Index(argv[2:], region)+1], ",")
			a, b := pairNames(t)
			unique := map[string]string{region: regionName(t), own + "," + other: b + "," + a, "villas-shmem": command, "./old-program": oldBinary(t)}
			for i, arg := range argv {
				if now, ok := unique[arg]; ok {
					argv[i] = now
				}
			}
			mode := "mode=pthread"
			if slices.Contains(argv, "--polling") {
				mode = "mode=polling"
			}
			bridge := start(t, oldEnv, argv...)
			if out := run(t, nil, standInNode(t), "send", a, b, mode, "sl=1", "count=2000"); !strings.Contains(out, "received 2000 bad 0") {
				t.Error(out)
			}
			if out, err := bridge.end(); err != nil || !strings.Contains(out, "moved 2000 samples") {
				t.Errorf("%s: %v\n%s", path, err, out)
			}
		}
	}
}
