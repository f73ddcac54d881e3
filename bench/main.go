// SPDX-License-Identifier: Apache-2.0

// Command bench measures this library beside others: the yardstick in C, or any
// libvillas-ext.so.1, and beside what else there is to pass something to another
// process. C is measured by the programs in measure/, which print a line a figure,
// Go by this one; it makes tables and a chart of all that, and puts them into the
// documentation.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/villas-ext/villas-ext/internal/between"
	"github.com/villas-ext/villas-ext/internal/chart"
	"github.com/villas-ext/villas-ext/internal/measure"
	"golang.org/x/sys/unix"
)

// Columns of the libraries: of the first two the ratio is taken.
const (
	ours      = "this library"
	yardstick = "C"
	tricks    = "C, our tricks"
	inGo      = "in Go"
)

// targets of the ratio.
var targets = map[string]float64{
	"sample_alloc + sample_put, 1":         1.6,
	"sample_alloc + sample_put_many, 64":   0.7,
	"sample_copy, 64 values":               1.25,
	"sample_copy, 1024 values":             1.25,
	"queue_push + queue_pull, 1":           2.5,
	"queue_push_many + queue_pull_many, 4": 1, "queue_push_many + queue_pull_many, 64": 0.6,
	"read + process + write + put, 1": 1.5, "read + process + write + put, 8": 1, "read + process + write + put, 64": 0.8,
	"signalled write, nobody sleeps, 1": 0.7,
	"round trip, polling, p50":          1.1, "round trip, polling, p99": 1.1,
	"round trip, signalled, p50": 0.2, "round trip, signalled, no spin, p50": 1.05,
	"one way in 64s, 4 values": 0.7,
}

// goTargets are those of Go to this library from C.
var goTargets = map[string]float64{
	"read + process + write + put, 1": 1.2, "read + process + write + put, 8": 1.2, "read + process + write + put, 64": 1.2,
}

// programs in C measure the libraries that are named to them, or something else.
var programs = []struct {
	name, group string // of the table of libraries
	comes       string // what to do about one that is missing
}{
	{"calls", "one thread, ns an element (copy: a call)", ""},
	{"pairs", "two processes, ns there and back, or one way a sample", ""},
	{"growth", "growth, ns an element or a sample, on each CPU", ""},
	{"cacheline", "", ""},
	{"zeromq", "", "apt-get install libzmq3-dev"},
}

type bench struct {
	folder    string
	runs      int
	only      string   // one of the programs; empty: all there is
	columns   []string // names of the libraries
	libraries []string // their files

	of      map[string]*measure.Series // program
	calls   measure.Series             // in Go and of this library
	between measure.Series             // columns of the package
	missing []string
}

// run measures all b.runs times, in turn, so that what disturbs the machine for a
// while does not fall on one of them alone.
func (b *bench) run(ctx context.Context) error {
	defer fmt.Fprint(os.Stderr, "\r\x1b[K")
	b.of = map[string]*measure.Series{}
	for i := range b.runs {
		for _, p := range programs {
			if b.only != "" && p.name != b.only {
				continue
			}
			fmt.Fprintf(os.Stderr, "\r\x1b[Krun %d of %d: %s ", i+1, b.runs, p.name)
			path := filepath.Join(b.folder, p.name)
			if _, err := os.Stat(path); err != nil && p.group == "" {
				b.miss("%s: %s", p.name, p.comes)
				continue
			}
			figures, err := b.runProgram(ctx, path, p.group != "")
			switch {
			case err != nil && (ctx.Err() != nil || p.group != ""):
				return fmt.Errorf("%s: %w", p.name, err)
			case err != nil:
				b.miss("%s: %v", p.name, err)
				continue
			}
			if b.of[p.name] == nil {
				b.of[p.name] = new(measure.Series)
			}
			b.of[p.name].AddTurns(figures, b.columns)
			if p.name == "calls" {
				if err := b.runGo(ctx, figures); err != nil {
					return fmt.Errorf("calls in Go: %w", err)
				}
			}
		}
		if b.only != "" {
			continue
		}
		fmt.Fprintf(os.Stderr, "\r\x1b[Krun %d of %d: in Go ", i+1, b.runs)
		for _, column := range between.Columns {
			err := between.Measure(ctx, column, between.Options{
				Values: values, Batches: batches, Duration: time.Duration(effort() * float64(100*time.Millisecond)), CPUs: between.CPUs(),
			}, func(what string, figure float64) { b.between.Add(what, column, figure) })
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				b.miss("%v", err)
			}
		}
	}
	return nil
}

