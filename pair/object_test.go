// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"encoding/binary"
	"os"
	"testing"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
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

func golden(t testing.TB, mode string) []byte {
	t.Helper()
	b, err := os.ReadFile("../internal/layout/testdata/g-16-8-" + mode + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenObjectsOpenAndGiveTheirSamples(t *testing.T) {
	for _, mode := range []string{"polling", "pthread"} {
		content := golden(t, mode)
		for _, zeroed := range []bool{false, true} {
			if zeroed {
				clear(content[:layout.SharedOffset])
			}
			base := mapped(t, len(content), content)
			var r shmem.Region
			if f := Attach(&r, base, uintptr(len(content))); f != 0 {
				t.Fatalf("%s: fault %d", mode, f)
			}
			if !r.Legacy || r.Polling != (mode == "polling") || r.Out.HasStopped() {
				t.Errorf("%s: legacy %v polling %v stopped %v", mode, r.Legacy, r.Polling, r.Out.HasStopped())
			}
			for i := range int64(3) {
				pos, got := r.Out.ClaimPull(1)
				if got != 1 {
					t.Fatalf("%s: sample %d is missing", mode, i)
				}
				s := At(r.Take(&r.Out, pos), &r.Pool)
				if s.Sequence() != uint64(100+i) || s.Len() != 3 || s.Cap() != 13 || s.Refs() != 1 || s.Flags() != 0x1b {
					t.Errorf("%s: sample %d: sequence %d length %d capacity %d refs %d flags %#x", mode, i, s.Sequence(), s.Len(), s.Cap(), s.Refs(), s.Flags())
				}
				if o := s.Origin(); o.Unix() != 1700000000+i || o.Nanosecond() != 111111111*int(i+1) || s.Received().Nanosecond() != 222222222 {
					t.Errorf("%s: sample %d: origin %v received %v", mode, i, o, s.Received())
				}
				if s.Floats()[0] != 1.5*float64(i+1) || s.Ints()[1] != -7000000000*(i+1) || s.Floats()[2] != 1e-3*float64(i) {
					t.Errorf("%s: sample %d: %v %v", mode, i, s.Floats(), s.Ints())
				}
				if s.Put() != 0 {
					t.Errorf("%s: sample %d is held by somebody", mode, i)
				}
			}
			if _, got := r.Out.ClaimPull(1); got != 0 || r.Pool.Free() != 16 {
				t.Errorf("%s: afterwards %d samples are left, %d blocks free", mode, got, r.Pool.Free())
			}
			r.Out.Stop()
			if !r.Out.HasStopped() || word.Load32(base+offState) != layout.StateStopped {
				t.Error("a stop is not to be seen")
			}
		}
	}
}

func TestFormatPutsEveryBlockWhereAVILLASnodeDoes(t *testing.T) {
	for _, mode := range []string{"polling", "pthread"} {
		want := golden(t, mode)
		if size := TotalSize(16, 8); size != uint64(len(want)) {
			t.Fatalf("%d bytes, a VILLASnode has %d", size, len(want))
		}
		base := mapped(t, len(want), nil)
		if f := Format(base, uintptr(len(want)), 16, 8, mode == "polling", 1); f != 0 {
			t.Fatalf("fault %d", f)
		}
		have := unsafe.Slice((*byte)(word.At(base)), len(want))
		word32 := func(b []byte, off uintptr) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
		for name, off := range map[string]uintptr{"polling": offPolling, "state": offState, "mode": offMode, "flags": offMode + 4,
			"mask": offQueue + 72, "cells": offQueue + 80, "pool's state": offPoolState, "blocks": offPool + 8, "length": offPool + 16,
			"block size": offPool + 24, "alignment": offPool + 32, "free state": offFreeState, "free mask": offPoolQueue + 72,
			"free cells": offPoolQueue + 80, "free tail": offPoolQueue + 152, "last free block": 0x1198 - 8,
			"descriptor 1": 64, "descriptor 2": 0x340, "descriptor 3": 0x460, "descriptor 4": 0x1090, "rest": 0x11b0} {
			if h, w := word32(have, off), word32(want, off); h != w {
				t.Errorf("%s: %s is %#x, a VILLASnode has %#x", mode, name, h, w)
			}
		}
	}
}

func TestAnyLengthHasRoomInItsObject(t *testing.T) {
	for ql := uint64(1); ql <= 1100; ql++ {
		for _, sl := range []uint64{0, 1, 8, 64} {
			size := TotalSize(ql, sl)
			base := mapped(t, int(size), nil)
			var r shmem.Region
			if f := Format(base, uintptr(size), ql, sl, true, 1); f != 0 {
				t.Fatalf("queuelen %d samplelen %d: fault %d", ql, sl, f)
			}
			if f := Attach(&r, base, uintptr(size)); f != 0 {
				t.Fatalf("queuelen %d samplelen %d: attach: fault %d", ql, sl, f)
			}
			if r.Pool.Free() != ql || r.Out.Capacity() < ql || sample.CapacityG(r.Pool.Size()) < uint32(sl) || r.Legacy {
				t.Fatalf("queuelen %d: pool %d, queue %d, legacy %v", ql, r.Pool.Free(), r.Out.Capacity(), r.Legacy)
			}
		}
	}
	if TotalSize(shmem.MaxQueueLen, shmem.MaxSampleLen) != 0 || TotalSize(0, 1) != 0 || TotalSize(1<<31, 1) != 0 {
		t.Error("an impossible object has a size")
	}
}

func TestAttachTellsWhatIsNoObjectFromWhatIsDamaged(t *testing.T) {
	content := golden(t, "polling")
	attach := func(b []byte) int32 {
		var r shmem.Region
		return Attach(&r, mapped(t, len(b)+1, b), uintptr(len(b)))
	}
	if f := attach(content[:800]); f != faultNotOurs {
		t.Errorf("short: %d", f)
	}
	if f := attach(make([]byte, len(content))); f != faultNotOurs {
		t.Errorf("zeros: %d", f)
	}
	a, err := os.ReadFile("../internal/layout/testdata/a-32-4-polling.bin")
	if err != nil {
		t.Fatal(err)
	}
	if f := attach(a); f != faultNotOurs {
		t.Errorf("layout A: %d", f)
	}
	if f := (&shmem.Region{}).Attach(mapped(t, len(content), content), uintptr(len(content))); f != faultNotOurs {
		t.Errorf("layout G taken for A: %d", f)
	}
	eventfd := append([]byte(nil), content...)
	eventfd[offMode], eventfd[offPolling] = 3, 0
	if f := attach(eventfd); f != faultUnsupported {
		t.Errorf("eventfd: %d", f)
	}
	for _, off := range []uintptr{offQueue + 80, offPoolQueue + 80, offPool + 8, offPool + 16, offPool + 24} {
		b := append([]byte(nil), content...)
		b[off+5] ^= 0x40 // far outside
		if f := attach(b); f != faultDamaged {
			t.Errorf("byte %d changed: %d", off+5, f)
		}
	}
	if f := attach(content[:len(content)-1024]); f != faultDamaged {
		t.Errorf("cut off: %d", f)
	}
}

func FuzzAttach(f *testing.F) {
	f.Add(golden(f, "polling"))
	f.Add(golden(f, "pthread"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var r shmem.Region
		size := len(content) &^ 7
		base := mapped(t, size+8, content)
		if Attach(&r, base, uintptr(size)) != 0 {
			return
		}
		var s [8]uintptr // few: where the places in the pool are damaged, each is waited for
		out := mapped(t, int(unsafe.Sizeof(s)), nil)
		for range 3 {
			n := r.Read(&r.Out, out, uint64(len(s)))
			for i := int64(0); i < n; i++ {
				v := At(uintptr(word.Get64(out+uintptr(i)*8)), &r.Pool)
				for _, b := range v.Bits() {
					_ = b
				}
				v.Put()
			}
		}
	})
}
