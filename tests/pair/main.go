// SPDX-License-Identifier: Apache-2.0

// Command pair plays the roles of tests/c/pair/standin.c through the Go API; what
// they are and which settings there are is told there; also timeout (milliseconds),
// vector, nolegacy=1, and again=1: open again when the other side dies. Role target
// makes all calls on a pair whose other side, tests/c/pair/hostile.c, writes anything
// anywhere, until SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/tests/stall"
)

var settings = map[string]int{"ql": 256, "sl": 8, "count": 1000, "window": 64, "timeout": 30000, "vector": 16, "nolegacy": 0, "again": 0}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o := pair.Options{Polling: true}
	for _, a := range args[3:] {
		name, value, _ := strings.Cut(a, "=")
		if _, ok := settings[name]; ok {
			settings[name], _ = strconv.Atoi(value)
		} else if name == "mode" {
			o.Polling = value != "pthread"
		} else {
			return fmt.Errorf("unknown setting %s", a)
		}
	}
	o.QueueLen, o.SampleLen, o.NoLegacy = settings["ql"], settings["sl"], settings["nolegacy"] != 0
	for {
		err := play(args[0], args[1], args[2], o)
		if settings["again"] == 0 || !errors.Is(err, pair.ErrPeerDied) {
			return err
		}
		fmt.Println("the other side died")
	}
}

func play(role, own, other string, o pair.Options) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(settings["timeout"])*time.Millisecond)
	defer cancel()
	p, err := pair.Open(ctx, own, other, o)
	if err != nil {
		return err
	}
	defer p.Close()
	roles := map[string]func(context.Context, *pair.Pair) error{"echo": echo, "send": send, "source": source, "sink": sink, "target": target}
	return roles[role](context.Background(), p)
}

func fill(s pair.Sample, i int) {
	s.SetSequence(uint64(i))
	s.SetLen(settings["sl"])
	s.SetOrigin(time.Unix(1700000000+int64(i/1000), int64(i)*7919%1000000000))
	s.SetReceived(time.Unix(1700000000+int64(i/1000), 222222222))
	s.SetFlags(flags(i))
	for j := range s.Len() {
		switch j % 4 {
		case 0:
			s.SetFloat(j, 1.5*float64(i)+float64(j))
		case 1:
			s.SetInt(j, -7000000000*int64(i+1)+int64(j))
		case 2:
			s.SetBool(j, (i+j)&1 != 0)
		case 3:
			s.SetComplex(j, complex(float32(i%1000)+0.5, float32(j)-float32(i%77)))
		}
	}
}

// flags are those of sample i: each tenth begins a frame.
func flags(i int) pair.Flags {
	f := pair.HasOrigin | pair.HasReceived | pair.HasSequence | pair.HasData
	if i%10 == 0 {
		f |= pair.NewFrame
	}
	return f
}

func right(s pair.Sample, i int) bool {
	ok := s.Sequence() == uint64(i) && s.Len() == settings["sl"] && s.Flags() == flags(i) &&
		s.Origin().Equal(time.Unix(1700000000+int64(i/1000), int64(i)*7919%1000000000)) &&
		s.Received().Equal(time.Unix(1700000000+int64(i/1000), 222222222))
	for j := 0; ok && j < s.Len(); j++ {
		switch j % 4 {
		case 0:
			ok = s.Float(j) == 1.5*float64(i)+float64(j)
		case 1:
			ok = s.Int(j) == -7000000000*int64(i+1)+int64(j)
		case 2:
			ok = s.Bool(j) == ((i+j)&1 != 0)
		case 3:
			ok = s.Complex(j) == complex(float32(i%1000)+0.5, float32(j)-float32(i%77))
		}
	}
	return ok
}

// read waits no longer than the open did.
func read(ctx context.Context, p *pair.Pair, smps []pair.Sample) (int, error) {
	p.SetReadDeadline(time.Now().Add(time.Duration(settings["timeout"]) * time.Millisecond))
	return p.ReadContext(ctx, smps)
}

