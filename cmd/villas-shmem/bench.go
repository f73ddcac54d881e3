// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/internal/between"
	"github.com/villas-ext/villas-ext/internal/measure"
	"golang.org/x/term"
)

func benchCommand() *cobra.Command {
	o := between.Options{Duration: 100 * time.Millisecond, Values: []int{4, 64, 1024}, Batches: []int{1, 8, 64}}
	runs, unbound, asJSON := 3, false, false
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure what passing samples to another process takes on this machine",
		Long: `Passes samples between two processes, in polling mode, in signalled mode with the spin before a sleep as it is set
(VILLAS_EXT_SPIN) and without one, and beside that through a pipe, a Unix socket and a POSIX message queue: there and back,
and one way as fast as it goes. Both processes use the Go API and are bound to a CPU each.

Figures are medians of --runs; there and back in nanoseconds, with 4 values, one way in millions of samples a second. On a
machine with other work to do look at --json, which has the lowest and the highest of the runs too.`,
		Example: `  villas-shmem bench
  villas-shmem bench --values 16 --batch 1,16 --cpus 2,3 --duration 1s --json
  taskset -c 0 villas-shmem bench                        # both on one CPU`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkBench(&o, runs); err != nil {
				return err
			}
			if unbound {
				o.CPUs = nil
			} else if len(o.CPUs) == 0 {
				o.CPUs = between.CPUs()
			}
			r, err := benchReport(cmd.Context(), o, runs)
			switch {
			case err != nil:
				return err
			case asJSON:
				return r.WriteJSON(os.Stdout)
			}
			r.WriteText(os.Stdout)
			return nil
		},
	}
	f := c.Flags()
	f.IntSliceVar(&o.Values, "values", o.Values, "values of a sample, for one way")
	f.IntSliceVar(&o.Batches, "batch", o.Batches, "samples to pass at once, for one way")
	f.DurationVar(&o.Duration, "duration", o.Duration, "time that each measurement takes")
	f.IntSliceVar(&o.CPUs, "cpus", nil, "CPUs to bind the two processes to (default the first two that may be used)")
	f.BoolVar(&unbound, "unbound", false, "bind them to none")
	f.IntVar(&runs, "runs", runs, "runs of which the medians are taken")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagsMutuallyExclusive("cpus", "unbound")
	return c
}

func checkBench(o *between.Options, runs int) error {
	outside := func(what string, numbers []int, low, high int) error {
		for _, n := range numbers {
			if n < low || n > high {
				return wrongUse("%s must be %d to %d, is %d", what, low, high, n)
			}
		}
		return nil
	}
	for _, err := range []error{
		outside("--values", o.Values, 1, 1<<20), outside("--batch", o.Batches, 1, 1024), outside("--runs", []int{runs}, 1, 1000),
	} {
		if err != nil {
			return err
		}
	}
	if o.Duration < time.Millisecond || o.Duration > time.Hour {
		return wrongUse("--duration must be 1ms to 1h, is %v", o.Duration)
	}
	allowed := between.CPUs()
	for _, cpu := range o.CPUs {
		if !slices.Contains(allowed, cpu) {
			return wrongUse("--cpus: there is no CPU %d for this process, only %v", cpu, allowed)
		}
	}
	return nil
}

// benchReport measures, with progress on a terminal.
func benchReport(ctx context.Context, o between.Options, runs int) (*measure.Report, error) {
	r := &measure.Report{Machine: measure.ThisMachine()}
	var s measure.Series
	showing := term.IsTerminal(int(os.Stderr.Fd()))
	for run := range runs {
		for _, column := range between.Columns {
			if showing {
				fmt.Fprintf(os.Stderr, "\r\x1b[Krun %d of %d: %s ", run+1, runs, column)
			}
			err := between.Measure(ctx, column, o, func(what string, figure float64) { s.Add(what, column, figure) })
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil && !slices.Contains(r.Missing, err.Error()) {
				r.Missing = append(r.Missing, err.Error())
			}
		}
	}
	if showing {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	r.Tables = []measure.Table{s.Table(between.Units, between.Columns, nil)}
	return r, nil
}
