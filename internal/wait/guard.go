// SPDX-License-Identifier: Apache-2.0

package wait

import (
	"errors"
	"time"

	"github.com/villas-ext/villas-ext/internal/futex"
	"github.com/villas-ext/villas-ext/internal/pthread"
)

// enter comes before a call of glibc on an object that the other side shares. It
// is false if that side is dead: the objects are no more to be touched.
func (p *Party) enter() bool {
	p.inside.Add(1)
	if !p.Dead.Load() {
		return true
	}
	p.inside.Add(-1)
	return false
}

func (p *Party) leave() { p.inside.Add(-1) }

// Guard starts the guard, for an other side that is not one of ours: a goroutine
// that looks after it, and once it is dead makes the pthread objects anew under
// the feet of those of ours who are inside of glibc, until all have left.
func (p *Party) Guard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rest == nil {
		p.rest, p.resting = make(chan struct{}), make(chan struct{})
		go p.guard(p.rest, p.resting)
	}
}

// Unguard ends the guard. Nobody may be in a call any more.
func (p *Party) Unguard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rest != nil {
		close(p.rest)
		<-p.resting
		p.rest = nil
	}
}

// LeaveBy says that this process is about to leave, and waits until t and no
// longer for an other side that stands still in an object.
func (p *Party) LeaveBy(t time.Time) { p.leaveBy.CompareAndSwap(0, t.UnixNano()) }

func (p *Party) guard(rest, resting chan struct{}) {
	defer close(resting)
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for stood := false; ; {
		stands := p.atBarrier.Load() == 1
		if !p.Dead.Load() {
			p.looked.Store(time.Now().UnixNano())
			p.Lives()
		}
		by := p.leaveBy.Load()
		switch {
		case p.Dead.Load() || by != 0 && time.Now().UnixNano() >= by:
			p.getAllOut()
		case stood && stands:
			p.openBarrier()
		}
		stood = stands
		select {
		case <-rest:
			return
		case <-tick.C:
		}
	}
}

func (p *Party) getAllOut() {
	var unknown [2]int
	for p.inside.Load() != 0 {
		if p.atBarrier.Load() != 0 {
			p.openBarrier()
		}
		for i, c := range p.Channels {
			if !c.Polling {
				pthread.UnlockFor(c.Mutex, &unknown[i])
				pthread.MakeAnew(c.Ready)
			}
		}
		time.Sleep(again)
	}
}

func (p *Party) openBarrier() {
	p.atBarrier.Store(2)
	pthread.OpenBarrier(p.Barrier)
}

// Barrier is what there is at a barrier for two.
type Barrier int

const (
	Nobody Barrier = iota // nobody came, or all left in pairs
	Waits                 // somebody sleeps there: alive, and not stopped
	Ghost                 // somebody came and does not sleep there: on the way to sleep, stopped, or killed
	Paired                // two have met there before
)

// AtBarrier tells who is at the barrier of p. A wake-up for nothing is harmless
// to who waits there, and tells how many there are: of those who have come only
// the living sleep. That holds across users and containers, where no /proc shows
// them.
func (p *Party) AtBarrier() Barrier {
	arrived, before := pthread.Arrived(p.Barrier)
	switch {
	case arrived == before && before != 0:
		return Paired
	case arrived == before:
		return Nobody
	case futex.Wake(pthread.BarrierWord(p.Barrier)) > 0:
		return Waits
	}
	return Ghost
}

// meetLooks is how often somebody who waits at the barrier and has no process to
// be seen is looked for there again.
const meetLooks = 50

// Errors of [Party.Meet].
var (
	errNobody = errors.New("nobody waits at the barrier")
	ErrDied   = errors.New("the other side died")
)

// Meet arrives at the barrier, where somebody waits whose process was seen, or,
// if not, is seen to wait once more. It fails with [ErrDied], or because nobody
// does or somebody else was faster: look again then.
func (p *Party) Meet(seen bool) error {
	p.Guard()
	for i := 0; !seen; i++ {
		if i == meetLooks {
			return errNobody
		}
		time.Sleep(again)
		seen = p.AtBarrier() == Waits
	}
	if !p.enter() {
		return ErrDied
	}
	p.atBarrier.Store(1)
	pthread.Meet(p.Barrier)
	how := p.atBarrier.Swap(0)
	p.leave()
	switch {
	case p.Dead.Load():
		return ErrDied
	case how == 2:
		return errNobody
	}
	return nil
}
