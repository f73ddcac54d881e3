// SPDX-License-Identifier: Apache-2.0

// Command bench measures this library beside others: the yardstick in C, or any
// libvillas-ext.so.1, and beside what else there is to pass something to another
// process. The measuring is done by the C programs in measure/, which print a
// line a figure; this runs them, makes tables and a chart of what they print, and
// puts those into the documentation.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/villas-ext/villas-ext/internal/chart"
	"github.com/villas-ext/villas-ext/internal/measure"
)

// Columns: of the first two the ratio is taken.
const (
	ours      = "this library"
	yardstick = "C"
	tricks    = "C, our tricks"
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

// programs measure, the first three the libraries that are named to them, the
// others what else there is.
var programs = []struct {
	name, group string
	libraries   bool
}{
	{"calls", "one thread, ns an element (copy: a call)", true},
	{"pairs", "two processes, ns there and back, or one way a sample", true},
	{"growth", "growth, ns an element or a sample, on each CPU", true},
	{"others", "", false},
	{"zeromq", "", false},
}

// figures are what the programs print, a line each: what, column (the number of a
// library, or a name), value. Turns that follow each other are compared.
type figures struct {
	order []string
	by    map[string]map[string][]float64 // what, column: turns
}

func (f *figures) read(r io.Reader, libraries []string) error {
	for s := bufio.NewScanner(r); s.Scan(); {
		field := strings.Split(s.Text(), "\t")
		if len(field) != 3 {
			return fmt.Errorf("not a figure: %q", s.Text())
		}
		what, column := field[0], field[1]
		if n, err := strconv.Atoi(column); err == nil && n < len(libraries) {
			column = libraries[n]
		}
		value, err := strconv.ParseFloat(field[2], 64)
		if err != nil {
			return fmt.Errorf("not a figure: %q", s.Text())
		}
		if f.by[what] == nil {
			f.order = append(f.order, what)
			f.by[what] = map[string][]float64{}
		}
		f.by[what][column] = append(f.by[what][column], value)
	}
	return nil
}

// ratio is the median of the ratios of turns that follow each other.
func ratio(a, b []float64) float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		r = append(r, a[i]/b[i])
	}
	return measure.Over(r).Median
}

// series are the medians of each run.
type series struct {
	order   []string
	medians map[string]map[string][]float64 // what, column: runs
	ratios  map[string][]float64
}

func (s *series) add(f figures, columns []string) {
	for _, what := range f.order {
		if s.medians[what] == nil {
			s.order = append(s.order, what)
			s.medians[what] = map[string][]float64{}
		}
		for column, turns := range f.by[what] {
			s.medians[what][column] = append(s.medians[what][column], measure.Over(turns).Median)
		}
		if b := f.by[what][columns[1]]; b != nil {
			s.ratios[what] = append(s.ratios[what], ratio(f.by[what][columns[0]], b))
		}
	}
}

func (s *series) table(group string, columns []string) measure.Table {
	t := measure.Table{Columns: columns}
	for _, what := range s.order {
		r := measure.Result{Group: group, What: what, By: map[string]measure.Spread{}}
		for column, runs := range s.medians[what] {
			r.By[column] = measure.Over(runs)
		}
		if ratios := s.ratios[what]; ratios != nil {
			ratio := measure.Over(ratios)
			r.Ratio = &ratio
			r.Target = targets[what]
		}
		t.Results = append(t.Results, r)
	}
	return t
}

type bench struct {
	folder    string
	runs      int
	columns   []string // names of the libraries
	libraries []string // their files
}

// run has each program measure b.runs times, in turn, so that what disturbs the
// machine for a while does not fall on one of them alone.
func (b *bench) run() (map[string]*series, error) {
	all := map[string]*series{}
	for i := range b.runs {
		for _, p := range programs {
			path := filepath.Join(b.folder, p.name)
			if _, err := os.Stat(path); err != nil {
				continue // make says what is missing
			}
			fmt.Fprintf(os.Stderr, "\rrun %d of %d: %-10s", i+1, b.runs, p.name)
			cmd := exec.Command(path)
			if p.libraries {
				cmd.Args = append(cmd.Args, b.libraries...)
			}
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			f := figures{by: map[string]map[string][]float64{}}
			if err == nil {
				err = f.read(bytes.NewReader(out), b.columns)
			}
			if err != nil {
				return nil, fmt.Errorf("%v: %w", cmd, err)
			}
			if all[p.name] == nil {
				all[p.name] = &series{medians: map[string]map[string][]float64{}, ratios: map[string][]float64{}}
			}
			all[p.name].add(f, b.columns)
		}
	}
	fmt.Fprintf(os.Stderr, "\r%30s\r", "")
	return all, nil
}

