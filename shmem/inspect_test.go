// SPDX-License-Identifier: Apache-2.0

package shmem_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

func inspect(t *testing.T, name string) *shmem.Snapshot {
	t.Helper()
	s, err := shmem.Inspect(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnOnlookerSeesFillHoldersAndSides(t *testing.T) {
	both(t, func(t *testing.T, polling bool) {
		n, p := pair(t, polling)
		defer n.Close()
		name := regionName(t)
		var smps [10]sample.Sample
		n.Alloc(smps[:])
		for i, s := range smps[:5] {
			s.SetSequence(int32(100 + i))
			s.SetValues([]float32{1.5, float32(i)})
		}
		n.Write(smps[:5])
		s := inspect(t, name)
		if s.Out.Len != 5 || s.Out.Pushed != 5 || s.In.Len != 0 || s.Out.Capacity != 16 || s.Pool.Blocks != 32 || s.Pool.Free != 22 ||
			s.Pool.Held != 5 || s.Pool.Leaked != 0 || !s.Exact || s.Polling != polling || s.Mode != "0600" {
			t.Errorf("%+v", s)
		}
		me := os.Getpid()
		if !s.Node.Living || !s.Program.Living || s.Node.Pid != me || s.Program.Pid != me || s.Attach != shmem.AttachAttached || s.Reference {
			t.Errorf("%+v", s)
		}
		p.Close()
		if s := inspect(t, name); s.Program.Living || !s.Program.Stopped || !s.Node.Living || s.Pool.Leaked != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnOnlookerTakesNothingAndDoesNotMapTheRegion(t *testing.T) {
	n, p := pair(t, false)
	defer n.Close()
	defer p.Close()
	mappings := func() int {
		t.Helper()
		st, err := os.Stat("/dev/shm" + regionName(t))
		maps, failed := os.ReadFile("/proc/self/maps")
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		return strings.Count(string(maps), fmt.Sprintf(" %d ", st.Sys().(*syscall.Stat_t).Ino))
	}
	had := mappings()
	i, err := shmem.NewInspector(regionName(t))
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if has := mappings(); has != had || had == 0 {
		t.Errorf("%d mappings of the region, %d before", has, had)
	}
	before, err := os.ReadFile("/dev/shm" + regionName(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := i.Look(); err != nil {
			t.Error(err)
		}
		if _, err := i.Latest(true); !errors.Is(err, shmem.ErrNoSample) {
			t.Error(err)
		}
	}
	if after, err := os.ReadFile("/dev/shm" + regionName(t)); err != nil || string(after) != string(before) {
		t.Error("a look changes the region", err)
	}
}

// TestTheLatestSampleIsWholeUnderFullTraffic has each sample's values say which
// sample they belong to.
func TestTheLatestSampleIsWholeUnderFullTraffic(t *testing.T) {
	n, p := pair(t, true)
	i, err := shmem.NewInspector(regionName(t))
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		var smps [4]sample.Sample
		for k := int32(1); ctx.Err() == nil; {
			have := n.Alloc(smps[:])
			for _, s := range smps[:have] {
				s.SetSequence(k)
				s.SetValues([]float32{float32(k), float32(-k)})
				s.SetOrigin(time.Unix(int64(k), 0))
				k++
			}
			done, _ := n.WriteContext(ctx, smps[:have])
			sample.PutAll(smps[done:have])
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			var smps [4]sample.Sample
			k, err := p.TryRead(smps[:])
			if err != nil {
				t.Error(err)
				return
			}
			sample.PutAll(smps[:k])
		}
	})
	seen, last := 0, int32(0)
	for end := time.Now().Add(5 * time.Second); seen < 300 && time.Now().Before(end); {
		s, err := i.Latest(false)
		if errors.Is(err, shmem.ErrNoSample) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		k := s.Sequence()
		if v := s.Values(); len(v) != 2 || v[0] != float32(k) || v[1] != float32(-k) || s.Origin().Unix() != int64(k) {
			t.Fatalf("sample %d has the values %v", k, v)
		}
		if k < last {
			t.Fatalf("sample %d after %d", k, last)
		}
		if k > last {
			seen++
		}
		last = k
	}
	if seen < 2 {
		t.Errorf("%d samples were seen", seen)
	}
	stop()
	wg.Wait()
	if s := inspect(t, regionName(t)); s.Pool.Held != 0 || s.Pool.Free+s.Out.Len != s.Pool.Blocks {
		t.Errorf("the onlooker kept something: %+v", s)
	}
	n.Close()
	p.Close()
	t.Logf("%d samples seen, %d written", seen, last)
}

func TestSamplesOfTheRecentPastAreSeenOnceAndInOrder(t *testing.T) {
	n, p := pair(t, false)
	defer n.Close()
	defer p.Close()
	i, err := shmem.NewInspector(regionName(t))
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	next, written := uint64(0), int32(0)
	send := func(count int) {
		for range count {
			var smps [1]sample.Sample
			n.Alloc(smps[:])
			smps[0].SetSequence(written)
			written++
			n.Write(smps[:])
			if k, err := p.Read(smps[:]); k != 1 || err != nil {
				t.Fatal(k, err)
			}
			smps[0].Put()
		}
	}
	look := func(most int) (seen []int32) {
		if next, err = i.Recent(false, next, most, func(s sample.Sample) { seen = append(seen, s.Sequence()) }); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	for _, step := range []struct {
		send, most int
		want       []int32
	}{{0, 9, nil}, {3, 9, []int32{0, 1, 2}}, {0, 9, nil}, {5, 2, []int32{6, 7}}, {1, 9, []int32{8}}} {
		send(step.send)
		if got := look(step.most); !slices.Equal(got, step.want) {
			t.Errorf("%v were seen, not %v", got, step.want)
		}
	}
	send(100) // of which the queue has room for 16
	if got := look(99); len(got) != 16 || got[0] != 93 || got[15] != 108 {
		t.Error(got)
	}
	var held [28]sample.Sample // all of the pool but four, which are used again and again
	n.Alloc(held[:])
	send(10)
	if got := look(99); !slices.Equal(got, []int32{115, 116, 117, 118}) {
		t.Error(got)
	}
	sample.PutAll(held[:])
}

func TestTheReferencesRegionsAreLookedInto(t *testing.T) {
	for _, mode := range []string{"polling", "signalled"} {
		b, err := os.ReadFile("../internal/layout/testdata/a-32-4-" + mode + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		name := regionName(t)
		if err := os.WriteFile("/dev/shm"+name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := inspect(t, name)
		if s.Out.Len != 3 || s.Pool.Free != 61 || s.Pool.Leaked != 0 || !s.Reference || s.Polling != (mode == "polling") || s.Node.Living || s.Pool.Values != 10 {
			t.Errorf("%+v", s)
		}
		i, err := shmem.NewInspector(name)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		smp, err := i.Latest(false)
		if err != nil || smp.Sequence() != 102 || smp.Float(0) != 4.5 || !smp.IsInt(2) {
			t.Error(smp, err)
		}
		if !i.Current() || os.Remove("/dev/shm"+name) != nil || i.Current() {
			t.Error("a name that is gone is not noticed")
		}
	}
}

func TestLeaksOfADeadNodeAreSeenAndItsRegionIsRemoved(t *testing.T) {
	name := regionName(t)
	victim := startVictim(t, name, "node", false)
	if s := inspect(t, name); !s.Node.Living || s.Node.Pid != victim.Process.Pid || s.Attach != shmem.AttachFree || len(s.Mappers) != 1 {
		t.Errorf("%+v", s)
	}
	if err := shmem.Remove(name, false); !errors.Is(err, shmem.ErrNameTaken) {
		t.Error("a living node's region is removed:", err)
	}
	victim.Process.Kill()
	victim.Wait()
	if s := inspect(t, name); s.Node.Living || s.Out.Len != 3 || s.Pool.Held != 0 || s.Pool.Leaked != 0 {
		t.Errorf("%+v", s)
	}
	// A program of the dead node takes one sample and dies with it.
	f, err := os.OpenFile("/dev/shm"+name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 8)
	const headOfOut = 584 + 64 + 8 + 64 // the pad before the tail of out, tail, pad
	if _, err := f.ReadAt(b, headOfOut); err != nil || binary.LittleEndian.Uint64(b) != 0 {
		t.Fatal(b, err)
	}
	binary.LittleEndian.PutUint64(b, 1)
	f.WriteAt(b, headOfOut)
	if s := inspect(t, name); s.Pool.Leaked != 1 || s.Out.Len != 2 {
		t.Errorf("%+v", s)
	}
	if err := shmem.Remove(name, false); err != nil {
		t.Error(err)
	}
	if _, err := shmem.Inspect(name); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestWhatIsNoRegionIsNeitherLookedIntoNorRemoved(t *testing.T) {
	for text, want := range map[string]error{"": shmem.ErrNotRegion, strings.Repeat("x", 5000): shmem.ErrNotRegion} {
		name := regionName(t)
		if err := os.WriteFile("/dev/shm"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := shmem.Inspect(name); !errors.Is(err, want) {
			t.Error(err)
		}
		if err := shmem.Remove(name, false); !errors.Is(err, want) {
			t.Error(err)
		}
		if err := shmem.Remove(name, true); err != nil {
			t.Error(err)
		}
	}
}

// FuzzInspect looks into regions whose bytes were changed anywhere.
func FuzzInspect(f *testing.F) {
	golden, err := os.ReadFile("../internal/layout/testdata/a-32-4-signalled.bin")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(400), uint64(3), uint16(1288), uint64(77))
	f.Fuzz(func(t *testing.T, at uint16, v uint64, at2 uint16, v2 uint64) {
		name := fmt.Sprintf("/villas-go-fuzz-%d", os.Getpid())
		b := append([]byte(nil), golden...)
		for _, c := range []struct {
			at int
			v  uint64
		}{{int(at), v}, {int(at2), v2}} {
			binary.LittleEndian.PutUint64(b[min(c.at&^7, len(b)-8):], c.v)
		}
		if err := os.WriteFile("/dev/shm"+name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove("/dev/shm" + name)
		i, err := shmem.NewInspector(name)
		if err != nil {
			return
		}
		defer i.Close()
		if s, err := i.Look(); err == nil && (s.Out.Len > s.Out.Capacity || s.Pool.Free > s.Pool.Blocks+64) {
			t.Errorf("%+v", s)
		}
		for _, toNode := range []bool{false, true} {
			if smp, err := i.Latest(toNode); err == nil {
				smp.Values()
			}
		}
	})
}
