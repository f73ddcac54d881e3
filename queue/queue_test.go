// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/anishathalye/porcupine"
	"github.com/villas-ext/villas-ext/internal/word"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// newQueue makes a queue of cells cells outside of the Go heap and attaches to it.
func newQueue(t testing.TB, cells uint64) *View {
	t.Helper()
	size := LayoutA.Size + uintptr(CellsSize(cells)) + 64
	b, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	q := uintptr(unsafe.Pointer(&b[0]))
	Init(q, q+LayoutA.Size+16, cells, 0)
	var v View
	if !v.Attach(&LayoutA, q, q, size) {
		t.Fatal("attach")
	}
	return &v
}

// Elements in these tests are small numbers: the queue never follows them.

func TestQueueBehavesLikeAListOfItsCapacity(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cells := uint64(1) << rapid.IntRange(1, 6).Draw(rt, "log2 cells")
		v, model, next := newQueue(t, cells), []uint64{}, uint64(1)
		buf := make([]uint64, 100)
		for range 200 {
			n := rapid.Uint64Range(0, 80).Draw(rt, "n")
			if rapid.Bool().Draw(rt, "push") {
				pos, got := v.ClaimPush(max(n, 1))
				if want := min(max(n, 1), cells-uint64(len(model))); got != want {
					rt.Fatalf("push of %d onto %d of %d took %d", n, len(model), cells, got)
				}
				for i := range got {
					v.Publish(pos+i, uintptr(next))
					model, next = append(model, next), next+1
				}
			} else {
				pos, got := v.ClaimPull(max(n, 1))
				if want := min(max(n, 1), uint64(len(model))); got != want {
					rt.Fatalf("pull of %d from %d took %d", n, len(model), got)
				}
				for i := range got {
					if buf[i] = uint64(v.Take(pos + i)); buf[i] != model[i] {
						rt.Fatalf("pulled %d, want %d", buf[i], model[i])
					}
				}
				model = model[got:]
			}
			if v.Len() != uint64(len(model)) || v.Readable() != (len(model) > 0) {
				rt.Fatalf("length %d, want %d", v.Len(), len(model))
			}
		}
	})
}

