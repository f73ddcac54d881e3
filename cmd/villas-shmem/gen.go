// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/internal/pace"
	"github.com/villas-ext/villas-ext/node"
	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/shmem"
	"github.com/villas-ext/villas-ext/signal"
)

func genCommand() *cobra.Command {
	var (
		g                      signalOptions
		o                      genOptions
		rate                   float64
		start, out, formatName string
		fast                   bool
		lag                    time.Duration
		region                 string
		config                 shmem.Config
	)
	c := &cobra.Command{
		Use:   "gen",
		Short: "Generate samples: sine, square, triangle, ramp, random walk, counter",
		Long: `Generates samples at a rate, on standard output, or straight into a region of which it is the node.

Sample n is due n periods after the first, by the monotonic clock; n alone says what its values, its time and its sequence number
are. What cannot be put out in time is caught up with; a sample that is later than --lag is left out and counted as missed.

Options of signals take lists: signal i has the i-th element, short lists begin anew. There are as many signals as the longest
list has elements, or as --values says. A signal is offset + amplitude * shape + noise; the shapes are, over a period,

  sine      0, 1, 0, -1        ramp      0 to 1
  square    -1, then 1         counter   the number of the sample; it has no period
  triangle  1, -1, 1           random    a walk that strays by 1 in a period (standard deviation)
  mixed     random, sine, square, triangle, ramp and counter in turns

With --region it accepts programs, one after the other, and goes on with the next sample for each. What they write is counted and
put back. Samples that a program does not read in time are missed as well. With --region OWN,OTHER it is one side of a pair instead,
as pipe is, and goes on with each VILLASnode that comes.`,
		Example: `  villas-shmem gen --rate 1000 --wave sine --frequency 50 | head
  villas-shmem gen --values 3 --phase 0,-120,120 --name a,b,c --unit V --rate 1000 --limit 1000 --fast --out three.csv
  villas-shmem gen --wave mixed --noise 0.01 --seed 7 --start 0 --limit 100 --fast
  villas-shmem gen --region /villas1 --rate 1000 --wave sine
  villas-shmem gen --region /b,/a --rate 1000 --wave sine`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if !(rate > 0 && rate <= 1e9) {
				return wrongUse("--rate must be above 0 and at most 1e9, is %v", rate)
			}
			begin, err := parseStart(start)
			if err != nil {
				return err
			}
			signals, err := g.signals(cmd.Flags().Changed("values"))
			if err != nil {
				return err
			}
			x := &generation{genOptions: o, Generator: signal.NewGenerator(rate, g.seed, signals...), rate: rate, start: begin,
				values: make([]float64, len(signals))}
			if !fast {
				x.pacer = pace.New(rate, lag)
			}
			if region != "" {
				config.SampleLen = max(config.SampleLen, len(signals))
				if own, other, is := asPair(region); is {
					return x.toPair(ctx, own, other, config)
				}
				return x.toRegion(ctx, region, config)
			}
			file, f, err := openText(ctx, out, formatName, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, os.Stdout)
			if err != nil {
				return err
			}
			w := f.NewWriter(file, format.WriterOptions{Signals: g.header(len(signals))})
			return endsWith(ctx, func() error { return errors.Join(x.toText(ctx, w), file.Close()) })
		},
	}
	f := c.Flags()
	f.StringSliceVarP(&g.waves, "wave", "w", []string{"sine"}, "shapes: "+strings.Join(signal.Names(), ", "))
	f.Float64SliceVarP(&g.frequency, "frequency", "f", []float64{1}, "in Hz")
	f.Float64SliceVarP(&g.amplitude, "amplitude", "a", []float64{1}, "by which the shape is multiplied")
	f.Float64SliceVar(&g.phase, "phase", []float64{0}, "degrees by which the signal is ahead")
	f.Float64SliceVar(&g.offset, "offset", []float64{0}, "what is added to the signal")
	f.Float64SliceVar(&g.noise, "noise", []float64{0}, "white noise, its standard deviation")
	f.StringSliceVar(&g.names, "name", nil, "names of the signals, for the header (default signal0, ...)")
	f.StringSliceVar(&g.units, "unit", nil, "units of the signals, for the header")
	f.IntVarP(&g.count, "values", "v", 0, "values of a sample (default as many as the longest list has)")
	f.Uint64Var(&g.seed, "seed", 0, "of noise and random walks: the same seed, the same samples")
	f.BoolVar(&o.integers, "integers", false, "round the values to integers")
	f.Float64VarP(&rate, "rate", "r", 10, "samples a second")
	f.Uint64VarP(&o.limit, "limit", "l", 0, "end after so many samples; 0: no limit")
	f.StringVar(&start, "start", "", "time of the first sample, in seconds since 1970 or as 2006-01-02T15:04:05Z (default now)")
	f.BoolVar(&fast, "fast", false, "as fast as it goes; --rate is that of the times alone")
	f.DurationVar(&lag, "lag", time.Second, "how late a sample may be put out")
	f.StringVarP(&out, "out", "o", "-", "file to write; -: standard output")
	f.StringVar(&formatName, "format", "", "format of the output (default by its name, else villas.human)")
	f.StringVar(&region, "region", "", "create the region of this name and be its node, or of OWN,OTHER be a side")
	f.IntVar(&config.QueueLen, "queuelen", shmem.DefaultQueueLen, "of the region")
	f.IntVar(&config.SampleLen, "samplelen", shmem.DefaultSampleLen, "of the region")
	f.BoolVar(&config.Polling, "polling", false, "the readers of the region poll")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no counts at the end")
	c.RegisterFlagCompletionFunc("wave", cobra.FixedCompletions(signal.Names(), cobra.ShellCompDirectiveNoFileComp))
	completeFormats(c, "format")
	return c
}

