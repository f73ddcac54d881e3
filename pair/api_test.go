// SPDX-License-Identifier: Apache-2.0

package pair_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/pair"
	"golang.org/x/sys/unix"
)

var names atomic.Int32

// objectNames are two names that no other test uses; what is left under them, or
// of their semaphores, afterwards is an error.
func objectNames(t testing.TB) (a, b string) {
	base := fmt.Sprintf("villas-test-%d-pair-%d-", os.Getpid(), names.Add(1))
	t.Cleanup(func() {
		left, _ := filepath.Glob("/dev/shm/*" + base + "*")
		for _, path := range left {
			t.Errorf("%s was left behind", path)
			os.Remove(path)
		}
	})
	return "/" + base + "a", "/" + base + "b"
}

func opened(t testing.TB, own, other string, o pair.Options) *pair.Pair {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := pair.Open(ctx, own, other, o)
	if err != nil {
		t.Error(err)
		t.FailNow()
	}
	return p
}

// both opens the two sides of a pair.
func both(t testing.TB, oa, ob pair.Options) (a, b *pair.Pair) {
	t.Helper()
	na, nb := objectNames(t)
	there := make(chan *pair.Pair)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		p, err := pair.Open(ctx, nb, na, ob)
		if err != nil {
			t.Error(err)
		}
		there <- p
	}()
	a = opened(t, na, nb, oa)
	if b = <-there; b == nil {
		t.FailNow()
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func write(t testing.TB, p *pair.Pair, values ...float64) {
	t.Helper()
	var s [1]pair.Sample
	if p.Alloc(s[:]) != 1 {
		t.Fatal("the pool is empty")
	}
	s[0].SetFloats(values)
	if n, err := p.Write(s[:]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

// read returns the first value of the next sample.
func read(t testing.TB, p *pair.Pair) float64 {
	t.Helper()
	var s [1]pair.Sample
	p.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := p.Read(s[:]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	defer s[0].Put()
	return s[0].Floats()[0]
}

func modes(t *testing.T, test func(t *testing.T, o pair.Options)) {
	for _, polling := range []bool{true, false} {
		t.Run(map[bool]string{true: "polling", false: "pthread"}[polling], func(t *testing.T) {
			test(t, pair.Options{QueueLen: 16, SampleLen: 4, Polling: polling})
		})
	}
}

func TestTwoOfOursMeetAndKnowEachOther(t *testing.T) {
	modes(t, func(t *testing.T, o pair.Options) {
		a, b := both(t, o, pair.Options{QueueLen: 5, SampleLen: 1, Polling: !o.Polling})
		if a.Legacy() || b.Legacy() || a.Polling() == o.Polling || b.Polling() != o.Polling {
			t.Errorf("legacy %v %v, polling %v %v", a.Legacy(), b.Legacy(), a.Polling(), b.Polling())
		}
		for i := range 100 {
			write(t, a, float64(i))
			write(t, b, -float64(i))
			if v, w := read(t, b), read(t, a); v != float64(i) || w != -float64(i) {
				t.Fatal(i, v, w)
			}
		}
		if a.Pool().Free() != 16 || b.Pool().Free() != 5 {
			t.Errorf("%d and %d blocks are free", a.Pool().Free(), b.Pool().Free())
		}
	})
}

func TestASampleKeepsItsFieldsAndSaysWhichItHas(t *testing.T) {
	a, b := both(t, pair.Options{}, pair.Options{})
	var s [2]pair.Sample
	a.Alloc(s[:1])
	if s[0].Flags() != 0 || s[0].Len() != 0 || s[0].Cap() < 64 {
		t.Errorf("a fresh sample has flags %#x, %d of %d values", s[0].Flags(), s[0].Len(), s[0].Cap())
	}
	s[0].SetSequence(1<<40 + 7)
	s[0].SetOrigin(time.Unix(1, 123456789))
	s[0].SetLen(4)
	if s[0].Flags() != 0x19 {
		t.Errorf("flags %#x", s[0].Flags())
	}
	s[0].SetReceived(time.Unix(2, 987654321))
	s[0].Floats()[0], s[0].Ints()[1] = -1.5, -1<<60
	s[0].SetBool(2, true)
	s[0].SetComplex(3, 1.5-2i)
	s[0].SetFlags(s[0].Flags() | pair.NewFrame)
	a.Write(s[:1])
	b.Read(s[1:])
	r := s[1]
	if r.Flags() != 0x1001b || r.Sequence() != 1<<40+7 || r.Origin() != time.Unix(1, 123456789) || r.Received() != time.Unix(2, 987654321) ||
		r.Floats()[0] != -1.5 || r.Ints()[1] != -1<<60 || !r.Bool(2) || r.Complex(3) != 1.5-2i {
		t.Errorf("%#x %d %v %v %v %v", r.Flags(), r.Sequence(), r.Origin(), r.Received(), r.Floats(), r.Ints())
	}
	var back [1]pair.Sample
	b.Alloc(back[:])
	back[0].CopyFrom(r)
	if _, err := b.Write(s[1:]); err != pair.ErrOtherPool {
		t.Errorf("a sample of the other side's pool was written: %v", err)
	}
	if r.Put() != 0 || r.Put() != -1 {
		t.Error("the sample is held by somebody")
	}
	b.Write(back[:])
	a.Read(s[:1])
	if s[0].Complex(3) != 1.5-2i || s[0].Flags() != 0x1001b {
		t.Errorf("the copy has %v, flags %#x", s[0].Complex(3), s[0].Flags())
	}
	s[0].Put()
}

func TestReadDrainsBeforeItReportsTheEnd(t *testing.T) {
	modes(t, func(t *testing.T, o pair.Options) {
		a, b := both(t, o, o)
		for i := range 3 {
			write(t, a, float64(i))
		}
		a.Close()
		for i := range 3 {
			if v := read(t, b); v != float64(i) {
				t.Fatalf("sample %d is %v", i, v)
			}
		}
		var s [1]pair.Sample
		if n, err := b.Read(s[:]); err != io.EOF {
			t.Errorf("%d, %v at the end", n, err)
		}
		b.Alloc(s[:])
		if n, err := b.Write(s[:]); err != io.EOF {
			t.Errorf("%d, %v for a write after the end", n, err)
		}
		s[0].Put()
	})
}

func TestAPairWithItselfReadsWhatItWrites(t *testing.T) {
	modes(t, func(t *testing.T, o pair.Options) {
		name, _ := objectNames(t)
		p := opened(t, name, strings.TrimPrefix(name, "/"), o)
		defer p.Close()
		for i := range 40 {
			write(t, p, float64(i))
			if v := read(t, p); v != float64(i) {
				t.Fatal(i, v)
			}
		}
	})
}

func TestOpenGivesUpInTimeAndLeavesNothing(t *testing.T) {
	a, b := objectNames(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := pair.Open(ctx, a, b, pair.Options{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "which writes "+b+" and reads "+a) {
		t.Error(err)
	}
	if d := time.Since(begun); d > 20*time.Second {
		t.Errorf("after %v", d)
	}
}

func TestTheNameOfALivingSideIsNotTaken(t *testing.T) {
	a, b := both(t, pair.Options{}, pair.Options{})
	own, other := a.Names()
	if _, err := pair.Open(t.Context(), own, other, pair.Options{}); !errors.Is(err, pair.ErrNameTaken) {
		t.Error(err)
	}
	write(t, a, 5)
	if read(t, b) != 5 {
		t.Error("the exchange was disturbed")
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	a, b := objectNames(t)
	for _, c := range []struct {
		own, other string
		o          pair.Options
		want       error
	}{
		{"", b, pair.Options{}, unix.EINVAL},
		{a, "/x/y", pair.Options{}, unix.EINVAL},
		{a, b, pair.Options{QueueLen: -1}, unix.EINVAL},
		{strings.Repeat("n", 254), b, pair.Options{}, unix.ENAMETOOLONG},
		{a, b, pair.Options{QueueLen: 1 << 30, SampleLen: 1 << 20}, unix.EINVAL},
	} {
		if _, err := pair.Open(t.Context(), c.own, c.other, c.o); !errors.Is(err, c.want) {
			t.Errorf("%q,%q: %v, want %v", c.own, c.other, err, c.want)
		}
	}
}

func TestCloseEndsWaitingCalls(t *testing.T) {
	modes(t, func(t *testing.T, o pair.Options) {
		a, _ := both(t, o, o)
		ended := make(chan error)
		go func() {
			var s [1]pair.Sample
			_, err := a.Read(s[:])
			ended <- err
		}()
		time.Sleep(20 * time.Millisecond)
		a.Close()
		if err := <-ended; err != os.ErrClosed {
			t.Error(err)
		}
		if err := a.Close(); err != os.ErrClosed {
			t.Error("closed twice:", err)
		}
		if a.Alloc(make([]pair.Sample, 1)) != 0 {
			t.Error("allocated after close")
		}
	})
}

func TestReadEndsWithDeadlineAndContext(t *testing.T) {
	modes(t, func(t *testing.T, o pair.Options) {
		a, _ := both(t, o, o)
		var s [1]pair.Sample
		a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := a.Read(s[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		a.SetReadDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := a.ReadContext(ctx, s[:]); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if n, err := a.TryRead(s[:]); n != 0 || err != nil {
			t.Error(n, err)
		}
	})
}
