// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/shmem"
)

// asPair tells whether name is OWN,OTHER: a pair of objects, the one that this side
// writes, then the one that it reads.
func asPair(name string) (own, other string, is bool) {
	own, other, is = strings.Cut(name, ",")
	return own, other, is
}

// kindOptions are the kinds of values on the command line.
type kindOptions struct{ inText, outText string }

func (o *kindOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.inText, "in-signals", "", "of a pair: kinds of the values that VILLASnode reads, such as 4f2i (default as they are)")
	c.Flags().StringVar(&o.outText, "out-signals", "", "of a pair: kinds of the values that VILLASnode sends (default floats)")
}

func (o *kindOptions) parse() (in, out format.Kinds, err error) {
	if in, err = format.ParseKinds(o.inText); err != nil {
		return nil, nil, wrongUse("--in-signals: %w", err)
	}
	if out, err = format.ParseKinds(o.outText); err != nil {
		return nil, nil, wrongUse("--out-signals: %w", err)
	}
	return in, out, nil
}

// pairOptions are the options of a pair on the command line.
type pairOptions struct {
	pair.Options
	kinds kindOptions
}

func (o *pairOptions) flags(c *cobra.Command, of string) {
	f := c.Flags()
	f.IntVar(&o.QueueLen, "queuelen", shmem.DefaultQueueLen, of+": elements of the queue that this side writes")
	f.IntVar(&o.SampleLen, "samplelen", shmem.DefaultSampleLen, of+": values of a sample that this side writes")
	f.BoolVar(&o.Polling, "polling", false, of+": the reader of what this side writes polls")
}

const (
	meetWithin = 10 * time.Second // for the other side of a pair to come
	readWithin = time.Second      // for it to read what was sent
)

// openPair opens a pair and waits for the other side, for ever if told.
func openPair(ctx context.Context, own, other string, wait bool, o pairOptions) (*pairSide, error) {
	in, out, err := o.kinds.parse()
	if err != nil {
		return nil, err
	}
	waiting := ctx
	if !wait {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, meetWithin)
		defer cancel()
	}
	p, err := pair.Open(waiting, own, other, o.Options)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", errPeer, err)
		}
		return nil, err
	}
	return &pairSide{end: p, in: in, out: out}, nil
}

// pairSide is one side of a pair.
type pairSide struct {
	end     *pair.Pair
	in, out format.Kinds
	using   sync.RWMutex // held while samples of the pair are in use
	to      [vectorLen]pair.Sample
	from    [vectorLen]pair.Sample
}

// Close closes the pair once the other side has read what was sent, or after a while:
// a VILLASnode forgets what is queued when this side ends. It waits for calls under
// way, whose context must have ended.
func (p *pairSide) Close() error {
	p.using.Lock()
	defer p.using.Unlock()
	for end := time.Now().Add(readWithin); p.end.Unread() > 0 && time.Now().Before(end); time.Sleep(allocPause) {
		if _, err := p.end.Write(nil); err != nil { // nobody reads it
			break
		}
	}
	return p.end.Close()
}

func (p *pairSide) Samples() int { return int(p.end.Pool().Count()) }

// alloc waits for samples of the pool if told.
func (p *pairSide) alloc(ctx context.Context, most int, wait bool) ([]pair.Sample, error) {
	for {
		if n := p.end.Alloc(p.to[:min(vectorLen, most)]); n > 0 || !wait {
			return p.to[:n], nil
		}
		if _, err := p.end.Write(nil); err != nil { // the other side is gone
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(allocPause):
		}
	}
}

// write writes samples, and puts back those that do not go.
func (p *pairSide) write(ctx context.Context, smps []pair.Sample, wait bool) (n int, err error) {
	if wait {
		n, err = p.end.WriteContext(ctx, smps)
	} else {
		n, err = p.end.Write(smps)
	}
	pair.PutAll(smps[n:])
	return n, err
}

