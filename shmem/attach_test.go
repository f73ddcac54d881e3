// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"bytes"
	"os"
	"testing"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
)

// guarded maps content between pages that fault.
func guarded(t testing.TB, content []byte) (base uintptr, end func()) {
	const reserved = 1 << 20
	size := (len(content) + 4096) &^ 4095
	b, err := unix.Mmap(-1, 0, size+2*reserved, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	inner := b[reserved : reserved+size]
	if err := unix.Mprotect(inner, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	copy(inner, content)
	base = uintptr(unsafe.Pointer(&inner[0]))
	word.Allow(base, uintptr(size))
	return base, func() {
		word.Forbid(base)
		unix.Munmap(b)
	}
}

// Whatever bytes there are, attaching touches nothing outside of them, and what
// it lets pass can be worked on.
func FuzzAttach(f *testing.F) {
	for _, mode := range []string{"polling", "signalled"} {
		golden, err := os.ReadFile("../internal/layout/testdata/a-32-4-" + mode + ".bin")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(golden, uint64(0), uint64(0))
		f.Add(golden, uint64(offIn+80), uint64(1))
		f.Add(golden, uint64(offPool+32), uint64(88))
		f.Add(golden[:len(golden)-4096], uint64(offLen), uint64(len(golden)-4096))
	}
	f.Add([]byte{}, uint64(0), uint64(0))
	f.Add(make([]byte, 2000), uint64(offLen), uint64(2000))
	// Beside the bytes, one word of them: so that the fuzzer can hit the geometry.
	f.Fuzz(fuzzOne)
}

func fuzzOne(t *testing.T, content []byte, at, value uint64) {
	if at+8 <= uint64(len(content)) && at+8 > at {
		content = bytes.Clone(content)
		*(*uint64)(unsafe.Pointer(&content[at])) = value
	}
	base, end := guarded(t, content)
	defer end()
	var r Region
	if fault := r.Attach(base, uintptr(len(content))); fault != 0 {
		if fault != faultNotOurs && fault != faultDamaged {
			t.Errorf("fault %d", fault)
		}
		return
	}
	var smps [100]sample.Sample
	for range 3 {
		n := sample.Alloc(&r.Pool, smps[:])
		for i, s := range smps[:n] {
			s.SetValues([]float32{float32(i), 2, 3})
		}
		for _, c := range []*Channel{&r.In, &r.Out} {
			for i := range n / 3 {
				c.Push(smps[i].Addr())
			}
			for range 200 {
				p, ok := c.Pull()
				if ok && r.Pool.Hold(p) {
					sample.Receive(&r.Pool, p)
					_ = sample.At(p, &r.Pool).Values()
				}
			}
			c.SkipUnpublished()
			c.HasStopped()
		}
		sample.PutAll(smps[n/3 : n])
	}
	sample.Forget(&r.Pool)
}
