// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/node"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

func nodeCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "node CONFIG [NODE]",
		Short: "Send a file's samples to an external program and check what comes back",
		Example: `  villas-shmem node etc/shmem.conf --in tests/data/mixed.villas --limit 100000
  villas-shmem node etc/shmem.conf --in tests/data/mixed.villas --rate 1000 --limit 5000`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := choose(args)
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), c)
		},
	}
	f := c.Flags()
	f.StringVar(&o.in, "in", "", "file of samples in villas.human, repeated until --limit (required)")
	f.Float64Var(&o.rate, "rate", 0, "samples a second; 0: as fast as it goes")
	f.IntVar(&o.limit, "limit", 0, "samples to send; 0: the file once")
	f.DurationVar(&o.patience, "patience", 10*time.Second, "how long to wait for a sample to come back")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no log, the results only")
	c.MarkFlagRequired("in")
	return c
}

// choose loads the configuration and picks the node that args name, or the only one.
func choose(args []string) (node.Config, error) {
	file, err := node.Load(args[0])
	if err != nil {
		return node.Config{}, err
	}
	nodes := file.Nodes
	if len(args) == 1 {
		if len(nodes) > 1 {
			return node.Config{}, fmt.Errorf("%s: there are %d shmem nodes: name one behind the file", args[0], len(nodes))
		}
		return nodes[0], nil
	}
	for _, n := range nodes {
		if n.Node == args[1] {
			return n, nil
		}
	}
	return node.Config{}, fmt.Errorf("%s: there is no shmem node %q", args[0], args[1])
}

type options struct {
	in       string
	rate     float64
	limit    int
	patience time.Duration
	quiet    bool
}

// load reads all samples of the file.
func (o *options) load() (records []format.Record, err error) {
	f, err := os.Open(o.in)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for r := format.Human.NewReader(o.in, f); ; {
		var rec format.Record
		if err := r.Read(&rec); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s: there are no samples in it", o.in)
	}
	return records, nil
}

func (o *options) run(ctx context.Context, c node.Config) error {
	level := slog.LevelInfo
	if o.quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	records, err := o.load()
	if err != nil {
		return err
	}
	for i, r := range records {
		if len(r.Values) > c.SampleLen {
			return fmt.Errorf("%s: sample %d has %d values, samplelen is %d: raise it", o.in, i+1, len(r.Values), c.SampleLen)
		}
	}
	n, err := node.Start(ctx, c, log)
	if err != nil {
		return err
	}
	defer n.Stop()
	x := &exchange{n: n, records: records, total: o.limit, options: o, latency: hdrhistogram.New(1, int64(time.Minute), 3)}
	if x.total <= 0 {
		x.total = len(records)
	}
	x.window = min(c.QueueLen, 64)
	x.sentAt = make([]time.Time, x.window)
	start := time.Now()
	err = x.run(ctx)
	x.report(time.Since(start))
	if err == nil && x.bad > 0 {
		err = fmt.Errorf("%d samples came back wrong", x.bad)
	}
	return err
}

// An exchange sends samples round and checks them. At most window are on the way,
// so sample i's time of departure is kept at i modulo window.
type exchange struct {
	n       *node.Node
	records []format.Record
	total   int
	options *options
	window  int
	sentAt  []time.Time
	latency *hdrhistogram.Histogram // ns

	sent, received, bad int
}

func (x *exchange) record(i int) *format.Record { return &x.records[i%len(x.records)] }

func (x *exchange) run(ctx context.Context) error {
	var smps [64]sample.Sample
	start := time.Now()
	for x.received < x.total {
		due := x.total
		if x.options.rate > 0 {
			due = min(due, 1+int(time.Since(start).Seconds()*x.options.rate))
		}
		if k := min(due-x.sent, x.window-(x.sent-x.received), len(smps)); k > 0 {
			if err := x.send(smps[:k]); err != nil {
				return err
			}
		}
		k, err := x.receive(ctx, smps[:], start)
		if err != nil {
			return err
		}
		x.check(smps[:k])
	}
	return nil
}

// receive waits for samples, but not past the moment when the next is due.
func (x *exchange) receive(ctx context.Context, smps []sample.Sample, start time.Time) (int, error) {
	wait := time.Now().Add(x.options.patience)
	paced := x.options.rate > 0 && x.sent < x.total
	if paced {
		wait = start.Add(time.Duration(float64(x.sent) / x.options.rate * 1e9))
	}
	x.n.SetReadDeadline(wait)
	k, err := x.n.ReadContext(ctx, smps)
	switch {
	case err == nil:
		return k, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && paced:
		return 0, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, fmt.Errorf("%w: nothing came back for %v (%d of %d samples are missing)", errPeer, x.options.patience, x.sent-x.received, x.sent)
	case errors.Is(err, io.EOF) || errors.Is(err, shmem.ErrPeerDied):
		return 0, fmt.Errorf("%w: %d of %d samples came back", errPeer, x.received, x.sent)
	}
	return 0, err
}

func (x *exchange) send(smps []sample.Sample) error {
	have := x.n.Alloc(smps)
	now := time.Now()
	for i, s := range smps[:have] {
		number := x.sent + i
		r := x.record(number)
		s.SetSequence(int32(number))
		s.SetLen(len(r.Values))
		for j, v := range r.Values {
			s.SetFloat(j, v.Float64())
		}
		s.SetOrigin(time.Unix(r.Sec, r.Nsec))
		s.SetReceived(now)
		s.SetSent(now)
		x.sentAt[number%x.window] = now
	}
	done, err := x.n.Write(smps[:have])
	sample.PutAll(smps[max(done, 0):have])
	x.sent += done
	if errors.Is(err, io.EOF) || errors.Is(err, shmem.ErrPeerDied) {
		return fmt.Errorf("%w: %d of %d samples came back", errPeer, x.received, x.sent)
	}
	return err
}

func (x *exchange) check(smps []sample.Sample) {
	now := time.Now()
	for _, s := range smps {
		r := x.record(x.received)
		right := s.Sequence() == int32(x.received) && s.Len() == len(r.Values) && s.Origin().Equal(time.Unix(r.Sec, r.Nsec))
		for j := 0; right && j < len(r.Values); j++ {
			right = s.Values()[j] == float32(r.Values[j].Float64())
		}
		if !right {
			x.bad++
		}
		x.latency.RecordValue(int64(now.Sub(x.sentAt[x.received%x.window])))
		x.received++
	}
	sample.PutAll(smps)
}

func (x *exchange) report(took time.Duration) {
	us := func(q float64) float64 { return float64(x.latency.ValueAtQuantile(q)) / 1e3 }
	fmt.Printf("sent      %d\nreceived  %d\nwrong     %d\nlost      %d\n", x.sent, x.received, x.bad, x.sent-x.received)
	fmt.Printf("time      %.3f s\nrate      %.0f samples/s\n", took.Seconds(), float64(x.received)/took.Seconds())
	fmt.Printf("latency   p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us (node to program and back)\n",
		us(50), us(99), us(99.9), float64(x.latency.Max())/1e3)
}
