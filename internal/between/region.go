// SPDX-License-Identifier: Apache-2.0

package between

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

// region is an end of a region of shared memory.
type region struct {
	side interface {
		Alloc([]sample.Sample) int
		TryRead([]sample.Sample) (int, error)
		Read([]sample.Sample) (int, error)
		Write([]sample.Sample) (int, error)
		Close() error
	}
	polling bool
	values  int
	alone   bool // there is one CPU: who polls has to yield
	smps    []sample.Sample
	held    int // of smps, kept from one trip to the next
}

const queueLen = 512

// spin is the one of the column.
func (j *job) spin() time.Duration {
	if j.Column == NoSpin {
		return -1
	}
	return 0
}

func (j *job) region() *region {
	return &region{polling: j.Column == Polling, values: j.Values, alone: runtime.NumCPU() < 2, smps: make([]sample.Sample, max(j.Batch, 1))}
}

// names counts the regions of this process.
var names int

func (j *job) makeRegion() (*region, error) {
	r := j.region()
	names++
	j.Name = fmt.Sprintf("/villas-bench-%d-go-%d", os.Getpid(), names)
	// 0 is the default, negative a length of 0.
	node, err := shmem.Create(j.Name, shmem.Config{QueueLen: max(queueLen, 2*j.Batch), SampleLen: j.Values, Polling: r.polling, Spin: j.spin()})
	r.side = node
	return r, err
}

func (j *job) joinRegion() (*region, error) {
	r := j.region()
	program, err := shmem.Open(context.Background(), j.Name, shmem.OpenOptions{Spin: j.spin()})
	r.side = program
	return r, err
}

func (r *region) meet(ctx context.Context) error { return r.side.(*shmem.Node).Accept(ctx) }

func (r *region) close() error { return r.side.Close() }

// wait reads n samples at most and one at least.
func (r *region) wait(n int) (int, error) {
	if !r.polling {
		return r.side.Read(r.smps[:n])
	}
	for {
		if got, err := r.side.TryRead(r.smps[:n]); got > 0 || err != nil {
			return got, err
		}
		r.pause()
	}
}

func (r *region) pause() {
	if r.alone {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

// write writes all of smps.
func (r *region) write(smps []sample.Sample) error {
	for len(smps) > 0 {
		n, err := r.side.Write(smps)
		if err != nil {
			return err
		}
		if smps = smps[n:]; len(smps) > 0 {
			r.pause()
		}
	}
	return nil
}

func (r *region) trip(sequence int32) error {
	if r.held == 0 {
		if r.held = r.side.Alloc(r.smps[:1]); r.held == 0 {
			return errors.New("the pool is empty")
		}
		r.smps[0].SetLen(r.values)
	}
	s := r.smps[0]
	s.SetSequence(sequence)
	fill(s.Ints(), sequence)
	if err := r.write(r.smps[:1]); err != nil || sequence == last {
		return err
	}
	_, err := r.wait(1)
	if err == nil {
		total(r.smps[0].Ints())
	}
	return err
}

func (r *region) bounce() (int32, error) {
	if _, err := r.wait(1); err != nil {
		return 0, err
	}
	sequence := r.smps[0].Sequence()
	if total(r.smps[0].Ints()); sequence == last {
		return last, nil
	}
	return sequence, r.write(r.smps[:1])
}

func (r *region) send(sequence int32, n int) error {
	for n > 0 {
		got := r.side.Alloc(r.smps[:n])
		if got == 0 {
			if _, err := r.side.TryRead(nil); err != nil { // is anybody there?
				return err
			}
			r.pause()
		}
		for i, s := range r.smps[:got] {
			s.SetLen(r.values)
			s.SetSequence(int32(i))
			fill(s.Ints(), sequence)
		}
		if got == n {
			r.smps[n-1].SetSequence(sequence)
		}
		if err := r.write(r.smps[:got]); err != nil {
			return err
		}
		n -= got
	}
	return nil
}

func (r *region) take(n int) (sequence int32, err error) {
	taken, err := r.wait(n)
	if err != nil {
		return 0, err
	}
	for _, s := range r.smps[:taken] {
		total(s.Ints())
		sequence = s.Sequence()
	}
	sample.PutAll(r.smps[:taken])
	return sequence, nil
}
