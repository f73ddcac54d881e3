// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/exchange"
	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/pthread"
	"github.com/villas-ext/villas-ext/internal/wait"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
)

// Defaults of [Config].
const (
	DefaultQueueLen  = 512
	DefaultSampleLen = 64
)

// Config describes a node's region.
type Config struct {
	QueueLen   int           // elements of either queue; the pool has twice as many samples; 0: DefaultQueueLen
	SampleLen  int           // values of a sample; 0: DefaultSampleLen, negative: none
	Polling    bool          // readers of both sides poll; else they sleep and are woken
	NoLegacy   bool          // refuse programs that know only the original's pthread protocol; such a program must be trusted
	LockMemory bool          // mlock(2) the region
	Spin       time.Duration // longest spin before a sleep; 0: environment VILLAS_EXT_SPIN or 50 us; negative: none
	Mode       os.FileMode   // permissions of the object; 0: 0600
	Group      int           // group of the object; 0: the process's
	Notify     func(Event)   // hears of programs that come and go; may be nil
}

// An Event is something that happens to a node. [Config.Notify] hears of each
// once, on whichever goroutine finds out, and must not call methods of the node
// but [Node.Stats]. That a program is gone is found out by calls of this side
// while they wait, find a queue empty or full, and by Accept.
type Event struct {
	Kind EventKind
	Pid  int // of the program; 0 where it is not known
}

// EventKind says what happened.
type EventKind int

const (
	ProgramAttached EventKind = iota + 1 // a program was accepted
	ProgramStopped                       // it has closed the region
	ProgramDied                          // it is dead
	// MutexStuck: a program built with the original holds the mutex of a queue for
	// more than 50 ms, stopped or dead. Until it can be had again readers look every
	// millisecond instead.
	MutexStuck
)

func (k EventKind) String() string {
	return [...]string{"nothing happened", "program attached", "program stopped", "program died", "mutex of a queue stuck"}[k]
}

// Stats counts the events of a node.
type Stats struct {
	Attached, Stopped, Died, MutexStuck uint64
}

// A Node is the node's side of a region. Like a listening socket it has a name,
// and programs come and go, one after the other.
type Node struct {
	side
	config Config

	mu     sync.Mutex // one Accept or Close at a time
	former []*mapping // regions of programs that have gone, while samples of them are held
	rest   chan struct{}
	asleep sync.WaitGroup

	events [MutexStuck + 1]atomic.Uint64
}

// barrierPoll is how often Accept looks whether a program built with the original
// has come to the barrier; wakeAgain how often such a program is woken while
// samples wait for it, since it goes to sleep without looking.
const (
	barrierPoll = time.Millisecond
	wakeAgain   = 500 * time.Microsecond
)

// Create puts a region under the name name, in place of one that a dead node left
// there. It does not wait for a program: see [Node.Accept].
//
// Errors, by errors.Is: [ErrNameTaken], [unix.EINVAL], [unix.ENAMETOOLONG],
// [unix.ENOSPC] (all memory is reserved now), [os.ErrPermission].
func Create(name string, c Config) (*Node, error) {
	if c.QueueLen == 0 {
		c.QueueLen = DefaultQueueLen
	}
	if c.SampleLen == 0 {
		c.SampleLen = DefaultSampleLen
	}
	c.SampleLen = max(c.SampleLen, 0)
	if c.Mode == 0 {
		c.Mode = 0600
	}
	if c.Group == 0 {
		c.Group = -1
	}
	n := &Node{side: side{name: name}, config: c}
	if c.QueueLen < 0 {
		return nil, explain("create", name, unix.EINVAL)
	}
	if err := n.makeRegion(nil); err != nil {
		return nil, explain("create", name, err)
	}
	return n, nil
}

// makeRegion makes a fresh region and puts it under the node's name, in place of
// the object own if that is given.
func (n *Node) makeRegion(own *unix.Stat_t) error {
	c := &n.config
	size := TotalSize(uint64(c.QueueLen), uint64(c.QueueLen), uint64(c.SampleLen))
	if _, err := posixshm.Path(n.name); err != nil {
		return err
	}
	if size == 0 {
		return unix.EINVAL
	}
	fd, path, err := posixshm.Create(int64(size), c.Mode, c.Group)
	if err != nil {
		return err
	}
	m := &mapping{fd: fd, peerByte: liveness.ProgramByte, gone: n.tellGone}
	m.Stuck = func() { n.tell(MutexStuck, m.programPid()) }
	if err = m.build(c, uintptr(size)); err == nil {
		if m.hold, err = liveness.Take(fd, liveness.NodeByte); err == nil {
			if own != nil {
				err = posixshm.Publish(path, n.name, own)
			} else {
				err = liveness.TakeName(path, n.name, madeByUs)
			}
		}
	}
	if err != nil {
		if m.Base != 0 {
			m.unmap(true)
		} else {
			unix.Close(fd)
		}
		return err
	}
	m.link.Spin = exchange.SpinFor(c.Spin)
	n.join(m)
	return nil
}

