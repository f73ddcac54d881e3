// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/exchange"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/wait"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
)

const (
	// ghostAfter is when one who came to the barrier, does not sleep there and has
	// no process to be seen counts as dead; ghostUnseenAfter the same without a
	// look at processes, which may be in another container.
	ghostAfter       = 100 * time.Millisecond
	ghostUnseenAfter = 5 * time.Second
)

// mapping is one mapped region and what this process knows of the other side.
type mapping struct {
	Region
	wait.Party
	fd       int
	st       unix.Stat_t
	hold     *liveness.Hold
	peerByte int64 // that the other side locks
	held     []byte
	link     exchange.Link
	in, out  exchange.Direction

	met          atomic.Bool       // at the barrier
	peer         liveness.Sighting // of a peer without a lock
	told         sync.Once
	toldAttached atomic.Bool
	accepted     bool             // by Accept, or not to be
	gone         func(m *mapping) // hears once that the other side is gone; may be nil
}

// ready prepares a mapping whose region is attached for waiting.
func (m *mapping) ready() {
	m.in.Init(&m.In, &m.Region.Pool, m.Polling, false)
	m.out.Init(&m.Out, &m.Region.Pool, m.Polling, false)
	m.link = exchange.Link{Party: &m.Party, RX: &m.out, TX: &m.in, Gone: m.tellGone}
	if m.isNode() {
		m.link.RX, m.link.TX = &m.in, &m.out
	}
	m.Party.Channels = [2]*wait.Channel{&m.in.Wait, &m.out.Wait}
	m.Party.Barrier = m.Region.Barrier
	m.Party.Lives = m.peerLives
	m.Party.Begin()
}

// unmap lets the region go, and all that goes with it: at once, or when nobody
// has any of its samples any more. Nobody may be in a call on it that waits, or
// looks after the other side.
func (m *mapping) unmap(now bool) {
	m.Unguard()
	m.hold.Release()
	sample.Forget(&m.Region.Pool)
	unix.Close(m.fd)
	var forget func()
	if held := m.held; held != nil {
		forget = func() {
			word.Forbid(uintptr(unsafe.Pointer(&held[0])))
			unix.Munmap(held)
		}
	}
	if now {
		posixshm.Discard(m, m.Base, m.Size, forget)
	} else {
		posixshm.Abandon(m, m.Base, m.Size, forget)
	}
}

// isNode reports whether this process is the node here.
func (m *mapping) isNode() bool { return m.peerByte == liveness.ProgramByte }

// peerLives reports false once the other side is known to be dead.
func (m *mapping) peerLives() bool {
	lives := true
	if m.isNode() && !m.attached() {
		return true // nobody is there yet
	}
	if m.Party.Legacy.Load() {
		lives = m.legacyPeerLives()
	} else if held, err := liveness.Held(m.fd, m.peerByte); err == nil {
		lives = held
	}
	if !lives {
		m.Dead.Store(true)
		m.tellGone()
	}
	return lives
}

// legacyPeerLives: a peer without a lock lives as long as some process maps the
// object. One that was never seen can only be judged by [Node.ProgramEnded].
func (m *mapping) legacyPeerLives() bool {
	if m.peer.Pid() != 0 {
		return m.peer.Remains(m.st.Dev, m.st.Ino)
	}
	if !m.met.Load() {
		m.peerSeen()
	}
	return true
}

// peerSeen returns how many processes are seen to map the region: none, one, or
// two and more.
func (m *mapping) peerSeen() int { return m.peer.Look(m.st.Dev, m.st.Ino) }

// tellGone tells the user, once, that the other side is gone.
func (m *mapping) tellGone() {
	if m.gone != nil {
		m.told.Do(func() { m.gone(m) })
	}
}

// A side is one end of a region: what Node and Program have in common.
type side struct {
	exchange.Side
	name    string
	current atomic.Pointer[mapping]
}

// join makes m the present mapping; nil: there is none any more.
func (s *side) join(m *mapping) (before *mapping) {
	var l *exchange.Link
	if m != nil {
		l = &m.link
	}
	exchange.Join(&s.Side, l)
	return s.current.Swap(m)
}

// Pool returns the pool of the present region. It is valid until Close, a node's
// until the Accept after a program has gone.
func (s *side) Pool() *pool.View { return &s.current.Load().Region.Pool }

// Polling reports whether readers poll instead of being woken.
func (s *side) Polling() bool { return s.current.Load().Region.Polling }

// Name returns the name of the region.
func (s *side) Name() string { return s.name }

// Samples reads until the exchange or ctx ends, one sample at a time. A sample is
// put back when the loop body is done with it; to keep it, Get a reference. The
// end of the exchange, io.EOF, ends the loop; any other error is yielded last.
func (s *side) Samples(ctx context.Context) iter.Seq2[sample.Sample, error] {
	return exchange.Samples(ctx, s.ReadContext)
}
