// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/onlook"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/sample"
)

// A Snapshot is what a region looked like at a moment.
type Snapshot struct {
	Name      string      `json:"name"`
	Taken     time.Time   `json:"taken"`
	Size      uint64      `json:"size"` // bytes of the object
	Mode      string      `json:"mode"` // permissions, in octal
	UID       uint32      `json:"uid"`
	GID       uint32      `json:"gid"`
	Polling   bool        `json:"polling"`
	Reference bool        `json:"reference"` // a node built with the original made it
	Signs     int         `json:"signs"`     // of layout A, of five: four are enough to take it for a region
	Attach    AttachState `json:"attach"`
	Node      Party       `json:"node"`
	Program   Party       `json:"program"`
	In        QueueState  `json:"in"`  // external program to node
	Out       QueueState  `json:"out"` // node to external program
	Pool      PoolState   `json:"pool"`
	Mappers   []int       `json:"mappers"` // processes that map the object, as far as they can be looked into
	Exact     bool        `json:"exact"`   // nothing moved while the snapshot was taken
}

// AttachState is how far a program has come.
type AttachState uint32

func (s AttachState) String() string {
	if int(s) < len(attachStates) {
		return attachStates[s]
	}
	return "damaged"
}

// MarshalText is String.
func (s AttachState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var attachStates = [...]string{AttachFree: "free", AttachAttaching: "attaching", AttachAttached: "attached", AttachRetired: "retired"}

// A Party is one side.
type Party struct {
	Pid     int  `json:"pid,omitempty"` // as the side wrote it, 0 if unknown
	Living  bool `json:"living"`
	Stopped bool `json:"stopped"` // it has said that it stops
}

// QueueState is one direction.
type QueueState = onlook.Queue

// PoolState is the pool of samples.
type PoolState = onlook.Pool

// Inspect looks at the region called name once; see [Inspector].
func Inspect(name string) (*Snapshot, error) {
	i, err := NewInspector(name)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	return i.Look()
}

// An Inspector looks into a region without being seen: it reads the object into
// memory of its own, takes no lock and no sample, wakes nobody, and needs no
// permission but to read. It is not safe for concurrent use.
type Inspector struct {
	object *onlook.Object
	region Region
	signs  int
}

// NewInspector opens the region called name. Errors are those of [Open], but for
// those about the other side.
func NewInspector(name string) (*Inspector, error) {
	i := new(Inspector)
	var err error
	i.object, err = onlook.Open(name, onlook.Plan{
		Header: layout.HeaderSize,
		Attach: func(base, size uintptr) int32 {
			i.signs = signs(base, size)
			return i.region.Attach(base, size)
		},
		Pool: &i.region.Pool, Channels: []*Channel{&i.region.In, &i.region.Out}, Refcnt: sample.OffRefcnt,
	})
	if err != nil {
		return nil, explain("look into", name, err)
	}
	return i, nil
}

// Close forgets the region.
func (i *Inspector) Close() { i.object.Close() }

// Current reports whether the name still leads to this region: a node puts a
// fresh one there when a program has gone.
func (i *Inspector) Current() bool { return i.object.Current() }

// Look takes a snapshot.
func (i *Inspector) Look() (*Snapshot, error) {
	o, r := i.object, &i.region
	exact, err := o.Look()
	if err != nil {
		return nil, explain("look into", o.Name, err)
	}
	s := &Snapshot{
		Name: o.Name, Taken: time.Now(), Size: uint64(o.St.Size), Mode: fmt.Sprintf("%04o", o.St.Mode&0o777), UID: o.St.Uid, GID: o.St.Gid,
		Polling: r.Polling, Reference: r.Legacy, Signs: i.signs, Exact: exact,
		Node: Party{Stopped: r.Out.HasStopped()}, Program: Party{Stopped: r.In.HasStopped()},
	}
	sure := i.parties(s)
	channels, p := o.Queues(sample.CapacityOf(r.Pool.Size()), sure && !s.Node.Living && !s.Program.Living)
	s.In, s.Out, s.Pool = channels[0], channels[1], p
	return s, nil
}

// parties tells who is there: by the locks, and where a side has none by who maps
// the object. It is sure if no process hides what it maps, or none needs to be
// looked at.
func (i *Inspector) parties(s *Snapshot) (sure bool) {
	o, r := i.object, &i.region
	s.Attach, s.Node.Pid, s.Program.Pid = AttachState(AttachAttached), 0, 0
	if !r.Legacy {
		s.Attach = AttachState(word.Load32(r.State))
		s.Node.Pid, s.Program.Pid = r.NodePid(), r.ProgramPid()
		s.Node.Living, _ = liveness.Held(o.FD, liveness.NodeByte)
		s.Program.Living, _ = liveness.Held(o.FD, liveness.ProgramByte)
	}
	lockless := r.Legacy || s.Attach == AttachState(AttachAttached) && s.Program.Pid == 0
	s.Mappers, sure = o.Mappers(lockless)
	switch others := len(s.Mappers); {
	case r.Legacy:
		s.Node.Living = others > 0 && !s.Node.Stopped
		s.Program.Living = others > 1 && !s.Program.Stopped
	case lockless:
		if slices.Contains(s.Mappers, s.Node.Pid) {
			others--
		}
		s.Program.Living = others > 0 && !s.Program.Stopped
	}
	return sure || !lockless
}

// ErrNoSample: nothing was written in that direction yet, or it moves too fast to
// be looked at.
var ErrNoSample = errors.New("there is no sample to look at")

// Latest returns a copy of the sample that was written last towards the node, or
// else towards the program, whether it was read yet or not. It is valid until the
// next call.
func (i *Inspector) Latest(toNode bool) (latest sample.Sample, err error) {
	for n := 0; n < 10 && latest.IsZero() && err == nil; n++ {
		_, err = i.Recent(toNode, 0, 1, func(s sample.Sample) { latest = s })
	}
	if latest.IsZero() && err == nil {
		err = ErrNoSample
	}
	return latest, err
}

// Recent calls each with copies of the samples that were written in a direction
// from the position since on, of more than most the last, and returns the position
// to go on with. A copy is valid until each returns. What is reused meanwhile is left
// out.
func (i *Inspector) Recent(toNode bool, since uint64, most int, each func(sample.Sample)) (next uint64, err error) {
	c := &i.region.Out
	if toNode {
		c = &i.region.In
	}
	return i.object.Recent(&c.View, since, most, func(addr uintptr) { each(sample.At(addr, &i.region.Pool)) })
}
