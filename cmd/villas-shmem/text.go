// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/villas-ext/villas-ext/format"
)

// openText opens a file of samples, "-" for a standard one, and finds its format,
// by name if one is given. A FIFO may keep it waiting until ctx ends.
func openText(ctx context.Context, path, formatName string, flag int, standard *os.File) (*os.File, format.Format, error) {
	f, known := format.ByPath(path)
	if formatName != "" {
		var err error
		if f, err = format.ByName(formatName); err != nil {
			return nil, 0, useError{err}
		}
	} else if !known {
		f = format.Human
	}
	if path == "-" {
		return standard, f, nil
	}
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		file, err := os.OpenFile(path, flag, 0o666)
		done <- opened{file, err}
	}()
	select {
	case o := <-done:
		return o.file, f, o.err
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// openSamples opens a file of samples for a command that only reads: an interrupt
// ends it at once from then on. Malformed lines are errors, or with skip reported
// and left out.
func openSamples(ctx context.Context, path, formatName string, skip bool) (format.Reader, *os.File, error) {
	file, f, err := openText(ctx, path, formatName, os.O_RDONLY, os.Stdin)
	if err != nil {
		return nil, nil, err
	}
	signal.Reset(interrupts...)
	r := f.NewReader(file.Name(), file)
	if skip {
		r = format.Skip(r, func(err *format.SyntaxError) { fmt.Fprintln(os.Stderr, "skipped", err) })
	}
	return r, file, nil
}

// A source is samples from text, once or again and again.
type source struct {
	r          format.Reader // nil when it is repeated from what was kept
	loop       bool
	integers   bool   // keep integers; else all values are floats, as most programs expect them
	beforeWait func() // called before the text is waited for

	number uint64 // of the next record, for those without a sequence number

	kept     []format.Record // with loop, of the first round
	at       int             // in kept, from the second round on
	sequence uint64          // what the round adds
	shift    time.Duration
}

// newSource reads samples in format f from r, which errors call name.
func newSource(f format.Format, name string, r io.Reader) *source {
	s := new(source)
	s.r = f.NewReader(name, beforeRead{r, s})
	return s
}

// beforeRead tells the source that its text is about to be waited for.
type beforeRead struct {
	io.Reader
	s *source
}

func (b beforeRead) Read(p []byte) (int, error) {
	if b.s.beforeWait != nil {
		b.s.beforeWait()
	}
	return b.Reader.Read(p)
}

// read makes rec the next sample; io.EOF at the end.
func (s *source) read(rec *format.Record) error {
	if s.r == nil {
		s.repeat(rec)
		return nil
	}
	err := s.r.Read(rec)
	if err == io.EOF && s.loop && len(s.kept) > 0 {
		s.r = nil
		s.begin()
		s.repeat(rec)
		return nil
	}
	if err != nil {
		return err
	}
	if !rec.HasSequence {
		rec.Sequence, rec.HasSequence = s.number, true
	}
	s.number++
	if !s.integers {
		rec.Floats()
	}
	if s.loop {
		keep := *rec
		keep.Values = slices.Clone(rec.Values)
		s.kept = append(s.kept, keep)
	}
	return nil
}

// begin begins the next round: its samples follow those of the one before in
// sequence and in time.
func (s *source) begin() {
	first, last := &s.kept[0], &s.kept[len(s.kept)-1]
	s.at = 0
	s.sequence += last.Sequence - first.Sequence + 1
	span := originOf(last).Sub(originOf(first))
	if n := len(s.kept); n > 1 {
		span += span / time.Duration(n-1)
	}
	s.shift += span
}

// repeat makes rec the next of the samples that were kept.
func (s *source) repeat(rec *format.Record) {
	if s.at == len(s.kept) {
		s.begin()
	}
	k := &s.kept[s.at]
	s.at++
	values := append(rec.Values[:0], k.Values...)
	*rec = *k
	rec.Values = values
	rec.Sequence += s.sequence
	origin := originOf(k).Add(s.shift)
	rec.Sec, rec.Nsec = origin.Unix(), int64(origin.Nanosecond())
}

func originOf(rec *format.Record) time.Time { return time.Unix(rec.Sec, rec.Nsec) }

// A sink is where samples go as text.
type sink struct {
	w       format.Writer
	offsets bool  // tell the time of receipt
	err     error // the first failure; nothing is written from then on
}

// newSink writes samples in format f to file; nothing is formatted for /dev/null.
func newSink(f format.Format, file *os.File) *sink {
	s := new(sink)
	if file.Name() != os.DevNull {
		s.w = f.NewWriter(file, format.WriterOptions{})
	}
	return s
}

func (s *sink) write(rec *format.Record) error {
	if s.w != nil && s.err == nil {
		rec.HasOffset = rec.HasOffset && s.offsets
		s.failed(s.w.Write(rec))
	}
	return s.err
}

func (s *sink) flush() error {
	if s.w != nil && s.err == nil {
		s.failed(s.w.Flush())
	}
	return s.err
}

func (s *sink) failed(err error) {
	if err != nil {
		s.err = fmt.Errorf("output: %w", err)
	}
}