func alloc(p *pair.Pair, smps []pair.Sample) {
	for have := 0; have < len(smps); {
		n := p.Alloc(smps[have:])
		if have += n; n == 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

func echo(ctx context.Context, p *pair.Pair) error {
	smps, back := make([]pair.Sample, settings["vector"]), make([]pair.Sample, settings["vector"])
	total := 0
	for {
		n, err := read(ctx, p, smps)
		if err == io.EOF {
			fmt.Printf("echoed %d free %d of %d\n", total, p.Pool().Free(), settings["ql"])
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d: %w", total, err)
		}
		alloc(p, back[:n])
		for i, s := range smps[:n] {
			back[i].CopyFrom(s)
		}
		pair.PutAll(smps[:n])
		done, err := p.WriteContext(ctx, back[:n])
		pair.PutAll(back[done:n])
		if total += n; err != nil && err != io.EOF {
			return err
		}
	}
}

func send(ctx context.Context, p *pair.Pair) error {
	smps, count := make([]pair.Sample, settings["vector"]), settings["count"]
	sent, got, bad := 0, 0, 0
	for got < count {
		for sent < count && sent-got < settings["window"] {
			n := p.Alloc(smps[:min(len(smps), count-sent, settings["window"]-sent+got)])
			for i, s := range smps[:n] {
				fill(s, sent+i)
			}
			done, err := p.Write(smps[:n])
			if err != nil {
				return fmt.Errorf("sent %d: %w", sent, err)
			}
			pair.PutAll(smps[done:n])
			if sent += done; done == 0 {
				break
			}
		}
		n, err := read(ctx, p, smps)
		if err != nil {
			return fmt.Errorf("sent %d received %d: %w", sent, got, err)
		}
		for i, s := range smps[:n] {
			if !right(s, got+i) {
				bad++
			}
		}
		pair.PutAll(smps[:n])
		got += n
	}
	fmt.Printf("sent %d received %d bad %d free %d of %d\n", sent, got, bad, p.Pool().Free(), settings["ql"])
	if bad != 0 {
		return errors.New("wrong samples")
	}
	return nil
}

func source(ctx context.Context, p *pair.Pair) error {
	var s [1]pair.Sample
	for i := range settings["count"] {
		alloc(p, s[:])
		fill(s[0], i)
		if _, err := p.WriteContext(ctx, s[:]); err != nil {
			return err
		}
	}
	fmt.Printf("sent %d\n", settings["count"])
	return nil
}

func sink(ctx context.Context, p *pair.Pair) error {
	got, bad := 0, 0
	for s, err := range p.Samples(ctx) {
		if err != nil {
			return err
		}
		if !right(s, got) {
			bad++
		}
		got++
	}
	fmt.Printf("received %d bad %d\n", got, bad)
	if bad != 0 {
		return errors.New("wrong samples")
	}
	return nil
}

// longestCall: no call takes longer; twenty times the bound for noticing a death,
// which is the longest that any waits.
const longestCall = 4 * time.Second

func target(_ context.Context, p *pair.Pair) error {
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGTERM)
	stall.Start()
	var calls stall.Calls
	var smps, got [32]pair.Sample
	for len(over) == 0 {
		var n, m, w int
		calls.Time(func() { n = p.Alloc(smps[:1+rand.IntN(len(smps))]) })
		for i, s := range smps[:n] {
			calls.Time(func() {
				s.SetFloats([]float64{1, float64(i), 3})
				s.SetInt(1, -1)
				s.SetBool(2, true)
				s.SetComplex(s.Cap()-1, 1i)
				s.SetOrigin(time.Unix(int64(i), 0))
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		if rand.IntN(8) == 0 {
			calls.Time(func() { m, _ = p.ReadContext(ctx, got[:]) })
		} else {
			calls.Time(func() { m, _ = p.TryRead(got[:1+rand.IntN(len(got))]) })
		}
		for i, s := range got[:m] {
			calls.Time(func() {
				if len(s.Bits()) > s.Cap() || s.Len() > s.Cap() {
					panic("a length is not clamped")
				}
				for v := range s.Len() { // the length may change meanwhile
					_, _, _, _ = s.Float(v), s.Int(v), s.Bool(v), s.Complex(v)
				}
				_, _, _, _ = s.Sequence(), s.Flags(), s.Origin().Format(time.RFC3339Nano), s.Refs()
				if i < n {
					smps[i].CopyFrom(s)
				}
				s.Get()
				s.Put()
			})
		}
		calls.Time(func() { pair.PutAll(got[:m]) })
		calls.Time(func() { w, _ = p.WriteContext(ctx, smps[:n]) })
		calls.Time(func() { pair.PutAll(smps[w:n]) })
		calls.Time(func() { p.Unread(); p.Pool().Free() })
		cancel()
	}
	calls.Time(func() { p.Close() })
	fmt.Printf("%d calls, the longest took %v\n", calls.Count, calls.Longest.Round(time.Millisecond))
	if calls.Longest > longestCall {
		return errors.New("a call took too long")
	}
	return nil
}