func (p *pairSide) Send(ctx context.Context, records []format.Record, wait bool) (sent int, err error) {
	p.using.RLock()
	defer p.using.RUnlock()
	for sent < len(records) {
		smps, err := p.alloc(ctx, len(records)-sent, wait)
		if err != nil || len(smps) == 0 {
			return sent, err
		}
		for i, s := range smps {
			if err := p.store(&records[sent+i], s); err != nil {
				pair.PutAll(smps)
				return sent, err
			}
		}
		n, err := p.write(ctx, smps, wait)
		sent += n
		if err != nil || n < len(smps) {
			return sent, err
		}
	}
	return sent, nil
}

// store makes s the sample that rec describes.
func (p *pairSide) store(rec *format.Record, s pair.Sample) error {
	if len(rec.Values) > s.Cap() {
		return fmt.Errorf("a sample of %d values: there is room for %d (raise --samplelen)", len(rec.Values), s.Cap())
	}
	s.SetLen(len(rec.Values))
	for i, v := range rec.Values {
		switch p.in.Of(i, v.Kind()) {
		case format.KindFloat:
			s.SetFloat(i, v.Float64())
		case format.KindInt:
			s.SetInt(i, v.Int64())
		case format.KindBool:
			s.SetBool(i, v.Bool())
		case format.KindComplex:
			s.SetComplex(i, complex64(v.Complex128()))
		}
	}
	origin := time.Unix(rec.Sec, rec.Nsec)
	s.SetOrigin(origin)
	if rec.HasOffset {
		s.SetReceived(origin.Add(rec.Offset))
	}
	if rec.HasSequence {
		s.SetSequence(rec.Sequence)
	}
	if rec.NewFrame {
		s.SetFlags(s.Flags() | pair.NewFrame)
	}
	return nil
}

func (p *pairSide) Receive(ctx context.Context, records []format.Record, wait bool) (n int, err error) {
	p.using.RLock()
	defer p.using.RUnlock()
	smps := p.from[:min(vectorLen, len(records))]
	if wait {
		n, err = p.end.ReadContext(ctx, smps)
	} else {
		n, err = p.end.TryRead(smps)
	}
	for i, s := range smps[:n] {
		load(&records[i], s, p.out)
		s.Put()
	}
	return n, err
}

// load makes rec describe s, whose values are of these kinds.
func load(rec *format.Record, s pair.Sample, kinds format.Kinds) {
	flags := s.Flags()
	*rec = format.Record{Sequence: s.Sequence(), HasSequence: flags&pair.HasSequence != 0, NewFrame: flags&pair.NewFrame != 0,
		Values: rec.Values[:0]}
	if flags&pair.HasOrigin != 0 {
		origin := s.Origin()
		rec.Sec, rec.Nsec = origin.Unix(), int64(origin.Nanosecond())
		if flags&pair.HasReceived != 0 {
			rec.Offset, rec.HasOffset = s.Received().Sub(origin), true
		}
	}
	for i := range s.Len() {
		v := format.Float(s.Float(i))
		switch kinds.Of(i, format.KindFloat) {
		case format.KindInt:
			v = format.Int(s.Int(i))
		case format.KindBool:
			v = format.Bool(s.Bool(i))
		case format.KindComplex:
			v = format.Complex(complex128(s.Complex(i)))
		}
		rec.Values = append(rec.Values, v)
	}
}

func (p *pairSide) Echo(ctx context.Context, vector int) (int, error) {
	p.using.RLock()
	defer p.using.RUnlock()
	smps := p.from[:min(vectorLen, vector)]
	n, err := p.end.ReadContext(ctx, smps)
	if err != nil {
		return 0, err
	}
	for done := 0; done < n; {
		back, err := p.alloc(ctx, n-done, true)
		if err != nil {
			pair.PutAll(smps[done:n])
			return done, err
		}
		for i, s := range back {
			s.CopyFrom(smps[done+i])
		}
		pair.PutAll(smps[done : done+len(back)])
		k, err := p.write(ctx, back, true)
		if err != nil {
			pair.PutAll(smps[done+len(back) : n])
			return done + k, err
		}
		done += k
	}
	return n, nil
}

