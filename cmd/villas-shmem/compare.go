// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/internal/compare"
)

func compareCommand() *cobra.Command {
	var (
		o           compare.Options
		formats     [2]string
		first       int
		skip, quiet bool
	)
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Compare two files of samples: values, times and sequence numbers",
		Long: `Compares the samples of A with those of B, which may be of different formats; one of them may be "-", standard input.

Values may differ by --abs plus --rel times the larger of their magnitudes, origins by --time. Sequence numbers are compared where
both samples have one, offsets are not. The first differences are told with file and line, then a summary.

Exit status: 0 equal, 1 different, 2 the files could not be compared.`,
		Example: `  villas-shmem compare expected.villas got.csv
  villas-shmem compare sent.villas received.villas --float32      # after a way through shared memory
  villas-shmem compare a.villas b.villas --abs 1e-6 --time 1us --by-sequence
  villas-shmem gen --limit 100 --start 0 --fast | villas-shmem compare - expected.villas`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Abs < 0 || o.Rel < 0 || o.Time < 0 {
				return wrongUse("tolerances must not be negative")
			}
			if args[0] == "-" && args[1] == "-" {
				return wrongUse("only one of the files can be standard input")
			}
			var sides [2]*compare.Side
			for i, path := range args {
				r, file, err := openSamples(cmd.Context(), path, formats[i], skip)
				if err != nil {
					return useError{err}
				}
				defer file.Close()
				sides[i] = &compare.Side{Name: file.Name(), Reader: r}
			}
			out := bufio.NewWriter(os.Stdout)
			if quiet {
				out.Reset(io.Discard)
			}
			found := 0
			s, err := compare.Run(sides[0], sides[1], o, func(text string) {
				if found++; found <= first {
					fmt.Fprintln(out, text)
				} else if found == first+1 {
					fmt.Fprintln(out, "...")
				}
			})
			if err != nil {
				out.Flush()
				return useError{err}
			}
			fmt.Fprintf(out, "samples    %d and %d\ncompared   %d\ndifferent  %d\nunpaired   %d\nlargest    %.6g between values, %v between times\n",
				s.Samples[0], s.Samples[1], s.Compared, s.Different, s.Unpaired, s.Value, s.Time)
			if err := out.Flush(); err != nil && !errors.Is(err, syscall.EPIPE) { // the status matters though nobody reads on
				return fmt.Errorf("output: %w", err)
			}
			if !s.Equal() {
				return errDifferent
			}
			return nil
		},
	}
	f := c.Flags()
	f.Float64Var(&o.Abs, "abs", 0, "absolute tolerance of values")
	f.Float64Var(&o.Rel, "rel", 0, "relative tolerance of values")
	f.BoolVar(&o.Float32, "float32", false, "round values to float32 before, as samples in shared memory are")
	f.DurationVar(&o.Time, "time", 0, "tolerance of origins")
	f.BoolVar(&o.NoTime, "no-time", false, "do not compare origins")
	f.BoolVar(&o.NoSequence, "no-sequence", false, "do not compare sequence numbers")
	f.BoolVar(&o.BySequence, "by-sequence", false, "pair samples by their (ascending) sequence numbers, not by their order: some may be missing")
	f.IntVarP(&first, "first", "n", 10, "differences to tell")
	f.BoolVarP(&quiet, "quiet", "q", false, "no differences and no counts")
	f.StringVar(&formats[0], "format-a", "", "format of A (default by its name, else villas.human)")
	f.StringVar(&formats[1], "format-b", "", "format of B")
	f.BoolVar(&skip, "skip-malformed", false, "report malformed lines and go on instead of failing")
	completeFormats(c, "format-a", "format-b")
	return c
}

// errDifferent is the result of a comparison.
var errDifferent = errors.New("the samples differ")
