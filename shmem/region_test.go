// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"encoding/json"
	"os"
	"testing"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
)

// mapped returns size bytes outside of the Go heap with content at their front.
func mapped(t testing.TB, size int, content []byte) uintptr {
	t.Helper()
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	copy(b, content)
	return uintptr(unsafe.Pointer(&b[0]))
}

func TestFormatPutsEveryBlockWhereTheReferenceDoes(t *testing.T) {
	var c struct {
		Layouts map[string]struct {
			Memblocks []struct {
				At, Data, Len uintptr
				State         string
				Prev, Next    int64
			}
			TotalLen uint64  `json:"total_len"`
			InOff    uint64  `json:"in.queue.buffer_off"`
			OutOff   uint64  `json:"out.queue.buffer_off"`
			Buffer   uintptr `json:"pool.buffer"`
			PoolQ    uint64  `json:"pool.queue.buffer_off"`
			Pool     struct{ Len, Blocksz, Blocks uint64 }
		} `json:"region_layouts"`
	}
	read(t, "layout-a.json", &c)
	for name, lengths := range map[string][2]uint64{"32,4,polling=0": {32, 4}, "32,4,polling=1": {32, 4}, "512,64,polling=0": {512, 64}, "512,64,polling=1": {512, 64}} {
		want := c.Layouts[name]
		size := TotalSize(lengths[0], lengths[0], lengths[1])
		if size != want.TotalLen {
			t.Fatalf("%s: size %d, want %d", name, size, want.TotalLen)
		}
		base := mapped(t, int(size), nil)
		if f := Format(base, uintptr(size), lengths[0], lengths[1], name[len(name)-1] == '1'); f != 0 {
			t.Fatalf("%s: fault %d", name, f)
		}
		at := base + layout.FirstBlock
		for i, w := range want.Memblocks {
			b := (*layout.Memblock)(word.At(at))
			if at-base != w.At || b.Len != uint64(w.Len) || (b.Flags == layout.MemblockUsed) != (w.State == "used") {
				t.Errorf("%s: block %d at %d len %d flags %d, want %+v", name, i, at-base, b.Len, b.Flags, w)
			}
			if w.Next < 0 != (b.Next == 0) || b.Next != 0 && b.Next-base != uintptr(w.Next) {
				t.Errorf("%s: block %d leads to %#x, want %d", name, i, b.Next, w.Next)
			}
			at = b.Next
		}
		s := (*layout.Shared)(word.At(base + layout.SharedOffset))
		if s.In.Queue.BufferOff != want.InOff || s.Out.Queue.BufferOff != want.OutOff || s.Pool.Queue.BufferOff != want.PoolQ {
			t.Errorf("%s: cells of in, out, pool at offsets %d %d %d", name, s.In.Queue.BufferOff, s.Out.Queue.BufferOff, s.Pool.Queue.BufferOff)
		}
		if s.Pool.Len != want.Pool.Len || s.Pool.BlockSize != want.Pool.Blocksz ||
			uintptr(s.Pool.BufferOff)+offPool != want.Buffer {
			t.Errorf("%s: pool %+v", name, s.Pool)
		}
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile("../internal/layout/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTotalSizeIsTheReferencesForPowersOfTwo(t *testing.T) {
	var c struct {
		Sizes map[string]uint64 `json:"shmem_total_size"`
	}
	read(t, "layout-a.json", &c)
	for key, want := range c.Sizes {
		var in, out, n uint64
		for i, p := range []*uint64{&in, &out, &n} {
			parts := splitComma(key)
			for _, d := range parts[i] {
				*p = *p*10 + uint64(d-'0')
			}
		}
		got := TotalSize(in, out, n)
		if power := in&(in-1) == 0 && out&(out-1) == 0 && in > 1; power && got != want || got < want {
			t.Errorf("TotalSize(%s) = %d, the reference has %d", key, got, want)
		}
	}
}

func splitComma(s string) (parts [3]string) {
	i := 0
	for _, c := range s {
		if c == ',' {
			i++
		} else {
			parts[i] += string(c)
		}
	}
	return parts
}

func TestAnyLengthHasRoomInItsRegion(t *testing.T) {
	for ql := uint64(1); ql <= 1100; ql++ {
		for _, sl := range []uint64{0, 1, 8, 64} {
			size := TotalSize(ql, ql, sl)
			base := mapped(t, int(size), nil)
			var r Region
			if f := Format(base, uintptr(size), ql, sl, false); f != 0 {
				t.Fatalf("queuelen %d samplelen %d: fault %d", ql, sl, f)
			}
			if f := r.Attach(base, uintptr(size)); f != 0 {
				t.Fatalf("queuelen %d samplelen %d: attach: fault %d", ql, sl, f)
			}
			if r.Pool.Free() != 2*ql || r.In.Capacity() < ql || r.Out.Capacity() < ql {
				t.Fatalf("queuelen %d: pool %d, in %d, out %d", ql, r.Pool.Free(), r.In.Capacity(), r.Out.Capacity())
			}
		}
	}
}

func TestSizesOverflowNothing(t *testing.T) {
	if TotalSize(MaxQueueLen, MaxQueueLen, MaxSampleLen) != 0 || TotalSize(1<<31, 1, 1) != 0 {
		t.Error("an impossible region has a size")
	}
	if s := TotalSize(1<<20, 1<<20, 64); s < 2<<20*384 {
		t.Errorf("a region of 2^20 has %d bytes", s)
	}
}

func TestGoldenRegionsOpenAndGiveTheirSamples(t *testing.T) {
	for _, mode := range []string{"polling", "signalled"} {
		golden, err := os.ReadFile("../internal/layout/testdata/a-32-4-" + mode + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		base := mapped(t, len(golden), golden)
		var r Region
		if f := r.Attach(base, uintptr(len(golden))); f != 0 {
			t.Fatalf("%s: fault %d", mode, f)
		}
		if !r.Legacy || r.Polling != (mode == "polling") {
			t.Errorf("%s: legacy %v polling %v", mode, r.Legacy, r.Polling)
		}
		for i := range int32(3) {
			pos, got := r.Out.ClaimPull(1)
			if got != 1 {
				t.Fatalf("%s: sample %d is missing", mode, i)
			}
			s := sample.At(r.Take(&r.Out, pos), &r.Pool)
			if s.Sequence() != 100+i || s.Len() != 4 || s.Cap() != 10 || s.Refs() != 1 {
				t.Errorf("%s: sample %d: sequence %d length %d capacity %d refs %d", mode, i, s.Sequence(), s.Len(), s.Cap(), s.Refs())
			}
			if o := s.Origin(); o.Unix() != int64(1493000000+i) || o.Nanosecond() != 111111111*int(i+1) {
				t.Errorf("%s: sample %d: origin %v", mode, i, o)
			}
			if s.Received().Nanosecond() != 222222222 || s.Sent().Nanosecond() != 333333333 {
				t.Errorf("%s: sample %d: received %v sent %v", mode, i, s.Received(), s.Sent())
			}
			v := s.Values()
			if v[0] != 1.5*float32(i+1) || v[1] != -2.25*float32(i+1) || v[3] != 1e-3*float32(i) {
				t.Errorf("%s: sample %d: values %v", mode, i, v)
			}
			if n := s.Ints()[2]; uint32(n) != 0xCAFE0000+uint32(i) || !s.IsInt(2) || s.IsInt(1) {
				t.Errorf("%s: sample %d: integer %#x", mode, i, n)
			}
			if s.Put() != 0 {
				t.Errorf("%s: sample %d is held by somebody", mode, i)
			}
		}
		if _, got := r.Out.ClaimPull(1); got != 0 || r.Pool.Free() != 64 {
			t.Errorf("%s: afterwards %d samples are left, %d blocks free", mode, got, r.Pool.Free())
		}
	}
}

func TestAttachTellsWhatIsNoRegionFromWhatIsDamaged(t *testing.T) {
	golden, err := os.ReadFile("../internal/layout/testdata/a-32-4-polling.bin")
	if err != nil {
		t.Fatal(err)
	}
	attach := func(b []byte) int32 {
		var r Region
		return r.Attach(mapped(t, len(b)+1, b), uintptr(len(b)))
	}
	if f := attach(golden[:1000]); f != faultNotOurs {
		t.Errorf("short: %d", f)
	}
	if f := attach(make([]byte, len(golden))); f != faultNotOurs {
		t.Errorf("zeros: %d", f)
	}
	for _, off := range []uintptr{offIn + 80, offOut + 88, offPool + offPoolQueue + 80, offPool, offPool + 24, offPool + 32} {
		b := append([]byte(nil), golden...)
		b[off+5] ^= 0x40 // far outside
		if f := attach(b); f != faultDamaged {
			t.Errorf("byte %d changed: %d", off+5, f)
		}
	}
	if f := attach(golden[:len(golden)-4096]); f != faultDamaged {
		t.Errorf("cut off: %d", f)
	}
}