// signalOptions are the signals as the command line has them.
type signalOptions struct {
	waves                                      []string
	frequency, amplitude, phase, offset, noise []float64
	names, units                               []string
	count                                      int
	seed                                       uint64
}

// signals makes the signals, count of them if counted.
func (g *signalOptions) signals(counted bool) (signals []signal.Signal, err error) {
	var shapes []signal.Shape
	for _, name := range g.waves {
		s, err := signal.ByName(name)
		if err != nil {
			return nil, useError{err}
		}
		shapes = append(shapes, s...)
	}
	for _, list := range [][]float64{g.frequency, g.amplitude, g.phase, g.offset, g.noise} {
		if len(list) == 0 {
			return nil, wrongUse("a list of numbers must not be empty")
		}
	}
	n := g.count
	if !counted {
		n = max(len(shapes), len(g.frequency), len(g.amplitude), len(g.phase), len(g.offset), len(g.noise), len(g.names))
	}
	if n < 0 {
		return nil, wrongUse("--values must not be negative, is %d", n)
	}
	for i := range n {
		signals = append(signals, signal.Signal{Shape: cyclic(shapes, i), Frequency: cyclic(g.frequency, i), Amplitude: cyclic(g.amplitude, i),
			Phase: cyclic(g.phase, i), Offset: cyclic(g.offset, i), Noise: cyclic(g.noise, i)})
	}
	return signals, nil
}

// cyclic is element i of a list that begins anew at its end.
func cyclic[E any](list []E, i int) (e E) {
	if len(list) == 0 {
		return e
	}
	return list[i%len(list)]
}

// header is what the header says of n signals.
func (g *signalOptions) header(n int) []format.Signal {
	header := make([]format.Signal, n)
	for i := range header {
		if i < len(g.names) {
			header[i].Name = g.names[i]
		}
		header[i].Unit = cyclic(g.units, i)
	}
	return header
}

// parseStart parses the time of the first sample.
func parseStart(s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	if sec, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(sec, 0), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, wrongUse("--start must be seconds or a time such as 2006-01-02T15:04:05Z, is %q", s)
	}
	return t, nil
}

type genOptions struct {
	limit    uint64
	integers bool
	quiet    bool
}

// A generation is a generator at work.
type generation struct {
	genOptions
	*signal.Generator
	rate  float64
	start time.Time
	pacer *pace.Pacer // nil: as fast as it goes

	number uint64 // of the next sample
	sent   uint64
	values []float64
	batch  [vectorLen]format.Record
}

