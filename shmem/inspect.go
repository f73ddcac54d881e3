// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/queue"
	"github.com/villas-ext/villas-ext/sample"
	"golang.org/x/sys/unix"
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
type QueueState struct {
	Capacity    uint64 `json:"capacity"` // samples
	Len         uint64 `json:"len"`      // that wait to be read
	Pushed      uint64 `json:"pushed"`   // since the region was made
	Pulled      uint64 `json:"pulled"`
	Unpublished uint64 `json:"unpublished"` // of Len: claimed by a writer that has not finished
	Sleeping    bool   `json:"sleeping"`    // a reader sleeps, or slept when it was killed
}

// PoolState is the pool of samples.
type PoolState struct {
	Blocks    uint64 `json:"blocks"`
	BlockSize uint64 `json:"block_size"` // bytes
	Values    int    `json:"values"`     // that a sample has room for
	Free      uint64 `json:"free"`
	Held      uint64 `json:"held"`   // in no queue: in somebody's hands
	Leaked    uint64 `json:"leaked"` // in no queue, and nobody is there to hold them
}

// Inspect looks at the region called name once; see [Inspector].
func Inspect(name string) (*Snapshot, error) {
	i, err := NewInspector(name)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	return i.Look()
}

// An Inspector looks into a region without being seen: it reads the object by
// pread(2) into memory of its own. It does not map the object, since a peer
// built with the original is judged by who maps it; it takes no lock and no
// sample, wakes nobody, and needs no permission but to read.
//
// It is not safe for concurrent use.
type Inspector struct {
	name   string
	fd     int
	st     unix.Stat_t
	copy   uintptr // as large as the object; pages that were not read take no memory
	region Region

	scanned time.Time // when mappers was filled
	mappers []int
	sure    bool // it is all of them
}

// NewInspector opens the region called name. Errors are those of [Open], but for
// those about the other side.
func NewInspector(name string) (*Inspector, error) {
	i := &Inspector{name: name}
	if err := i.open(); err != nil {
		return nil, explain("look into", name, err)
	}
	return i, nil
}

