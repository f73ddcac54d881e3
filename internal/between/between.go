// SPDX-License-Identifier: Apache-2.0

// Package between measures what it takes to pass samples between two processes on
// a CPU each, over shared memory and over what else there is: there and back, and
// one way as fast as it goes. The second process is this program, started again:
// its main calls [Second] before all else.
package between

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/villas-ext/villas-ext/internal/measure"
	"golang.org/x/sys/unix"
)

// Options are options of [Measure].
type Options struct {
	Values   []int         // of a sample, for one way
	Batches  []int         // samples at once, likewise
	Duration time.Duration // of each measurement
	CPUs     []int         // that the two processes are bound to; empty: to none
}

// Units are those of the figures.
const Units = "ns there and back, or millions of samples a second"

// TripValues is how many values a sample has that goes there and back.
const TripValues = 4

// Columns are what is measured, the first three of them over shared memory.
var Columns = []string{Polling, Signalled, NoSpin, "pipe", "Unix socket", "POSIX queue"}

// Names of columns over shared memory: how readers wait.
const (
	Polling   = "polling"
	Signalled = "signalled"
	NoSpin    = "no spin" // signalled
)

// An end is one process's end of a transport. The sequence number last is that of
// the last sample.
type end interface {
	meet(context.Context) error             // the second process is ready
	trip(sequence int32) error              // passes one there and takes it back
	bounce() (sequence int32, err error)    // takes one and passes it back
	send(sequence int32, n int) error       // passes n, of which the last has it
	take(n int) (sequence int32, err error) // takes up to n
	close() error
}

const last = -1

// job is what the second process is told.
type job struct {
	Column string
	Name   string // of the region
	Values int
	Batch  int // 0: there and back
	CPU    int // -1: any
}

