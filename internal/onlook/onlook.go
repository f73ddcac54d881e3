// SPDX-License-Identifier: Apache-2.0

// Package onlook looks into a shared memory object of either layout without being
// seen: it reads the object by pread(2) into memory of its own. It does not map the
// object, since a peer that holds no lock is judged by who maps it; it takes no lock
// and no sample, wakes nobody, and needs no permission but to read.
package onlook

import (
	"errors"
	"slices"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/queue"
	"golang.org/x/sys/unix"
)

// Queue is what a queue looked like.
type Queue struct {
	Capacity    uint64 `json:"capacity"` // samples
	Len         uint64 `json:"len"`      // that wait to be read
	Pushed      uint64 `json:"pushed"`   // since the region was made
	Pulled      uint64 `json:"pulled"`
	Unpublished uint64 `json:"unpublished"` // of Len: claimed by a writer that has not finished
	Sleeping    bool   `json:"sleeping"`    // a reader sleeps, or slept when it was killed
}

// Pool is what a pool of samples looked like.
type Pool struct {
	Blocks    uint64 `json:"blocks"`
	BlockSize uint64 `json:"block_size"` // bytes
	Values    int    `json:"values"`     // that a sample has room for
	Free      uint64 `json:"free"`
	Held      uint64 `json:"held"`   // in no queue: in somebody's hands
	Leaked    uint64 `json:"leaked"` // in no queue, and nobody is there to hold them
}

// A Plan is how to look at a layout.
type Plan struct {
	Header   uintptr                                // bytes at the front that say where all else is
	Attach   func(base, size uintptr) (fault int32) // checks the geometry, and fills what follows
	Pool     *pool.View
	Channels []*queue.Channel
	Refcnt   uintptr // where the count of references stands in a sample, which changes while the sample does not
}

// An Object is one that is looked at. It is not safe for concurrent use.
type Object struct {
	Name string
	FD   int
	St   unix.Stat_t
	plan Plan
	copy uintptr // as large as the object; pages that were not read take no memory

	scanned time.Time // when mappers was filled
	mappers []int
	sure    bool // it is all of them
}

