// SPDX-License-Identifier: Apache-2.0

// Package compare tells where two streams of samples differ.
package compare

import (
	"fmt"
	"io"
	"math"
	"math/cmplx"
	"time"

	"github.com/villas-ext/villas-ext/format"
)

// Options say what counts as equal. The zero value is exact.
type Options struct {
	Abs, Rel   float64       // values may differ by Abs + Rel * the larger magnitude
	Time       time.Duration // origins may differ by so much
	Float32    bool          // round values to float32 first, as samples in shared memory hold them
	NoTime     bool          // origins do not count
	NoSequence bool          // sequence numbers do not count
	BySequence bool          // pair samples by their sequence numbers, which ascend, instead of by their order
}

// A Side is one of the two streams and what errors call it.
type Side struct {
	Name string
	format.Reader
	rec  format.Record
	have bool // rec holds a sample
	n    uint64
}

// Summary is what a comparison found.
type Summary struct {
	Samples   [2]uint64     // on either side
	Compared  uint64        // pairs
	Different uint64        // of them
	Unpaired  uint64        // samples on one side only
	Value     float64       // the largest difference of two values
	Time      time.Duration // the largest difference of two origins
}

// Equal reports whether no difference was found.
func (s *Summary) Equal() bool { return s.Different == 0 && s.Unpaired == 0 }

// Run compares a and b to their ends and calls report with each difference, as
// FILE:LINE: what is different. Values of different kinds are equal if they are
// the same number, a NaN equals a NaN.
//
// An error is one of reading, or that a sample lacks the sequence number by which
// it is to be paired.
func Run(a, b *Side, o Options, report func(string)) (Summary, error) {
	c := comparison{a: a, b: b, o: o, report: report}
	for {
		if err := a.next(); err != nil {
			return c.Summary, err
		}
		if err := b.next(); err != nil {
			return c.Summary, err
		}
		if o.BySequence {
			for _, s := range []*Side{a, b} {
				if s.have && !s.rec.HasSequence {
					return c.Summary, fmt.Errorf("%s: no sequence number to pair the sample by", s.where())
				}
			}
		}
		switch {
		case !a.have && !b.have:
			c.Samples = [2]uint64{a.n, b.n}
			return c.Summary, nil
		case !b.have || a.have && o.BySequence && a.rec.Sequence < b.rec.Sequence:
			c.unpaired(a, b)
		case !a.have || o.BySequence && a.rec.Sequence > b.rec.Sequence:
			c.unpaired(b, a)
		default:
			c.pair()
			a.have, b.have = false, false
		}
	}
}

// next reads the next sample unless there is one.
func (s *Side) next() error {
	if s.have {
		return nil
	}
	switch err := s.Read(&s.rec); err {
	case nil:
		s.have = true
		s.n++
		return nil
	case io.EOF:
		return nil
	default:
		return err
	}
}

// where is the place of the sample that was read last.
func (s *Side) where() string { return fmt.Sprintf("%s:%d", s.Name, s.Line()) }

type comparison struct {
	a, b *Side
	o    Options
	Summary
	report func(string)
}

// unpaired notes that s has a sample that other lacks.
func (c *comparison) unpaired(s, other *Side) {
	s.have = false
	c.Unpaired++
	if c.o.BySequence {
		c.report(fmt.Sprintf("%s: sequence %d is missing in %s", s.where(), s.rec.Sequence, other.Name))
	} else {
		c.report(fmt.Sprintf("%s: sample %d is missing in %s", s.where(), s.n, other.Name))
	}
}

// pair compares a sample of a with one of b.
func (c *comparison) pair() {
	c.Compared++
	a, b := &c.a.rec, &c.b.rec
	equal := true
	differ := func(text string, args ...any) {
		equal = false
		c.report(c.a.where() + ": " + fmt.Sprintf(text, args...))
	}
	if !c.o.NoSequence && a.HasSequence && b.HasSequence && a.Sequence != b.Sequence {
		differ("sequence is %d, in %s %d", a.Sequence, c.b.where(), b.Sequence)
	}
	if !c.o.NoTime {
		apart := time.Unix(b.Sec, b.Nsec).Sub(time.Unix(a.Sec, a.Nsec)).Abs()
		c.Time = max(c.Time, apart)
		if apart > c.o.Time {
			differ("time is %d.%09d, in %s %d.%09d, off by %v", a.Sec, a.Nsec, c.b.where(), b.Sec, b.Nsec, apart)
		}
	}
	if len(a.Values) != len(b.Values) {
		differ("the number of values is %d, in %s %d", len(a.Values), c.b.where(), len(b.Values))
	}
	for i := range min(len(a.Values), len(b.Values)) {
		v, w := a.Values[i], b.Values[i]
		apart, ok := c.o.apart(v, w)
		c.Value = max(c.Value, apart)
		if !ok {
			differ("%s is %v, in %s %v, off by %.4g", c.a.signal(i), v, c.b.where(), w, apart)
		}
	}
	if !equal {
		c.Different++
	}
}

// signal is what value i is called.
func (s *Side) signal(i int) string {
	if names := s.Signals(); i < len(names) {
		return names[i].Name
	}
	return fmt.Sprintf("signal%d", i)
}

// apart is how far two values are apart, and whether that passes for equal.
func (o *Options) apart(v, w format.Value) (apart float64, equal bool) {
	x, y := v.Complex128(), w.Complex128()
	if o.Float32 {
		x, y = complex128(complex64(x)), complex128(complex64(y))
	}
	switch {
	case v.Kind() == format.KindInt && w.Kind() == format.KindInt && !o.Float32:
		// A float64 cannot tell large ones apart.
		low, high := min(v.Int64(), w.Int64()), max(v.Int64(), w.Int64())
		apart = float64(uint64(high) - uint64(low))
	case x == y || cmplx.IsNaN(x) && cmplx.IsNaN(y):
		return 0, true
	default:
		if apart = cmplx.Abs(x - y); math.IsNaN(apart) || math.IsInf(apart, 0) {
			return math.Inf(1), false
		}
	}
	return apart, apart <= o.Abs+o.Rel*max(cmplx.Abs(x), cmplx.Abs(y))
}