// build lays out the region in the new object.
func (m *mapping) build(c *Config, size uintptr) (err error) {
	if m.st, err = posixshm.Stat(m.fd); err != nil {
		return err
	}
	base, err := posixshm.Map(m.fd, size, c.LockMemory)
	if err != nil {
		return err
	}
	m.Base, m.Size = base, size
	if fault := Format(base, size, uint64(c.QueueLen), uint64(c.SampleLen), c.Polling); fault != 0 {
		return unix.Errno(-fault)
	}
	Answer(base, uint32(os.Getpid()))
	if fault := m.Attach(base, size); fault != 0 {
		return unix.Errno(-fault)
	}
	m.ready()
	if m.held, err = unix.Mmap(-1, 0, int(m.Region.Pool.Count()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		return err
	}
	m.Region.Pool.NoteHeld(uintptr(unsafe.Pointer(&m.held[0])))
	if c.NoLegacy {
		return nil
	}
	if err := pthread.InitBarrier(m.Region.Barrier, m.Region.Barrier+offBarrierAttr, 2); err != nil {
		return err
	}
	if m.Polling {
		return nil
	}
	for _, ch := range []*Channel{&m.In, &m.Out} {
		if err := errors.Join(pthread.InitMutex(ch.Mutex), pthread.InitCond(ch.Ready)); err != nil {
			return err
		}
	}
	return nil
}

// madeByUs reports whether a node of ours made the region.
func madeByUs(fd int, st unix.Stat_t) bool {
	m := &mapping{fd: fd, st: st}
	if st.Size == 0 || m.mapAndAttach(false) != nil {
		return false
	}
	defer posixshm.Unmap(m.Base, m.Size)
	return !m.Region.Legacy
}

// attached reports whether a program is, or was, attached to the region.
func (m *mapping) attached() bool { return word.Load32(m.State) == AttachAttached }

// Accept waits until a program is attached, at once if one is, also if it has come
// and gone since the former Accept: what it sent is still to be read. If the
// program of the former Accept has gone, by Close or by death, a fresh region is put
// under the name first; samples of the former region that are still held stay valid
// until they are put, but can no longer be written.
func (n *Node) Accept(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ghost, attaching time.Time
	var stop func() bool
	for {
		m := n.current.Load()
		if m == nil {
			return os.ErrClosed
		}
		if stop == nil && ctx.Done() != nil {
			stop = context.AfterFunc(ctx, func() { futex.Wake(m.State) })
			defer stop()
		}
		at := wait.Nobody
		if !n.config.NoLegacy && !m.toldAttached.Load() && word.Load32(m.State) == AttachFree { // one of ours does not become another
			at = m.AtBarrier()
		}
		if at != wait.Ghost {
			ghost = time.Time{}
		} else if ghost.IsZero() {
			ghost = time.Now()
		}
		// A program that died on its way in leaves the word between two states.
		if word.Load32(m.State) != AttachAttaching {
			attaching = time.Time{}
		} else if held, err := liveness.Held(m.fd, liveness.ProgramByte); held || err != nil {
			attaching = time.Time{}
		} else if attaching.IsZero() {
			attaching = time.Now()
		}
		// Two living who paired at the barrier, or one who died there, leave it out
		// of step: it is made anew with the rest.
		stood := time.Duration(0)
		if !ghost.IsZero() {
			stood = time.Since(ghost)
		}
		paired := at == wait.Paired && m.peerSeen() == 1
		unfit := at == wait.Paired && !paired || stood > ghostUnseenAfter || stood > ghostAfter && m.peerSeen() == 0 ||
			!attaching.IsZero() && time.Since(attaching) > ghostAfter
		if unfit || m.accepted && m.programGone() { // one that came and went meanwhile is still to be heard
			if err := n.renew(m); err != nil {
				return explain("renew", n.name, err)
			}
			ghost, attaching, stop = time.Time{}, time.Time{}, nil
			continue
		}
		state := word.Load32(m.State)
		switch {
		case state == AttachAttached:
			n.tellAttached(m)
			m.accepted = true
			return nil
		case m.Closing.Load():
			return os.ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case at == wait.Waits || paired:
			n.meet(m, paired)
			continue
		}
		futex.Wait(m.State, state, barrierPoll)
	}
}

// meet lets in a program built with the original, that waits at the barrier, or
// has paired there with one that died, and so believes to have met us.
func (n *Node) meet(m *mapping, paired bool) {
	if !m.EnterLegacy() {
		return // a program of ours was faster
	}
	m.Party.Legacy.Store(true)
	if paired {
		m.Guard()
	} else if m.Meet(m.peerSeen() > 0) != nil {
		m.told.Do(func() {}) // nobody was here
		m.accepted = true
		m.Dead.Store(true)
		return
	}
	m.met.Store(true)
	if !m.Polling {
		n.startWaking(m)
	}
}

// programGone reports whether a program was attached and is gone.
func (m *mapping) programGone() bool {
	return m.attached() && (m.In.HasStopped() || m.Dead.Load() || !m.peerLives())
}

func (n *Node) tell(k EventKind, pid int) {
	n.events[k].Add(1)
	if n.config.Notify != nil {
		n.config.Notify(Event{k, pid})
	}
}

func (n *Node) tellAttached(m *mapping) {
	if !m.toldAttached.Swap(true) {
		n.tell(ProgramAttached, m.programPid())
	}
}

func (n *Node) tellGone(m *mapping) {
	n.tellAttached(m)
	if m.In.HasStopped() {
		n.tell(ProgramStopped, m.programPid())
	} else {
		n.tell(ProgramDied, m.programPid())
	}
}

// programPid is the process id of the program, 0 where it is not known.
func (m *mapping) programPid() int {
	if m.Party.Legacy.Load() {
		return m.peer.Pid()
	}
	return m.ProgramPid()
}

// Stats returns how often each event has happened so far.
func (n *Node) Stats() Stats {
	return Stats{n.events[ProgramAttached].Load(), n.events[ProgramStopped].Load(), n.events[ProgramDied].Load(), n.events[MutexStuck].Load()}
}

// Attached reports whether a program is attached now.
func (n *Node) Attached() bool {
	m := n.current.Load()
	return m != nil && m.attached() && !m.In.HasStopped() && !m.Dead.Load()
}

// Legacy reports whether the attached program knows only the original's pthread
// protocol.
func (n *Node) Legacy() bool {
	m := n.current.Load()
	return m != nil && m.Party.Legacy.Load()
}

// ProgramEnded tells the node that the process which it may take for the program
// has ended. A program of ours is known to be gone by its lock, one that knows
// only the original's protocol by this, unless a process is seen to map the region.
func (n *Node) ProgramEnded() {
	m := n.current.Load()
	if m == nil || !m.link.Enter() {
		return
	}
	defer m.link.Leave()
	if m.Party.Legacy.Load() && m.peerSeen() == 0 {
		m.Dead.Store(true)
		m.tellGone()
		m.Wake(&m.in.Wait)
	}
}

// renew puts a fresh region in the place of old, whose program has gone.
func (n *Node) renew(old *mapping) error {
	n.stopWaking()
	err := n.makeRegion(&old.st)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOENT) {
		err = n.makeRegion(nil) // somebody took the name away: as at the start
	}
	if err != nil {
		return err
	}
	attached := old.Retire() == AttachAttached
	old.Out.Stop()
	if attached {
		old.tellGone()
	}
	if !n.config.NoLegacy {
		pthread.OpenBarrier(old.Region.Barrier) // who stands there, a second program of the original, sees the end
	}
	old.link.DriveOut()
	old.Unguard()
	old.hold.Release()
	var left [64]sample.Sample
	for _, d := range []*exchange.Direction{&old.in, &old.out} {
		for k, _ := d.Take(left[:]); k > 0; k, _ = d.Take(left[:]) {
			sample.PutAll(left[:k])
		}
	}
	n.former = append(n.former, old)
	n.sweep(false)
	return nil
}