// Open opens the object called name. A fault of the plan's Attach comes back as the
// [unix.Errno] that it is.
func Open(name string, plan Plan) (*Object, error) {
	o := &Object{Name: name, plan: plan}
	var err error
	if o.FD, err = posixshm.OpenToRead(name); err != nil {
		return nil, err
	}
	if o.St, err = posixshm.Stat(o.FD); err == nil && o.St.Size < int64(plan.Header) {
		err = unix.EPROTO
	}
	if err == nil {
		var p unsafe.Pointer
		p, err = unix.MmapPtr(-1, 0, nil, uintptr(o.St.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		o.copy = uintptr(p)
	}
	if err == nil {
		if err = o.attach(); err != nil {
			posixshm.Unmap(o.copy, uintptr(o.St.Size))
		}
	}
	if err != nil {
		unix.Close(o.FD)
		return nil, err
	}
	return o, nil
}

// attach checks the geometry on the copy, as an open does on the object.
func (o *Object) attach() error {
	if err := o.head(); err != nil {
		return err
	}
	if fault := o.plan.Attach(o.copy, uintptr(o.St.Size)); fault != 0 {
		return unix.Errno(-fault)
	}
	for _, q := range o.queues() {
		if _, bytes := q.Cells(); bytes > uint64(o.St.Blocks)*512 { // a hole in place of cells
			return unix.EBADMSG
		}
	}
	return nil
}

func (o *Object) queues() []*queue.View {
	all := []*queue.View{o.plan.Pool.Queue()}
	for _, c := range o.plan.Channels {
		all = append(all, &c.View)
	}
	return all
}

// head reads the front of the object.
func (o *Object) head() error { return o.fetch(o.copy, uint64(o.plan.Header)) }

// fetch reads the bytes of the object into their place in the copy.
func (o *Object) fetch(at uintptr, bytes uint64) error {
	to := unsafe.Slice((*byte)(word.At(at)), bytes)
	for off := int64(at - o.copy); len(to) > 0; {
		n, err := unix.Pread(o.FD, to, off)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return unix.EBADMSG // truncated meanwhile
		}
		to, off = to[max(n, 0):], off+int64(max(n, 0))
	}
	return nil
}

// Close forgets the object.
func (o *Object) Close() {
	posixshm.Unmap(o.copy, uintptr(o.St.Size))
	unix.Close(o.FD)
}

// Current reports whether the name still leads to this object.
func (o *Object) Current() bool { return posixshm.LeadsTo(o.Name, &o.St) }

// looks is how often a look is tried while nothing moves.
const looks = 3

// Look reads the front and all cells, and reports whether nothing moved meanwhile.
func (o *Object) Look() (exact bool, err error) {
	for n := 0; n < looks && !exact; n++ {
		before, err := o.positions()
		for _, q := range o.queues() {
			if err == nil {
				err = o.fetch(q.Cells())
			}
		}
		if err != nil {
			return false, err
		}
		after, err := o.positions()
		if err != nil {
			return false, err
		}
		exact = slices.Equal(before, after)
	}
	return exact, nil
}

// positions reads the front again and returns where the queues stand.
func (o *Object) positions() (at []uint64, err error) {
	err = o.head()
	for _, q := range o.queues() {
		pushed, pulled := q.Positions()
		at = append(at, pushed, pulled)
	}
	return at, err
}

// Queues describes the channels and the pool as the last Look found them. values is
// what a sample of the pool has room for; abandoned: nobody is there who could hold
// one.
func (o *Object) Queues(values int, abandoned bool) (channels []Queue, p Pool) {
	used := make([]bool, o.plan.Pool.Count())
	for _, c := range o.plan.Channels {
		q := o.count(&c.View, used)
		q.Sleeping = word.Load32(c.Waiters) != 0
		channels = append(channels, q)
	}
	free := o.count(o.plan.Pool.Queue(), used)
	p = Pool{Blocks: o.plan.Pool.Count(), BlockSize: o.plan.Pool.Size(), Values: values, Free: free.Len - free.Unpublished}
	for _, in := range used {
		if !in {
			p.Held++
		}
	}
	if abandoned {
		p.Leaked, p.Held = p.Held, 0
	}
	return channels, p
}

// count walks through the elements of a queue and marks the blocks.
func (o *Object) count(q *queue.View, used []bool) Queue {
	s := Queue{Capacity: q.Capacity(), Len: q.Len()}
	s.Pushed, s.Pulled = q.Positions()
	for n := range s.Len {
		pos := s.Pulled + n
		_, sequence, block := q.Cell(pos)
		if sequence == pos {
			s.Unpublished++
		} else if k := o.plan.Pool.Index(block); k < uint64(len(used)) {
			used[k] = true
		}
	}
	return s
}

// scanEvery bounds how often all processes are looked at for who maps the object:
// that costs milliseconds.
const scanEvery = time.Second

// Mappers are the processes that map the object, looked for anew after a while if
// again; sure is false if a process could not be looked into.
func (o *Object) Mappers(again bool) (pids []int, sure bool) {
	if o.scanned.IsZero() || again && time.Since(o.scanned) > scanEvery {
		o.mappers, o.sure = liveness.Mappers(o.St.Dev, o.St.Ino)
		o.scanned = time.Now()
	}
	return o.mappers, o.sure
}

// Recent calls each with the address of copies of the samples that were written to q
// from the position since on, of more than most the last, and returns the position to
// go on with. A copy is valid until each returns.
//
// The samples are not held meanwhile: a block may be reused at any time. So a block
// that a later sample lies in is left out, the cell and the sample are read once
// more, and what has changed is left out as well. What remains may rarely be a sample
// that a writer has begun to fill and not yet written.
func (o *Object) Recent(q *queue.View, since uint64, most int, each func(addr uintptr)) (next uint64, err error) {
	if err := o.head(); err != nil {
		return since, err
	}
	pushed, _ := q.Positions()
	n := min(pushed-since, uint64(max(most, 0)), q.Capacity())
	if pushed < since {
		n = 0
	}
	if n > 1 {
		if err := o.fetch(q.Cells()); err != nil {
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
		s, err := o.at(q, first+k)
		if err != nil {
			return first + k, err
		}
		if s != 0 {
			each(s)
		}
	}
	return pushed, nil
}

// at reads the sample of position pos and returns its address, 0 if it is not there,
// or no more.
func (o *Object) at(q *queue.View, pos uint64) (uintptr, error) {
	cell, _, _ := q.Cell(pos)
	if err := o.fetch(cell, uint64(queue.CellSize)); err != nil {
		return 0, err
	}
	_, sequence, block := q.Cell(pos)
	if !q.Published(pos, sequence) || !o.plan.Pool.Contains(block) {
		return 0, nil
	}
	size := o.plan.Pool.Size()
	if err := o.fetch(block, size); err != nil {
		return 0, err
	}
	bytes := unsafe.Slice((*byte)(word.At(block)), size)
	before := slices.Clone(bytes)
	if err := errors.Join(o.fetch(block, size), o.fetch(cell, uint64(queue.CellSize))); err != nil {
		return 0, err
	}
	_, again, _ := q.Cell(pos)
	count := o.plan.Refcnt
	if !slices.Equal(before[:count], bytes[:count]) || !slices.Equal(before[count+4:], bytes[count+4:]) || !q.Published(pos, again) {
		return 0, nil
	}
	return block, nil
}