// Of the streams, as in measure/pairs.c.
var values, batches = []int{4, 64, 1024}, []int{1, 8, 64}

// effort is how long to measure, 1 being for figures that count; measure/library.h
// knows it too.
func effort() float64 {
	if e, err := strconv.ParseFloat(os.Getenv("BENCH_EFFORT"), 64); err == nil {
		return e
	}
	return 1
}

// miss notes that something is not measured.
func (b *bench) miss(format string, args ...any) {
	if m := fmt.Sprintf(format, args...); !slices.Contains(b.missing, m) {
		b.missing = append(b.missing, m)
	}
}

// runProgram returns the figures that a program prints, a line each: what, column
// (the number of a library, or a name), figure. It takes what the program leaves
// when it is interrupted, or fails, out of shared memory.
func (b *bench) runProgram(ctx context.Context, path string, libraries bool) (*measure.Series, error) {
	cmd := exec.CommandContext(ctx, path)
	if libraries {
		cmd.Args = append(cmd.Args, b.libraries...)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL} // its children end with it
	err := cmd.Run()
	if cmd.Process != nil {
		left, _ := filepath.Glob(fmt.Sprintf("/dev/shm/villas-bench-%d-*", cmd.Process.Pid))
		for _, object := range left {
			os.Remove(object)
		}
	}
	if err != nil {
		return nil, err
	}
	figures := new(measure.Series)
	for s := bufio.NewScanner(&out); s.Scan(); {
		field := strings.Split(s.Text(), "\t")
		if len(field) != 3 {
			return nil, fmt.Errorf("not a figure: %q", s.Text())
		}
		if n, err := strconv.Atoi(field[1]); err == nil && n < len(b.columns) {
			field[1] = b.columns[n]
		}
		figure, err := strconv.ParseFloat(field[2], 64)
		if err != nil {
			return nil, fmt.Errorf("not a figure: %q", s.Text())
		}
		figures.Add(field[0], field[1], figure)
	}
	return figures, nil
}

// runGo has the benchmarks of package shmem measure what calls measured, on the
// same CPU.
func (b *bench) runGo(ctx context.Context, calls *measure.Series) error {
	cpus := between.CPUs()
	cmd := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(cpus[1%len(cpus)]), filepath.Join(b.folder, "go.test"),
		"-test.run", "^$", "-test.bench", ".", "-test.count", "5", "-test.benchtime", fmt.Sprintf("%.5fs", 0.01*effort()))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var run measure.Series
	for _, what := range calls.What {
		// As package testing writes it, and behind it -CPUs.
		line := regexp.MustCompile(`(?m)^BenchmarkCalls/` + regexp.QuoteMeta(strings.ReplaceAll(what, " ", "_")) + `(?:-\d+)?\s+\d+\s+(\S+) ns/op`)
		var turns []float64
		for _, figure := range line.FindAllSubmatch(out, -1) {
			ns, err := strconv.ParseFloat(string(figure[1]), 64)
			if err != nil {
				return err
			}
			turns = append(turns, ns)
		}
		if len(turns) > 0 {
			run.Add(what, inGo, measure.Over(turns).Median)
			run.Add(what, ours, measure.Over(calls.Runs(what, ours)).Median)
		}
	}
	b.calls.AddTurns(&run, []string{inGo, ours})
	return nil
}

// beside is a table of this library, from C and from Go, beside what else there is.
func (b *bench) beside() measure.Table {
	var s measure.Series
	// There and back in ns, one way in millions of samples a second.
	add := func(what, column string, runs []float64) {
		for _, figure := range runs {
			if strings.HasPrefix(what, "one way") {
				figure = 1e3 / figure
			}
			s.Add(what, column, figure)
		}
	}
	pairs := b.of["pairs"]
	for _, what := range pairs.What {
		trip, polling := strings.CutPrefix(what, "round trip, polling, ")
		quantile, signalled := strings.CutPrefix(what, "round trip, signalled, ")
		switch {
		case polling:
			add("round trip, "+trip, between.Polling, pairs.Runs(what, ours))
		case signalled && !strings.HasPrefix(quantile, "no spin"):
			add("round trip, "+quantile, between.Signalled, pairs.Runs(what, ours))
		case strings.HasPrefix(what, "one way"):
			add(what, between.Polling, pairs.Runs(what, ours))
		}
	}
	columns := []string{between.Polling, between.Signalled}
	for _, column := range between.Columns {
		name := column
		switch column {
		case between.NoSpin:
			continue
		case between.Polling, between.Signalled:
			name = "Go, " + column
		}
		columns = append(columns, name)
		for _, what := range b.between.What {
			for _, figure := range b.between.Runs(what, column) {
				s.Add(what, name, figure)
			}
		}
	}
	for _, program := range []string{"zeromq", "cacheline"} {
		name := map[string]string{"zeromq": "ZeroMQ", "cacheline": "cache line"}[program]
		if of := b.of[program]; of != nil {
			columns = append(columns, name)
			for _, what := range of.What {
				add(what, name, of.Runs(what, name))
			}
		}
	}
	return s.Table(between.Units, columns, nil)
}