// run hands records to put, which says how many it took, until the limit is
// reached or ctx or put ends.
func (g *generation) run(ctx context.Context, put func([]format.Record) (int, error)) error {
	for g.limit == 0 || g.number < g.limit {
		due, err := len(g.batch), ctx.Err()
		if g.pacer != nil {
			if due, err = g.pacer.Wait(ctx); g.pacer.Next() != g.number {
				if g.number = g.pacer.Next(); g.limit > 0 { // some were missed
					g.number = min(g.number, g.limit)
				}
				continue
			}
		}
		if err != nil {
			return err
		}
		records := g.batch[:min(due, len(g.batch))]
		if g.limit > 0 {
			records = records[:min(uint64(len(records)), g.limit-g.number)]
		}
		for i := range records {
			g.fill(g.number+uint64(i), &records[i])
		}
		n, err := put(records)
		g.number += uint64(n)
		g.sent += uint64(n)
		if g.pacer != nil {
			g.pacer.Done(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill makes rec sample n.
func (g *generation) fill(n uint64, rec *format.Record) {
	g.At(n, g.values)
	seconds := math.Floor(float64(n) / g.rate)
	rest := math.FMA(-seconds, g.rate, float64(n)) // samples; n / rate * 1e9 would lose nanoseconds after some weeks
	origin := g.start.Add(time.Duration(math.Round(rest / g.rate * 1e9)))
	*rec = format.Record{
		Sec: origin.Unix() + int64(seconds), Nsec: int64(origin.Nanosecond()),
		Sequence: n, HasSequence: true,
		Values: rec.Values[:0],
	}
	for _, v := range g.values {
		value := format.Float(v)
		if g.integers {
			value = format.Int(value.Int64())
		}
		rec.Values = append(rec.Values, value)
	}
}

// endsWith calls write, which ends with ctx unless it stands in a system call for
// what nobody reads: then it is left there.
func endsWith(ctx context.Context, write func() error) error {
	done := make(chan error, 1)
	go func() { done <- write() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(lastWrite):
		return nil
	}
}

// missed is how many samples were left out.
func (g *generation) missed() uint64 { return g.number - g.sent }

// toText writes the samples to w.
func (g *generation) toText(ctx context.Context, w format.Writer) error {
	err := g.run(ctx, func(records []format.Record) (int, error) {
		for i := range records {
			if err := w.Write(&records[i]); err != nil {
				return i, fmt.Errorf("output: %w", err)
			}
		}
		if g.pacer == nil {
			return len(records), nil
		}
		return len(records), w.Flush()
	})
	if err == nil || err == ctx.Err() {
		if err = w.Flush(); err != nil {
			err = fmt.Errorf("output: %w", err)
		}
	}
	if n := g.missed(); n > 0 && !g.quiet {
		fmt.Fprintf(os.Stderr, "missed %d samples: they could not be put out in time\n", n)
	}
	return err
}

const (
	lastWrite = time.Second            // for what an interrupt leaves to be written
	fullPause = 200 * time.Microsecond // before the next look whether a full queue still is
	lastWait  = time.Second            // for samples to come back, from the last one that did
)

// toRegion creates the region called name and sends the samples to one program
// after the other.
func (g *generation) toRegion(ctx context.Context, name string, c shmem.Config) error {
	region, err := shmem.Create(name, c)
	if err != nil {
		return err
	}
	defer region.Close()
	end := &regionSide{end: region, node: true}
	return g.toSides(ctx, func() (side, error) { return end, region.Accept(ctx) })
}

// toPair sends the samples over a pair to one VILLASnode after the other.
func (g *generation) toPair(ctx context.Context, own, other string, c shmem.Config) error {
	o := pairOptions{Options: pair.Options{QueueLen: c.QueueLen, SampleLen: c.SampleLen, Polling: c.Polling}}
	var end *pairSide
	defer func() {
		if end != nil {
			end.Close()
		}
	}()
	return g.toSides(ctx, func() (_ side, err error) {
		if end != nil {
			end.Close()
		}
		end, err = openPair(ctx, own, other, true, o)
		return end, err
	})
}

// toSides sends the samples to one side after the other, for each of which next waits.
func (g *generation) toSides(ctx context.Context, next func() (side, error)) error {
	var (
		end      side
		back     [vectorLen]format.Record
		returned uint64
		came     int
		err      error
	)
	receive := func() (n int, err error) {
		n, err = end.Receive(ctx, back[:], false)
		returned += uint64(n)
		return n, err
	}
	for {
		if end, err = next(); err != nil {
			break
		}
		came++
		if g.pacer != nil {
			g.pacer.Resume()
		}
		err = g.run(ctx, func(records []format.Record) (int, error) {
			sent, err := end.Send(ctx, records, false)
			if err != nil {
				return sent, err
			}
			got, err := receive()
			for got == len(back) && err == nil {
				got, err = receive()
			}
			if sent == 0 {
				time.Sleep(fullPause)
			}
			return sent, err
		})
		if !node.Gone(err) {
			break
		}
	}
	if err == nil {
		for last := time.Now(); returned > 0 && returned < g.sent && time.Since(last) < lastWait && ctx.Err() == nil; time.Sleep(fullPause) {
			n, err := receive()
			if err != nil {
				break
			}
			if n > 0 {
				last = time.Now()
			}
		}
	}
	if !g.quiet {
		fmt.Fprintf(os.Stderr, "sent      %d\nreturned  %d\nmissed    %d\nprograms  %d\n", g.sent, returned, g.missed(), came)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
