// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// measured is a report of `villas-shmem bench --json` and of `make bench`.
type measured struct {
	Results []struct {
		Group, What string
		By          map[string]struct{ Median, Low, High float64 }
		Ratio       *struct{ Median float64 }
		Target      float64
	}
	Missing []string
}

// of returns the figure of what in a column; the column may be missing if that is said.
func (m *measured) of(t *testing.T, what, column string) float64 {
	t.Helper()
	for _, r := range m.Results {
		if f, ok := r.By[column]; ok && r.What == what {
			if !(0 < f.Low && f.Low <= f.Median && f.Median <= f.High) {
				t.Errorf("%s, %s: %+v", what, column, f)
			}
			return f.Median
		}
	}
	if !slices.ContainsFunc(m.Missing, func(s string) bool { return strings.HasPrefix(s, column) }) {
		t.Errorf("there is no %q of %q, and it is not said why", what, column)
	}
	return 0
}

func (m *measured) trips(t *testing.T, columns ...string) {
	for _, column := range columns {
		before := 0.0
		for _, quantile := range []string{"p50", "p99", "p99.9", "max"} {
			ns := m.of(t, "round trip, "+quantile, column)
			if ns < before {
				t.Errorf("%s: %s is %v, below the quantile before it, %v", column, quantile, ns, before)
			}
			before = ns
		}
	}
}

var throughKernel = []string{"pipe", "Unix socket", "POSIX queue"}

func TestBenchMeasuresEachWayToPassSamples(t *testing.T) {
	var m measured
	out := run(t, nil, command, "bench", "--duration", "5ms", "--runs", "3", "--values", "1,70", "--batch", "1,8", "--json")
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	memory := []string{"polling", "signalled", "no spin"}
	m.trips(t, slices.Concat(memory, throughKernel)...)
	for _, values := range []int{1, 70} {
		for _, column := range slices.Concat(memory, throughKernel) {
			m.of(t, fmt.Sprintf("one way in 1s, %d values", values), column)
			if column != "POSIX queue" {
				m.of(t, fmt.Sprintf("one way in 8s, %d values", values), column)
			}
		}
	}
	out = run(t, nil, command, "bench", "--duration", "1ms", "--runs", "1", "--values", "4", "--batch", "64", "--unbound")
	if !strings.Contains(out, "one way in 64s, 4 values") {
		t.Errorf("the table is\n%s", out)
	}
	run(t, nil, "taskset", "-c", "0", command, "bench", "--duration", "1ms", "--runs", "1", "--values", "4", "--batch", "64")
}

func TestWhatCannotBeMeasuredIsSaid(t *testing.T) {
	out := run(t, nil, command, "bench", "--duration", "1ms", "--runs", "1", "--values", "100000", "--batch", "1")
	if !strings.Contains(out, "not measured: POSIX queue: 100000 values: mq_open for messages of 400088 bytes:") {
		t.Errorf("nothing is said of messages that are too long:\n%s", out)
	}
}

func TestAnInterruptEndsBenchAndLeavesNothing(t *testing.T) {
	for _, after := range []time.Duration{50 * time.Millisecond, 700 * time.Millisecond, 1500 * time.Millisecond} {
		p := 0
		interruptAt(t, syscall.SIGTERM, func(command *process) {
			p = command.Process.Pid
			time.Sleep(after)
		}, "bench", "--duration", "500ms", "--values", "4", "--batch", "1")
		nothingLeft(t, p)
	}
}

func nothingLeft(t *testing.T, pid int) {
	t.Helper()
	if left, _ := filepath.Glob(fmt.Sprintf("/dev/shm/villas-bench-%d-*", pid)); len(left) > 0 {
		t.Errorf("%v were left behind", left)
	}
}

// All that `make bench` does, for a moment.
func TestTheBenchmarksMeasureAllAndWriteTheirDocument(t *testing.T) {
	doc := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(doc, []byte("before\n<!-- from here: make bench -->\nold\n<!-- to here -->\nafter\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	make := []string{"make", "-s", "BUILD=" + buildDir, "RUNS=1", "MAKE=true", "bench"} // without Python's
	env := []string{"BENCH_EFFORT=0.01"}
	text := must(t, root, env, append(make, "DOC="+doc)...)

	var m measured
	results := filepath.Join(buildDir, "bench", "results.json")
	read := func() {
		b, err := os.ReadFile(results)
		if err == nil {
			m = measured{}
			err = json.Unmarshal(b, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read()
	m.trips(t, slices.Concat([]string{"polling", "signalled", "Go, polling", "Go, signalled", "ZeroMQ", "cache line"}, throughKernel)...)
	targets := 0
	for _, r := range m.Results {
		if r.Target > 0 {
			targets++
		}
	}
	if targets != 19 {
		t.Errorf("%d of the 19 targets were looked at", targets)
	}
	for _, what := range []string{"sample_alloc + sample_put, 256", "one way in 8s, 1024 values", "push + pull, queue of 1048576", "alloc + put in 8s, 8 processes"} {
		m.of(t, what, "this library")
		m.of(t, what, "C")
		m.of(t, what, "C, our tricks")
	}
	b, err := os.ReadFile(doc)
	if s := string(b); err != nil || !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "\nafter\n") || strings.Contains(s, "old") ||
		!strings.Contains(s, "| sample_alloc + sample_put, 256 | ") {
		t.Errorf("%v: the document is\n%s", err, b)
	}
	svg, err := os.Open(strings.TrimSuffix(doc, ".md") + ".svg")
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	for d := xml.NewDecoder(svg); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the chart: %v", err)
		}
	}
	if !strings.Contains(text, "round trip, polling, p50") {
		t.Errorf("it printed\n%s", text)
	}

	// Another library in the yardstick's place, this one itself.
	must(t, root, env, append(make, "ONLY=calls", "AGAINST="+library())...)
	read()
	m.of(t, "queue_push + queue_pull, 1", filepath.Base(library()))
}