// Measure measures over the column's transport and calls figure for each figure:
// what it is of, and nanoseconds there and back, or millions of samples a second.
func Measure(ctx context.Context, column string, o Options, figure func(what string, value float64)) error {
	j := job{Column: column, Values: TripValues}
	latencies := measure.NewLatencies()
	if err := j.run(ctx, o, func(e end, _ *other) error {
		begin := time.Now()
		for sequence := int32(0); ; sequence = (sequence + 1) & 0xffff {
			t := time.Now()
			if t.Sub(begin) > o.Duration {
				return e.trip(last)
			}
			if err := e.trip(sequence); err != nil {
				return err
			}
			if now := time.Now(); now.Sub(begin) > o.Duration/10 { // the first do not count
				latencies.Add(int64(now.Sub(t)))
			}
		}
	}); err != nil {
		return err
	}
	for i, ns := range latencies.Quantiles() {
		figure("round trip, "+measure.Quantiles[i].Name, ns)
	}
	for _, j.Values = range o.Values {
		for _, j.Batch = range o.Batches {
			if j.Batch > 1 && column == "POSIX queue" {
				continue // a message a call
			}
			if err := j.run(ctx, o, func(e end, p *other) error {
				return j.oneWay(e, p, o.Duration, figure)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *job) oneWay(e end, p *other, d time.Duration, figure func(what string, value float64)) error {
	// Of what is sent in the first tenth only the time is counted from its end on.
	begin, sent, counted, sequence := monotonic(), 0, 0, int32(0)
	start := begin
	for sequence != last {
		now := monotonic()
		if counted == 0 && now-begin > int64(d)/10 {
			start, counted = now, sent
		}
		if now-begin > int64(d) {
			sequence = last
		}
		for range looksAtTheClock {
			if err := e.send(sequence, j.Batch); err != nil {
				return err
			}
			sent += j.Batch
			if sequence == last {
				break
			}
		}
	}
	stop, err := p.ended()
	if err == nil {
		figure(fmt.Sprintf("one way in %ds, %d values", j.Batch, j.Values), float64(sent-counted)*1e3/float64(stop-start))
	}
	return err
}

// looksAtTheClock is how many batches are sent between two looks at the clock.
const looksAtTheClock = 64

// monotonic is the kernel's clock, which is the same in both processes.
func monotonic() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

// other is the second process, from the first one's view.
type other struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// environment of the second process says that it is one.
const environment = "VILLAS_SECOND_PROCESS"

// run starts the second process and has the first one do its part.
func (j *job) run(ctx context.Context, o Options, first func(end, *other) error) (err error) {
	defer func() {
		if ctx.Err() != nil {
			err = ctx.Err()
		} else if err != nil {
			err = fmt.Errorf("%s: %d values: %w", j.Column, j.Values, err)
		}
	}()
	runtime.LockOSThread() // it is bound to a CPU, and the second process ends with it
	defer runtime.UnlockOSThread()
	mine, theirs, err := j.makeTransport(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mine.close()) }()
	cpu := -1
	j.CPU = -1
	if len(o.CPUs) > 0 {
		cpu, j.CPU = o.CPUs[0], o.CPUs[1%len(o.CPUs)]
	}
	p, err := j.start(ctx, theirs)
	if err != nil {
		return err
	}
	unbind, err := bind(cpu)
	if err == nil {
		if err = mine.meet(ctx); err == nil {
			err = first(mine, p)
		}
		unbind()
	}
	if err != nil {
		p.cmd.Process.Kill()
	}
	if failed := p.cmd.Wait(); err == nil {
		err = failed
	}
	return err
}

// start starts the second process with its files, and waits until it is ready.
func (j *job) start(ctx context.Context, files []*os.File) (*other, error) {
	for _, f := range files {
		defer f.Close()
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	p := &other{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), environment+"="+string(b))
	p.cmd.ExtraFiles, p.cmd.Stderr = files, os.Stderr
	p.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if _, err := p.out.ReadString('\n'); err != nil {
		p.cmd.Process.Kill()
		return nil, errors.Join(errors.New("the second process did not start"), p.cmd.Wait())
	}
	return p, nil
}

// ended waits for the time at which the second process took the last sample.
func (p *other) ended() (ns int64, err error) {
	line, err := p.out.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &ns)
	}
	return ns, err
}

// Second is the whole second process: it does not return in one, and does nothing
// otherwise.
func Second() {
	text, is := os.LookupEnv(environment)
	if !is {
		return
	}
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		err = j.second()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "second process:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (j *job) second() error {
	runtime.LockOSThread()
	e, err := j.joinTransport()
	if err != nil {
		return err
	}
	if _, err := bind(j.CPU); err != nil {
		return err
	}
	fmt.Println("ready")
	sequence := int32(0)
	for sequence != last && err == nil {
		if j.Batch == 0 {
			sequence, err = e.bounce()
		} else {
			sequence, err = e.take(j.Batch)
		}
	}
	if err != nil {
		return err
	}
	fmt.Println(monotonic())
	return e.close()
}

// bind binds this thread to a CPU, -1 to none, and returns what undoes it.
func bind(cpu int) (undo func(), err error) {
	var before, one unix.CPUSet
	if cpu < 0 {
		return func() {}, nil
	}
	one.Set(cpu)
	if err = unix.SchedGetaffinity(0, &before); err == nil {
		err = unix.SchedSetaffinity(0, &one)
	}
	if err != nil {
		return nil, fmt.Errorf("bind to CPU %d: %w", cpu, err)
	}
	return func() { unix.SchedSetaffinity(0, &before) }, nil
}

// CPUs are those that this process may use.
func CPUs() (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// makeTransport makes the first process's end, and the files of the second one's.
func (j *job) makeTransport(ctx context.Context) (end, []*os.File, error) {
	if j.overMemory() {
		e, err := j.makeRegion()
		return e, nil, err
	}
	m := &messages{ctx: ctx}
	files, err := m.make(j)
	return m, files, err
}

// joinTransport is the second process's end.
func (j *job) joinTransport() (end, error) {
	if j.overMemory() {
		return j.joinRegion()
	}
	m := &messages{ctx: context.Background()}
	m.join(j)
	return m, nil
}

func (j *job) overMemory() bool {
	return slices.Contains([]string{Polling, Signalled, NoSpin}, j.Column)
}

// fill and total: each process writes, or reads, all values.
func fill(values []int32, sequence int32) {
	for i := range values {
		values[i] = sequence + int32(i)
	}
}

func total(values []int32) {
	for _, v := range values {
		sum += v
	}
}

// sum is of no interest, but that it has to be computed.
var sum int32