func main() {
	between.Second()
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	runtime.LockOSThread() // what it starts ends with this thread
	b := bench{columns: []string{ours, yardstick, tricks}}
	flag.StringVar(&b.folder, "programs", "build/bench", "folder with the measuring programs, libyardstick.so and libtricks.so")
	library := flag.String("library", "build/libvillas-ext.so.1", "library to measure")
	against := flag.String("against", "", "libvillas-ext.so.1 to measure in place of the yardstick")
	doc := flag.String("doc", "", "Markdown file to put the tables into; beside it goes a chart of the same name")
	flag.StringVar(&b.only, "only", "", "run one of the programs alone: calls, pairs or growth; the documentation stays as it is then")
	flag.IntVar(&b.runs, "runs", 5, "runs of which the medians are taken")
	flag.Parse()
	b.libraries = []string{*library, filepath.Join(b.folder, "libyardstick.so"), filepath.Join(b.folder, "libtricks.so")}
	if *against != "" {
		b.columns, b.libraries = []string{ours, filepath.Base(*against)}, []string{*library, *against}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	if err := b.report(ctx, *doc); err != nil {
		log.Fatal(err)
	}
}

// report measures, prints, and writes results.json and the documentation.
func (b *bench) report(ctx context.Context, doc string) error {
	r := measure.Report{Machine: measure.ThisMachine()}
	if err := b.run(ctx); err != nil {
		return err
	}
	r.Missing = b.missing
	for _, p := range programs {
		if p.group != "" && b.of[p.name] != nil {
			r.Tables = append(r.Tables, b.of[p.name].Table(p.group, b.columns, targets))
		}
	}
	var beside measure.Table
	if b.only == "" {
		beside = b.beside()
		r.Tables = slices.Insert(r.Tables, 2, beside, b.calls.Table("the Go API, ns an element (copy: a call)", []string{inGo, ours}, goTargets))
	}
	r.WriteText(os.Stdout)
	if err := write(filepath.Join(b.folder, "results.json"), r.WriteJSON); err != nil || doc == "" || b.only != "" {
		return err
	}
	if err := document(doc, &r); err != nil {
		return err
	}
	return write(strings.TrimSuffix(doc, filepath.Ext(doc))+".svg", func(w io.Writer) error {
		draw(w, r.Tables, beside)
		return nil
	})
}

func write(path string, content func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(content(f), f.Close())
}

// generated is the part of the documentation that comes from here.
var generated = regexp.MustCompile(`(?s)(<!-- from here: make bench -->\n).*(<!-- to here -->)`)

func document(path string, r *measure.Report) error {
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := generated.FindSubmatchIndex(doc)
	if at == nil {
		return fmt.Errorf("%s: there is no place for the tables", path)
	}
	var text bytes.Buffer
	r.WriteMarkdown(&text)
	return os.WriteFile(path, slices.Concat(doc[:at[3]], []byte("\n"), text.Bytes(), doc[at[4]:]), 0o666)
}

// draw draws the ratios that have a target, and the round trips.
func draw(w io.Writer, all []measure.Table, beside measure.Table) {
	ratios := chart.Bars{Title: "time of this library / time of the same in C, and the target", From: 1}
	for _, t := range all {
		for _, r := range t.Results {
			if r.Target != 0 && t.Columns[0] == ours {
				ratios.Bars = append(ratios.Bars, chart.Bar{Name: r.What, Value: r.Ratio.Median, Limit: r.Target})
			}
		}
	}
	trips := chart.Bars{Title: "there and back between two processes, median in ns"}
	for i, column := range beside.Columns {
		name := column
		if i < 2 {
			name = "this library, " + column
		}
		if s, ok := beside.Results[0].By[column]; ok {
			trips.Bars = append(trips.Bars, chart.Bar{Name: name, Value: s.Median})
		}
	}
	chart.DrawBars(w, 900, ratios, trips)
}
