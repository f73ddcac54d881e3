// SPDX-License-Identifier: Apache-2.0

// Command party is one party at a queue that many share, through the Go packages:
// party push|pull OBJECT VECTOR COUNT. Its twin in C is tests/c/queues/party.c.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

func main() {
	fd, err := unix.Open(os.Args[2], unix.O_RDWR, 0)
	if err != nil {
		fail(err)
	}
	st, err := posixshm.Stat(fd)
	if err != nil {
		fail(err)
	}
	base, err := posixshm.Map(fd, uintptr(st.Size), false)
	if err != nil {
		fail(err)
	}
	var r shmem.Region
	if fault := r.Attach(base, uintptr(st.Size)); fault != 0 {
		fail(unix.Errno(-fault))
	}
	vector, _ := strconv.Atoi(os.Args[3])
	count, _ := strconv.Atoi(os.Args[4])
	var wg sync.WaitGroup
	var mu sync.Mutex
	total, sum := 0, 0
	for thread := range 2 {
		wg.Go(func() {
			if os.Args[1] == "push" {
				push(&r, thread, max(vector, 1), count)
				return
			}
			n, s := pull(&r, max(vector, 1))
			mu.Lock()
			total, sum = total+n, sum+s
			mu.Unlock()
		})
	}
	wg.Wait()
	if os.Args[1] == "pull" {
		fmt.Printf("count %d sum %d\n", total, sum)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func push(r *shmem.Region, thread, vector, count int) {
	smps := make([]sample.Sample, vector)
	for done := 0; done < count; {
		n := sample.Alloc(&r.Pool, smps[:min(vector, count-done)])
		for i, s := range smps[:n] {
			s.SetSequence(int32(done + i))
			s.SetLen(1)
			s.SetInt(0, int32(os.Getpid()*2+thread))
		}
		for in := 0; in < n; {
			pos, got := r.In.ClaimPush(uint64(n - in))
			for k := range got {
				r.In.Publish(pos+k, smps[in+int(k)].Addr())
			}
			if in += int(got); got == 0 {
				runtime.Gosched()
			}
		}
		if done += n; n == 0 {
			runtime.Gosched()
		}
	}
}

func pull(r *shmem.Region, vector int) (total, sum int) {
	last := map[int32]int32{}
	for {
		pos, got := r.In.ClaimPull(uint64(vector))
		if got == 0 {
			runtime.Gosched()
		}
		taken := make([]sample.Sample, got)
		for k := range got {
			taken[k] = sample.At(r.Take(&r.In, pos+k), &r.Pool)
		}
		for k, s := range taken {
			if s.Len() == 0 {
				s.Put()
				for _, rest := range taken[k+1:] {
					for !r.In.Push(rest.Addr()) {
						runtime.Gosched()
					}
				}
				return total, sum
			}
			who := s.Ints()[0]
			if before, ok := last[who]; ok && s.Sequence() <= before {
				fail(fmt.Errorf("%d of pusher %d after %d", s.Sequence(), who, before))
			}
			last[who] = s.Sequence()
			total, sum = total+1, sum+int(s.Sequence())
			s.Put()
		}
	}
}
