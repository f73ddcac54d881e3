// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/format"
	"golang.org/x/term"
)

// exchangeOptions are what the commands that move samples have in common.
type exchangeOptions struct {
	in, out             string
	inFormat, outFormat string
	noInput             bool
	rate                float64
	limit               uint64
	loop, drop          bool
	skip                bool
	integers, offsets   bool
	linger, deadline    time.Duration
	quiet               bool
}

func (o *exchangeOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.in, "in", "-", "file of samples to send; -: standard input")
	f.StringVar(&o.out, "out", "-", "file for the samples that come; -: standard output")
	f.StringVar(&o.inFormat, "format", "", "format of the input (default by its name, else villas.human)")
	f.StringVar(&o.outFormat, "out-format", "", "format of the output (default by its name, else villas.human)")
	f.BoolVarP(&o.noInput, "no-input", "n", false, "send nothing, receive only")
	f.Float64Var(&o.rate, "rate", 0, "samples a second to send; 0: as fast as it goes")
	f.Uint64Var(&o.limit, "limit", 0, "end after so many samples were sent, with --no-input received; 0: no limit")
	f.BoolVar(&o.loop, "loop", false, "send the input again and again; sequence and time go on")
	f.BoolVar(&o.drop, "drop", false, "drop samples that do not fit into the queue instead of waiting for room")
	f.BoolVar(&o.skip, "skip-malformed", false, "report malformed lines and go on instead of failing")
	f.BoolVar(&o.integers, "integers", false, "send integers in the text as integers; else all values are floats")
	f.BoolVar(&o.offsets, "offset", false, "write the time of receipt, as offset to the origin")
	f.DurationVar(&o.linger, "linger", o.linger, "when all is sent, how long the next sample may take to come back; negative: until the other side ends")
	f.DurationVar(&o.deadline, "deadline", 0, "samples that take longer to come back count as late (default one period of --rate)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no log, no progress and no statistics")
	completeFormats(c, "format", "out-format")
}

// completeFormats completes the names of formats for flags of c.
func completeFormats(c *cobra.Command, flags ...string) {
	for _, flag := range flags {
		c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(format.Names(), cobra.ShellCompDirectiveNoFileComp))
	}
}

func (o *exchangeOptions) logger() *slog.Logger { return logger(o.quiet) }

func logger(quiet bool) *slog.Logger {
	level := slog.LevelInfo
	if quiet {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// exchange opens input and output; the side is still to be given.
func (o *exchangeOptions) exchange(ctx context.Context) (*exchange, error) {
	if o.rate < 0 {
		return nil, wrongUse("--rate must not be negative, is %v", o.rate)
	}
	x := &exchange{stats: newStatistics(), rate: o.rate, limit: o.limit, drop: o.drop, linger: o.linger}
	x.stats.deadline = o.deadline
	if o.deadline == 0 && o.rate > 0 {
		x.stats.deadline = time.Duration(float64(time.Second) / o.rate)
	}
	if !o.noInput {
		file, f, err := openText(ctx, o.in, o.inFormat, os.O_RDONLY, os.Stdin)
		if err != nil {
			return nil, err
		}
		x.in = newSource(f, file.Name(), file)
		x.in.loop, x.in.integers = o.loop, o.integers
		if o.skip {
			x.in.r = format.Skip(x.in.r, func(err *format.SyntaxError) {
				x.stats.malformed.Add(1)
				if !o.quiet {
					fmt.Fprintln(os.Stderr, "skipped", err)
				}
			})
		}
	}
	file, f, err := openText(ctx, o.out, o.outFormat, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, os.Stdout)
	if err != nil {
		return nil, err
	}
	x.out = newSink(f, file)
	x.out.offsets = o.offsets
	return x, nil
}

// run runs the exchange, with progress on a terminal, and prints the statistics.
func (o *exchangeOptions) run(ctx context.Context, x *exchange) error {
	showing, stop := context.WithCancel(ctx)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		if !o.quiet && term.IsTerminal(int(os.Stderr.Fd())) && !(x.out.w != nil && o.out == "-" && term.IsTerminal(int(os.Stdout.Fd()))) {
			x.stats.progress(showing, os.Stderr)
		}
	}()
	err := x.run(ctx)
	stop()
	<-shown
	if !o.quiet {
		x.stats.report(os.Stderr)
	}
	return err
}
