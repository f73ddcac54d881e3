// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"context"
	"os"
	"time"

	"github.com/villas-ext/villas-ext/internal/exchange"
	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/pthread"
	"github.com/villas-ext/villas-ext/internal/wait"
	"github.com/villas-ext/villas-ext/internal/word"
	"golang.org/x/sys/unix"
)

// A Program is the external program's side of a region.
type Program struct{ side }

// OpenOptions are options of [Open]; the zero value is the usual.
type OpenOptions struct {
	NoLegacy   bool          // refuse a node that knows only the original's pthread protocol; such a node must be trusted
	LockMemory bool          // mlock(2) the region
	Spin       time.Duration // longest spin before a sleep; 0: environment VILLAS_EXT_SPIN or 50 us; negative: none
}

// replacement is how long Open waits for a node that is about to put a fresh
// region under the name; barrierLook how often it looks whether a node built with
// the original has come to the barrier.
const (
	replacement = 2 * time.Second
	barrierLook = 500 * time.Microsecond
)

// Open maps the region called name and waits for its node, until ctx ends. A
// leading '/' of the name is optional.
//
// Errors, by errors.Is: [os.ErrNotExist], [os.ErrPermission], [ErrNotRegion],
// [ErrDamaged], [ErrBusy], [ErrPeerDied], [ErrLegacyRefused], [unix.EINVAL],
// [unix.ENAMETOOLONG], ctx's. Nothing stays mapped or open then.
func Open(ctx context.Context, name string, o OpenOptions) (*Program, error) {
	var until time.Time
	for {
		m, err := attempt(ctx, name, o)
		if err == nil {
			p := &Program{side{name: name}}
			m.link.Spin = exchange.SpinFor(o.Spin)
			p.join(m)
			return p, nil
		}
		if err != unix.ESTALE {
			return nil, explain("open", name, err)
		}
		if until.IsZero() {
			until = time.Now().Add(replacement)
		}
		if time.Now().After(until) {
			return nil, explain("open", name, ErrBusy)
		}
		select {
		case <-ctx.Done():
			return nil, explain("open", name, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

func attempt(ctx context.Context, name string, o OpenOptions) (*mapping, error) {
	fd, err := posixshm.Open(name)
	if err != nil {
		return nil, err
	}
	m := &mapping{fd: fd, peerByte: liveness.NodeByte}
	if m.st, err = posixshm.Stat(fd); err == nil && m.st.Size == 0 {
		err = ErrNotRegion
	}
	if err == nil {
		err = m.mapAndAttach(o.LockMemory)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	switch {
	case !m.Region.Legacy:
		err = m.enterRegion()
	case o.NoLegacy || os.Getenv("VILLAS_EXT_NO_LEGACY") != "":
		err = ErrLegacyRefused
	default:
		m.Party.Legacy.Store(true)
		err = m.meetAtBarrier(ctx)
	}
	if err != nil {
		m.unmap(true)
		return nil, err
	}
	return m, nil
}

// mapAndAttach maps the object and checks its geometry.
func (m *mapping) mapAndAttach(lock bool) error {
	size := uintptr(m.st.Size)
	base, err := posixshm.Map(m.fd, size, lock)
	if err != nil {
		return err
	}
	if fault := m.Attach(base, size); fault != 0 {
		posixshm.Unmap(base, size)
		return unix.Errno(-fault)
	}
	m.ready()
	return nil
}

// enterRegion attaches to a node of ours.
func (m *mapping) enterRegion() error {
	if held, err := liveness.Held(m.fd, liveness.NodeByte); err == nil && !held {
		if word.Load32(m.State) == AttachRetired {
			return unix.ESTALE // it has just put a fresh region under the name
		}
		return ErrPeerDied
	}
	if m.Out.HasStopped() {
		return unix.ESTALE
	}
	if fault := m.Enter(uint32(os.Getpid())); fault != 0 {
		if held, err := liveness.Held(m.fd, liveness.ProgramByte); fault == faultBusy && err == nil && !held {
			return unix.ESTALE // the program before us is gone or died on its way in, the node is about to notice
		}
		return unix.Errno(-fault)
	}
	hold, err := liveness.Take(m.fd, liveness.ProgramByte)
	if err == unix.EAGAIN || err == unix.EACCES {
		return ErrBusy
	}
	if err != nil {
		return err
	}
	m.hold = hold
	if !m.Entered() {
		return unix.ESTALE
	}
	futex.Wake(m.State)
	return nil
}

// meetAtBarrier stands at the barrier with a node built with the original. The
// barrier's wait can neither time out nor be interrupted, and a program that
// stands there alone pairs with the next one to come. So look until the node
// stands there, and only then arrive: the barrier is complete.
func (m *mapping) meetAtBarrier(ctx context.Context) error {
	if err := pthread.Available(); err != nil {
		return err
	}
	if pthread.BarrierCount(m.Region.Barrier) != 2 {
		return ErrDamaged
	}
	var ghost time.Time
	for {
		at := m.AtBarrier()
		if at == wait.Waits {
			if err := m.Meet(m.peerSeen() > 0); err == nil {
				m.met.Store(true)
				return nil
			}
		}
		switch {
		case m.Out.HasStopped() || m.Dead.Load():
			return ErrPeerDied
		case at == wait.Paired: // the node has met another program
			return ErrBusy
		case at != wait.Ghost:
			ghost = time.Time{}
		case ghost.IsZero():
			ghost = time.Now()
		case time.Since(ghost) > ghostAfter && m.peerSeen() == 0:
			return ErrPeerDied // it died while it stood there
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(barrierLook):
		}
	}
}

// Close tells the node that this side ends and unmaps the region. Calls that wait
// end with [os.ErrClosed]. Samples must no longer be used. The region's name is
// the node's to remove.
func (p *Program) Close() error {
	m := p.join(nil)
	if m == nil {
		return os.ErrClosed
	}
	m.In.Stop()
	m.link.DriveOut()
	m.Wake(&m.in.Wait)
	if m.State != 0 {
		futex.Wake(m.State)
	}
	m.unmap(true)
	return nil
}