// pairOnlooker looks at one object of a pair, or at both.
type pairOnlooker []pairObject

type pairObject struct {
	name  string
	kinds format.Kinds    // of its values
	in    *pair.Inspector // nil: there is no such object
}

func lookAtPair(objects ...pairObject) (onlooker, error) {
	p, missing := pairOnlooker(objects), error(nil)
	for n := range p {
		o := &p[n]
		var err error
		if o.in, err = pair.NewInspector(o.name); err != nil {
			o.in, missing = nil, err
			if !errors.Is(err, os.ErrNotExist) {
				p.Close()
				return nil, err
			}
		}
	}
	if !slices.ContainsFunc(p, pairObject.there) {
		return nil, missing
	}
	return &p, nil
}

func (o pairObject) there() bool { return o.in != nil }

func (p pairOnlooker) Close() {
	for _, o := range p {
		if o.there() {
			o.in.Close()
		}
	}
}

func (p pairOnlooker) Current() bool {
	for _, o := range p {
		if o.there() {
			if !o.in.Current() {
				return false
			}
		} else if i, err := pair.NewInspector(o.name); err == nil { // it has come
			i.Close()
			return false
		}
	}
	return true
}

func (p pairOnlooker) Recent(direction int, since uint64, most int, each func(*format.Record)) (uint64, error) {
	o := p[direction]
	if !o.there() {
		return since, nil
	}
	var rec format.Record
	return o.in.Recent(since, most, func(s pair.Sample) {
		load(&rec, s, o.kinds)
		each(&rec)
	})
}

func (p pairOnlooker) Look() (*picture, error) {
	pic, summary, all := new(picture), []string(nil), []*pair.Snapshot(nil)
	fact := func(name, value string) { pic.facts = append(pic.facts, [2]string{name, value}) }
	for _, o := range p {
		if !o.there() {
			fact("object", o.name+", which is not there")
			pic.directions = append(pic.directions, direction{label: o.name})
			continue
		}
		s, err := o.in.Look()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		mode, made := "pthread", "made by a VILLASnode"
		if s.Polling {
			mode = "polling"
		}
		if s.Ours {
			made = "made by one of ours"
		}
		fact("object", fmt.Sprintf("%s, layout G (%d of 5 signs), %s, %s", s.Name, s.Signs, made, bytes(s.Size)))
		fact("access", access(s.Mode, s.UID, s.GID))
		fact("mode", mode)
		fact("samples", fmt.Sprintf("%d of up to %d values", s.Pool.Blocks, s.Pool.Values))
		fact("writer", party(s.Writer))
		fact("queue", traffic(s.Queue))
		fact("pool", poolFact(s.Pool))
		fact("mapped by", processes(s.Mappers))
		pic.directions = append(pic.directions, direction{s.Name, fill{s.Queue.Len, s.Queue.Capacity}, s.Queue.Pushed})
		pic.pool.used += s.Pool.Blocks - s.Pool.Free
		pic.pool.capacity += s.Pool.Blocks
		summary = append(summary, fmt.Sprintf("%s %s, writer %s", s.Name, mode, party(s.Writer)))
		pic.row = []string{s.Name, bytes(s.Size), mode, "writer " + party(s.Writer), "(of a pair)",
			fmt.Sprintf("%d/%d", s.Queue.Len, s.Queue.Capacity), "", fmt.Sprintf("%d/%d", s.Pool.Free, s.Pool.Blocks)}
	}
	pic.summary = strings.Join(summary, "  ")
	if pic.data = all; len(p) == 1 {
		pic.data = all[0]
	}
	return pic, nil
}
