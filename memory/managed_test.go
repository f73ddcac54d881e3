// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func arena(t testing.TB, size int) uintptr {
	t.Helper()
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return uintptr(unsafe.Pointer(&b[0]))
}

const arenaSize = 1 << 16

func TestFreeMergesWithWhicheverNeighbourIsFree(t *testing.T) {
	for _, order := range [][3]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}} {
		base := arena(t, arenaSize)
		Init(base, arenaSize)
		var p [3]uintptr
		for i := range p {
			p[i] = Alloc(base, 1000, 8)
		}
		for _, i := range order {
			if !Free(base, p[i]) {
				t.Fatalf("%v: block %d is not free to be freed", order, i)
			}
			if Free(base, p[i]) {
				t.Fatalf("%v: block %d freed twice", order, i)
			}
		}
		all := arenaSize - headSize - blockSize
		if Alloc(base, all, 8) == 0 {
			t.Errorf("%v: the free blocks did not become one", order)
		}
	}
}

func TestBlocksNeverOverlapAndAllComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := arenaOf(t)
		live := map[uintptr]uintptr{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(live) > 0 && rapid.Bool().Draw(t, "free") {
				for p := range live {
					if !Free(base, p) {
						t.Fatalf("free %#x", p)
					}
					delete(live, p)
					break
				}
				continue
			}
			size := uintptr(rapid.IntRange(1, 5000).Draw(t, "size"))
			alignment := uintptr(1) << rapid.IntRange(0, 8).Draw(t, "alignment")
			p := Alloc(base, size, alignment)
			if p == 0 {
				continue
			}
			if p%alignment != 0 || p%8 != 0 || p < base+headSize+blockSize || p+size > base+arenaSize {
				t.Fatalf("%d bytes aligned to %d at %#x", size, alignment, p)
			}
			for q, n := range live {
				if p < q+n && q < p+size {
					t.Fatalf("%#x+%d overlaps %#x+%d", p, size, q, n)
				}
			}
			live[p] = size
		}
		for p := range live {
			Free(base, p)
		}
		if Alloc(base, arenaSize-headSize-blockSize, 8) == 0 {
			t.Fatal("something is lost")
		}
	})
}

var shared uintptr

func arenaOf(t *rapid.T) uintptr {
	if shared == 0 {
		b, err := unix.Mmap(-1, 0, arenaSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		shared = uintptr(unsafe.Pointer(&b[0]))
	}
	Init(shared, arenaSize)
	return shared
}