func TestNothingIsLostOrDoubledAndEachProducersOrderIsKept(t *testing.T) {
	const producers, consumers, each = 4, 3, 100_000
	v := newQueue(t, 64)
	var wg, pulls sync.WaitGroup
	var done atomic.Uint64
	got := make([][]uint64, consumers)
	for p := range uint64(producers) {
		wg.Go(func() {
			for i := uint64(0); i < each; {
				pos, n := v.ClaimPush(min(each-i, 1+i%(3*p+1)))
				for k := range n {
					v.Publish(pos+k, uintptr(p<<32|i+k))
				}
				if i += n; n == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	for c := range uint64(consumers) {
		pulls.Go(func() {
			for done.Load() < producers*each {
				pos, n := v.ClaimPull(1 + 5*c)
				for k := range n {
					got[c] = append(got[c], uint64(v.Take(pos+k)))
				}
				if done.Add(n); n == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	pulls.Wait()
	seen := make(map[uint64]bool, producers*each)
	for c := range got {
		last := map[uint64]uint64{}
		for _, e := range got[c] {
			p, i := e>>32, e&(1<<32-1)
			if before, ok := last[p]; ok && i <= before {
				t.Fatalf("consumer %d: %d of producer %d after %d", c, i, p, before)
			}
			if last[p] = i; seen[e] {
				t.Fatalf("%d of producer %d came twice", i, p)
			}
			seen[e] = true
		}
	}
	if len(seen) != producers*each {
		t.Fatalf("%d of %d came", len(seen), producers*each)
	}
}

func TestAnUnpublishedCellIsSteppedOver(t *testing.T) {
	v := newQueue(t, 8)
	v.Push(1)
	v.ClaimPush(2) // and dies
	v.Push(4)
	if p, ok := v.Pull(); !ok || p != 1 {
		t.Fatal(p, ok)
	}
	if _, ok := v.Pull(); ok || v.Readable() {
		t.Fatal("pulled an element that was never published")
	}
	if !v.SkipUnpublished() || !v.SkipUnpublished() || v.SkipUnpublished() {
		t.Fatal("not two cells stepped over")
	}
	if p, ok := v.Pull(); !ok || p != 4 {
		t.Fatal(p, ok)
	}
	if v.SkipUnpublished() {
		t.Fatal("stepped over nothing")
	}
	for i := range uintptr(20) { // the cells are as good as new
		if p, ok := uintptr(0), false; !v.Push(i) {
			t.Fatal("full")
		} else if p, ok = v.Pull(); !ok || p != i {
			t.Fatal(p, ok)
		}
	}
}

func TestRunawaySequencesEndAClaim(t *testing.T) {
	v := newQueue(t, 8)
	for i := range uint64(8) {
		word.Store64(v.cells+uintptr(i)*cellSize, 1<<63-1+i)
	}
	start := time.Now()
	if _, got := v.ClaimPush(8); got != 0 {
		t.Error("claimed", got)
	}
	if _, got := v.ClaimPull(8); got != 0 {
		t.Error("claimed", got)
	}
	if d := time.Since(start); d > time.Second {
		t.Error("took", d)
	}
}

// operation and model are the sequential queue of 4 for porcupine: a push of many that
// takes fewer, or a pull that does, must have seen the queue full or empty at
// some moment, and what it took is consecutive.
type operation struct {
	push bool
	ask  int
	took string // elements in order, one byte each
}

func model(cells int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, in, out any) (bool, any) {
			s, op, took := state.(string), in.(operation), out.(string)
			if op.push {
				// One claim takes what is free at a moment; fewer than asked is fine
				// as long as it is not none while there is room.
				ok := len(s)+len(took) <= cells && took == op.took[:len(took)] && (len(took) > 0 || len(s) == cells)
				return ok, s + took
			}
			ok := len(took) <= len(s) && s[:min(len(took), len(s))] == took && (len(took) > 0 || s == "")
			if !ok {
				return false, s
			}
			return true, s[len(took):]
		},
		Equal:             func(a, b any) bool { return a == b },
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %q", in, out) },
	}
}

// Claims of many are one operation. PushMany and PullMany are made of several
// claims: each of their elements is an operation of its own in the same interval.
func TestHistoriesAreLinearizable(t *testing.T) {
	const threads, each, rounds = 4, 12, 3_000
	for round := range rounds {
		v := newQueue(t, 4)
		var mu sync.Mutex
		var history []porcupine.Operation
		var wg sync.WaitGroup
		var together atomic.Int32
		for id := range threads {
			wg.Go(func() {
				buf := outside(t, 8)
				var own []porcupine.Operation
				for together.Add(1); together.Load() < threads; {
					runtime.Gosched()
				}
				for i := range each {
					op := operation{push: (id+i)%2 == 0, ask: 1 + (i+round)%3}
					for k := range op.ask {
						op.took += string(rune(1 + (id*each+i)*3%120 + k))
					}
					took, apart := "", false
					call := time.Now().UnixNano()
					switch kind := (id + i/2 + round) % 3; {
					case kind == 0 && op.push:
						if op.ask, op.took = 1, op.took[:1]; v.Push(uintptr(op.took[0])) {
							took = op.took
						}
					case kind == 0:
						op.ask = 1
						if p, ok := v.Pull(); ok {
							took = string(rune(p))
						}
					case kind == 1 && op.push:
						pos, n := v.ClaimPush(uint64(op.ask))
						for k := range n {
							runtime.Gosched()
							v.Publish(pos+k, uintptr(op.took[k]))
						}
						took = op.took[:n]
					case kind == 1:
						pos, n := v.ClaimPull(uint64(op.ask))
						for k := range n {
							runtime.Gosched()
							took += string(rune(v.Take(pos + k)))
						}
					case op.push:
						for k := range op.ask {
							word.Set64(buf+uintptr(k)*8, uint64(op.took[k]))
						}
						took, apart = op.took[:v.PushMany(buf, uint64(op.ask))], true
					default:
						for k := range v.PullMany(buf, uint64(op.ask)) {
							took += string(rune(word.Get64(buf + uintptr(k)*8)))
						}
						apart = true
					}
					ret := time.Now().UnixNano()
					ops := []porcupine.Operation{{ClientId: id, Input: op, Call: call, Output: took, Return: ret}}
					if apart {
						ops = ops[:0]
						for k := range took {
							one := operation{push: op.push, ask: 1, took: took[k : k+1]}
							ops = append(ops, porcupine.Operation{ClientId: threads + id*8 + k, Input: one, Call: call, Output: one.took, Return: ret})
						}
					}
					own = append(own, ops...)
				}
				mu.Lock()
				history = append(history, own...)
				mu.Unlock()
			})
		}
		wg.Wait()
		if r := porcupine.CheckOperationsTimeout(relaxed(4), history, 20*time.Second); r == porcupine.Illegal {
			t.Fatalf("round %d: %v is not linearizable", round, history)
		}
	}
}

// outside returns words outside of the Go heap.
func outside(t testing.TB, words int) uintptr {
	b, err := unix.Mmap(-1, 0, words*8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Error(err)
		return 0
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return uintptr(unsafe.Pointer(&b[0]))
}

// relaxed is the model of what Vyukov's queue promises: a pull may find it empty
// while a push that began earlier is not finished, a push may find it full
// likewise, so emptiness and fullness are not checked, but order, loss and
// doubling are.
func relaxed(cells int) porcupine.Model {
	m := model(cells)
	strict := m.Step
	m.Step = func(state, in, out any) (bool, any) {
		if out.(string) == "" {
			return true, state
		}
		return strict(state, in, out)
	}
	return m
}