func (i *Inspector) open() (err error) {
	if i.fd, err = posixshm.OpenToRead(i.name); err != nil {
		return err
	}
	if i.st, err = posixshm.Stat(i.fd); err == nil && i.st.Size < int64(layout.HeaderSize) {
		err = ErrNotRegion
	}
	if err == nil {
		var p unsafe.Pointer
		p, err = unix.MmapPtr(-1, 0, nil, uintptr(i.st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		i.copy = uintptr(p)
	}
	if err == nil {
		if err = i.attach(); err != nil {
			posixshm.Unmap(i.copy, uintptr(i.st.Size))
		}
	}
	if err != nil {
		unix.Close(i.fd)
	}
	return err
}

// attach checks the geometry on the copy, as an open does on the object.
func (i *Inspector) attach() error {
	if err := i.fetch(i.copy, uint64(layout.HeaderSize)); err != nil {
		return err
	}
	if fault := i.region.Attach(i.copy, uintptr(i.st.Size)); fault != 0 {
		return unix.Errno(-fault)
	}
	for _, q := range i.queues() {
		if _, bytes := q.Cells(); bytes > uint64(i.st.Blocks)*512 { // a hole in place of cells
			return ErrDamaged
		}
	}
	return nil
}

func (i *Inspector) queues() []*queue.View {
	return []*queue.View{&i.region.In.View, &i.region.Out.View, i.region.Pool.Queue()}
}

// fetch reads the bytes of the object into their place in the copy.
func (i *Inspector) fetch(at uintptr, bytes uint64) error {
	to := unsafe.Slice((*byte)(word.At(at)), bytes)
	for off := int64(at - i.copy); len(to) > 0; {
		n, err := unix.Pread(i.fd, to, off)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return ErrDamaged // truncated meanwhile
		}
		to, off = to[max(n, 0):], off+int64(max(n, 0))
	}
	return nil
}

// Close forgets the region.
func (i *Inspector) Close() {
	posixshm.Unmap(i.copy, uintptr(i.st.Size))
	unix.Close(i.fd)
}

// Current reports whether the name still leads to this region: a node puts a
// fresh one there when a program has gone.
func (i *Inspector) Current() bool { return posixshm.LeadsTo(i.name, &i.st) }

// looks is how often a snapshot is tried to be taken while nothing moves.
const looks = 3

// Look takes a snapshot.
func (i *Inspector) Look() (*Snapshot, error) {
	r, exact := &i.region, false
	for n := 0; n < looks && !exact; n++ {
		before, err := i.positions()
		for _, q := range i.queues() {
			if err == nil {
				err = i.fetch(q.Cells())
			}
		}
		if err != nil {
			return nil, explain("look into", i.name, err)
		}
		after, err := i.positions()
		if err != nil {
			return nil, explain("look into", i.name, err)
		}
		exact = before == after
	}
	s := &Snapshot{
		Name: i.name, Taken: time.Now(), Size: uint64(i.st.Size), Mode: fmt.Sprintf("%04o", i.st.Mode&0o777), UID: i.st.Uid, GID: i.st.Gid,
		Polling: r.Polling, Reference: r.Legacy, Exact: exact,
		Node: Party{Stopped: r.Out.HasStopped()}, Program: Party{Stopped: r.In.HasStopped()},
	}
	sure := i.parties(s)
	used := make([]bool, r.Pool.Count())
	s.In, s.Out = i.queue(&r.In, used), i.queue(&r.Out, used)
	free := i.count(r.Pool.Queue(), used)
	s.Pool = PoolState{
		Blocks: r.Pool.Count(), BlockSize: r.Pool.Size(), Values: sample.CapacityOf(r.Pool.Size()), Free: free.Len - free.Unpublished,
	}
	for _, in := range used {
		if !in {
			s.Pool.Held++
		}
	}
	if sure && !s.Node.Living && !s.Program.Living {
		s.Pool.Leaked, s.Pool.Held = s.Pool.Held, 0
	}
	return s, nil
}

// positions reads the head of the region again and returns where its queues stand.
func (i *Inspector) positions() (at [6]uint64, err error) {
	err = i.fetch(i.copy, uint64(layout.HeaderSize))
	for n, q := range i.queues() {
		at[2*n], at[2*n+1] = q.Positions()
	}
	return at, err
}

// scanEvery bounds how often all processes are looked at for who maps the object:
// that costs milliseconds.
const scanEvery = time.Second

// parties tells who is there: by the locks, and where a side has none by who maps
// the object. It is sure if no process hides what it maps, or none needs to be
// looked at.
func (i *Inspector) parties(s *Snapshot) (sure bool) {
	r := &i.region
	s.Attach, s.Node.Pid, s.Program.Pid = AttachState(AttachAttached), 0, 0
	if !r.Legacy {
		s.Attach = AttachState(word.Load32(r.State))
		s.Node.Pid, s.Program.Pid = r.NodePid(), r.ProgramPid()
		s.Node.Living, _ = liveness.Held(i.fd, liveness.NodeByte)
		s.Program.Living, _ = liveness.Held(i.fd, liveness.ProgramByte)
	}
	lockless := r.Legacy || s.Attach == AttachState(AttachAttached) && s.Program.Pid == 0
	if i.scanned.IsZero() || lockless && time.Since(i.scanned) > scanEvery {
		i.mappers, i.sure = liveness.Mappers(i.st.Dev, i.st.Ino)
		i.scanned = time.Now()
	}
	s.Mappers = i.mappers
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
	return i.sure || !lockless
}

// queue describes a direction and marks the blocks in it as used.
func (i *Inspector) queue(c *Channel, used []bool) QueueState {
	s := i.count(&c.View, used)
	s.Sleeping = word.Load32(c.Waiters) != 0
	return s
}

// count walks through the elements of a queue and marks the blocks.
func (i *Inspector) count(q *queue.View, used []bool) QueueState {
	s := QueueState{Capacity: q.Capacity(), Len: q.Len()}
	s.Pushed, s.Pulled = q.Positions()
	for n := range s.Len {
		pos := s.Pulled + n
		_, sequence, block := q.Cell(pos)
		if sequence == pos {
			s.Unpublished++
		} else if k := i.region.Pool.Index(block); k < uint64(len(used)) {
			used[k] = true
		}
	}
	return s
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
// to go on with. A copy is valid until each returns.
//
// The samples are not held meanwhile: a block may be reused at any time. So a block
// that a later sample lies in is left out, the cell and the sample are read once
// more, and what has changed is left out as well. What remains may rarely be a sample that
// a writer has begun to fill and not yet written.
func (i *Inspector) Recent(toNode bool, since uint64, most int, each func(sample.Sample)) (next uint64, err error) {
	q := &i.region.Out.View
	if toNode {
		q = &i.region.In.View
	}
	if err := i.fetch(i.copy, uint64(layout.HeaderSize)); err != nil {
		return since, err
	}
	pushed, _ := q.Positions()
	n := min(pushed-since, uint64(max(most, 0)), q.Capacity())
	if pushed < since {
		n = 0
	}
	if n > 1 {
		if err := i.fetch(q.Cells()); err != nil {
			return since, err
		}
	}
	later, first := map[uintptr]bool{}, pushed-n
	reused := make([]bool, n)
	for k := n; k > 0 && n > 1; k-- {
		_, _, block := q.Cell(first + k - 1)
		reused[k-1], later[block] = later[block], true
	}
	for k := range n {
		if reused[k] {
			continue
		}
		s, ok, err := i.at(q, first+k)
		if err != nil {
			return first + k, err
		}
		if ok {
			each(s)
		}
	}
	return pushed, nil
}

// at reads the sample of position pos, and false if it is not there, or no more.
func (i *Inspector) at(q *queue.View, pos uint64) (none sample.Sample, ok bool, err error) {
	cell, _, _ := q.Cell(pos)
	if err := i.fetch(cell, uint64(queue.CellSize)); err != nil {
		return none, false, err
	}
	_, sequence, block := q.Cell(pos)
	if !q.Published(pos, sequence) || !i.region.Pool.Contains(block) {
		return none, false, nil
	}
	size := i.region.Pool.Size()
	if err := i.fetch(block, size); err != nil {
		return none, false, err
	}
	bytes := unsafe.Slice((*byte)(word.At(block)), size)
	before := slices.Clone(bytes)
	if err := errors.Join(i.fetch(block, size), i.fetch(cell, uint64(queue.CellSize))); err != nil {
		return none, false, err
	}
	_, again, _ := q.Cell(pos)
	same := slices.Equal(before[:refcnt], bytes[:refcnt]) && slices.Equal(before[refcntEnd:], bytes[refcntEnd:])
	return sample.At(block, &i.region.Pool), same && q.Published(pos, again), nil
}

// The count of references may change while the sample does not.
const (
	refcnt    = unsafe.Offsetof(layout.Sample{}.Refcnt)
	refcntEnd = refcnt + unsafe.Sizeof(layout.Sample{}.Refcnt)
)
