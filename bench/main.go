// SPDX-License-Identifier: Apache-2.0

// Command bench measures this library beside others: the yardstick in C, or any
// libvillas-ext.so.1. The measuring is done by the C programs in measure/, which
// print a line a figure; this puts the runs together.
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
	"slices"
	"strconv"
	"strings"

	"github.com/villas-ext/villas-ext/internal/measure"
)

// The first two columns are compared.
const ours, yardstick, tricks = "this library", "C", "C, our tricks"

// targets of the ratio to the yardstick.
var targets = map[string]float64{
	"sample_alloc + sample_put, 1":          1.6,
	"queue_push + queue_pull, 1":            2.5,
	"queue_push_many + queue_pull_many, 4":  1,
	"queue_push_many + queue_pull_many, 64": 0.6,
	"sample_copy, values, 64":               1.25,
	"sample_copy, values, 1024":             1.25,
	"sample_alloc + sample_put_many, 64":    0.7,
	"read + process + write + put, 1":       1.5,
	"read + process + write + put, 8":       1,
	"read + process + write + put, 64":      0.8,
	"signalled write, nobody sleeps, 1":     0.7,
}

// figures is what the programs print, a line each: what, a parameter of it, the
// number of the library, the value. Turns that follow each other are compared.
type figures struct {
	order []string
	by    map[string]map[string][]float64 // what and parameter, column: turns
}

func (f *figures) read(r io.Reader, columns []string) error {
	for s := bufio.NewScanner(r); s.Scan(); {
		field := strings.Split(s.Text(), "\t")
		if len(field) != 4 {
			return fmt.Errorf("not a figure: %q", s.Text())
		}
		library, err := strconv.Atoi(field[2])
		value, err2 := strconv.ParseFloat(field[3], 64)
		if err != nil || err2 != nil || library < 0 || library >= len(columns) {
			return fmt.Errorf("not a figure: %q", s.Text())
		}
		what := field[0] + ", " + field[1]
		if f.by[what] == nil {
			f.order = append(f.order, what)
			f.by[what] = map[string][]float64{}
		}
		f.by[what][columns[library]] = append(f.by[what][columns[library]], value)
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

func run(programs string, runs int, columns, libraries []string) (t measure.Table, err error) {
	medians, ratios := map[string]map[string][]float64{}, map[string][]float64{}
	var order []string
	for i := range runs {
		fmt.Fprintf(os.Stderr, "\rrun %d of %d ", i+1, runs)
		f := figures{by: map[string]map[string][]float64{}}
		cmd := exec.Command(filepath.Join(programs, "calls"), libraries...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err == nil {
			err = f.read(bytes.NewReader(out), columns)
		}
		if err != nil {
			return t, fmt.Errorf("%v: %w", cmd, err)
		}
		order = f.order
		for what, by := range f.by {
			if medians[what] == nil {
				medians[what] = map[string][]float64{}
			}
			for column, turns := range by {
				medians[what][column] = append(medians[what][column], measure.Over(turns).Median)
			}
			ratios[what] = append(ratios[what], ratio(by[columns[0]], by[columns[1]]))
		}
	}
	fmt.Fprint(os.Stderr, "\r            \r")
	t.Columns = columns
	for _, what := range order {
		r := measure.Result{Group: "ns an element, or a call", What: what, By: map[string]measure.Spread{}, Target: targets[what]}
		for column, runs := range medians[what] {
			r.By[column] = measure.Over(runs)
		}
		s := measure.Over(ratios[what])
		r.Ratio = &s
		t.Results = append(t.Results, r)
	}
	return t, nil
}

func main() {
	log.SetFlags(0)
	programs := flag.String("programs", "build/bench", "folder with the measuring programs, libyardstick.so and libtricks.so")
	library := flag.String("library", "build/libvillas-ext.so.1", "library to measure")
	against := flag.String("against", "", "libvillas-ext.so.1 to measure in place of the yardstick")
	runs := flag.Int("runs", 5, "runs of which the medians are taken")
	flag.Parse()
	columns := []string{ours, yardstick, tricks}
	libraries := []string{*library, filepath.Join(*programs, "libyardstick.so"), filepath.Join(*programs, "libtricks.so")}
	if *against != "" {
		columns, libraries = []string{ours, *against}, slices.Concat(libraries[:1], []string{*against})
	}
	m := measure.ThisMachine()
	t, err := run(*programs, *runs, columns, libraries)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v\n\n", m)
	t.WriteText(os.Stdout)
	out, err := os.Create(filepath.Join(*programs, "results.json"))
	if err != nil {
		log.Fatal(err)
	}
	if err := measure.WriteJSON(out, m, t); err != nil {
		log.Fatal(err)
	}
}