// besides is a table of this library beside what else there is.
func besides(all map[string]*series) measure.Table {
	const polling, signalled = "polling", "signalled"
	t := measure.Table{Columns: []string{polling, signalled}}
	medians := map[string]map[string][]float64{}
	put := func(what, column string, runs []float64) {
		if medians[what] == nil {
			medians[what] = map[string][]float64{}
		}
		medians[what][column] = runs
		if !slices.Contains(t.Columns, column) {
			t.Columns = append(t.Columns, column)
		}
	}
	var order []string
	for _, name := range []string{"others", "zeromq"} {
		if all[name] == nil {
			continue
		}
		for _, what := range all[name].order {
			if !slices.Contains(order, what) {
				order = append(order, what)
			}
			for column, runs := range all[name].medians[what] {
				put(what, column, runs)
			}
		}
	}
	for what, by := range all["pairs"].medians {
		switch s := strings.SplitN(what, ", ", 3); {
		case len(s) == 3 && s[1] == polling, len(s) == 3 && s[1] == signalled && !strings.HasPrefix(s[2], "no spin"):
			put(s[0]+", "+s[2], s[1], by[ours])
		case slices.Contains(order, what):
			put(what, polling, by[ours])
		}
	}
	for _, what := range order {
		r := measure.Result{Group: "ns, or ns a sample", What: what, By: map[string]measure.Spread{}}
		for column, runs := range medians[what] {
			r.By[column] = measure.Over(runs)
		}
		t.Results = append(t.Results, r)
	}
	return t
}

// tables writes all tables, and what each is, with the function that writes one.
func tables(w io.Writer, m measure.Machine, all []measure.Table, write func(*measure.Table, io.Writer)) {
	fmt.Fprintf(w, "%v.\n\n", m)
	for i := range all {
		write(&all[i], w)
	}
}

// generated is the part of the documentation that comes from here.
var generated = regexp.MustCompile(`(?s)(<!-- from here: make bench -->\n).*(<!-- to here -->)`)

func (b *bench) document(path, svg string, text []byte, draw func(io.Writer)) error {
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !generated.Match(doc) {
		return fmt.Errorf("%s: there is no place for the tables", path)
	}
	doc = generated.ReplaceAllFunc(doc, func(old []byte) []byte {
		m := generated.FindSubmatch(old)
		return slices.Concat(m[1], []byte("\n"), text, m[2])
	})
	if err := os.WriteFile(path, doc, 0o666); err != nil {
		return err
	}
	out, err := os.Create(svg)
	if err != nil {
		return err
	}
	draw(out)
	return out.Close()
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	b := bench{columns: []string{ours, yardstick, tricks}}
	flag.StringVar(&b.folder, "programs", "build/bench", "folder with the measuring programs, libyardstick.so and libtricks.so")
	library := flag.String("library", "build/libvillas-ext.so.1", "library to measure")
	against := flag.String("against", "", "libvillas-ext.so.1 to measure in place of the yardstick")
	doc := flag.String("doc", "", "Markdown file to put the tables into; beside it goes a chart of the same name")
	flag.IntVar(&b.runs, "runs", 5, "runs of which the medians are taken")
	flag.Parse()
	b.libraries = []string{*library, filepath.Join(b.folder, "libyardstick.so"), filepath.Join(b.folder, "libtricks.so")}
	if *against != "" {
		b.columns, b.libraries = []string{ours, filepath.Base(*against)}, []string{*library, *against}
	}
	if err := b.report(*doc); err != nil {
		log.Fatal(err)
	}
}

func (b *bench) report(doc string) error {
	m := measure.ThisMachine()
	measured, err := b.run()
	if err != nil {
		return err
	}
	var all []measure.Table
	for _, p := range programs {
		if p.libraries && measured[p.name] != nil {
			all = append(all, measured[p.name].table(p.group, b.columns))
		}
	}
	beside := besides(measured)
	all = slices.Insert(all, 2, beside)
	tables(os.Stdout, m, all, (*measure.Table).WriteText)
	out, err := os.Create(filepath.Join(b.folder, "results.json"))
	if err != nil {
		return err
	}
	defer out.Close()
	if err := measure.WriteJSON(out, m, all...); err != nil || doc == "" {
		return err
	}
	var text bytes.Buffer
	tables(&text, m, all, (*measure.Table).WriteMarkdown)
	svg := strings.TrimSuffix(doc, filepath.Ext(doc)) + ".svg"
	return b.document(doc, svg, text.Bytes(), func(w io.Writer) { draw(w, all, beside) })
}

// draw draws the ratios that have a target, and the round trips.
func draw(w io.Writer, all []measure.Table, beside measure.Table) {
	ratios := chart.Bars{Title: "time of this library / time of the same in C, and the target", From: 1}
	for _, t := range all {
		for _, r := range t.Results {
			if r.Target != 0 {
				ratios.Bars = append(ratios.Bars, chart.Bar{Name: r.What, Value: r.Ratio.Median, Limit: r.Target})
			}
		}
	}
	trips := chart.Bars{Title: "there and back between two processes, median in ns"}
	for _, column := range beside.Columns {
		name := column
		if column == beside.Columns[0] || column == beside.Columns[1] {
			name = "this library, " + column
		}
		if s, ok := beside.Results[0].By[column]; ok {
			trips.Bars = append(trips.Bars, chart.Bar{Name: name, Value: s.Median})
		}
	}
	chart.DrawBars(w, 900, ratios, trips)
}