// sweep lets go of former regions of which this process holds no block any more;
// of all, if told.
func (n *Node) sweep(all bool) {
	kept := n.former[:0]
	for _, m := range n.former {
		if all || !m.Region.Pool.Holds() {
			m.unmap(all)
		} else {
			kept = append(kept, m)
		}
	}
	n.former = kept
}

// startWaking keeps waking a program built with the original while samples wait
// for it: it may have gone to sleep without a look.
func (n *Node) startWaking(m *mapping) {
	n.rest = make(chan struct{})
	n.asleep.Go(func() {
		tick := time.NewTicker(wakeAgain)
		defer tick.Stop()
		for {
			select {
			case <-n.rest:
				return
			case <-tick.C:
				if m.Out.Readable() {
					m.Broadcast(&m.out.Wait)
				}
			}
		}
	})
}

func (n *Node) stopWaking() {
	if n.rest != nil {
		close(n.rest)
		n.asleep.Wait()
		n.rest = nil
	}
}

// Close tells the program that the node stops, removes the name and unmaps the
// region. Calls that wait end with [os.ErrClosed]. Samples must no longer be used.
func (n *Node) Close() error {
	m := n.join(nil)
	if m == nil {
		return os.ErrClosed
	}
	m.LeaveBy(time.Now().Add(exchange.Grace))
	m.Closing.Store(true)
	m.Retire()
	m.Out.Stop()
	posixshm.Unlink(n.name, &m.st)
	futex.Wake(m.State)
	n.mu.Lock()
	defer n.mu.Unlock()
	m.link.DriveOut()
	n.stopWaking()
	if !n.config.NoLegacy {
		pthread.OpenBarrier(m.Region.Barrier) // a program on its way in sees the end
	}
	m.Wake(&m.out.Wait)
	for end := time.Now().Add(exchange.Grace); m.Party.Legacy.Load() && !m.Polling && !m.In.HasStopped() && time.Now().Before(end) && m.peerLives(); {
		time.Sleep(time.Millisecond)
		m.Broadcast(&m.out.Wait)
	}
	m.unmap(true)
	n.sweep(true)
	return nil
}
