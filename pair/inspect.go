// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"errors"
	"fmt"
	"time"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/onlook"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

// A Snapshot is what an object of a pair looked like at a moment.
type Snapshot struct {
	Name    string           `json:"name"`
	Taken   time.Time        `json:"taken"`
	Size    uint64           `json:"size"` // bytes of the object
	Mode    string           `json:"mode"` // permissions, in octal
	UID     uint32           `json:"uid"`
	GID     uint32           `json:"gid"`
	Polling bool             `json:"polling"`
	Ours    bool             `json:"ours"`   // one of ours made it; else a VILLASnode
	Signs   int              `json:"signs"`  // of layout G, of five: four are enough to take it for one
	Writer  shmem.Party      `json:"writer"` // who made it
	Queue   shmem.QueueState `json:"queue"`
	Pool    shmem.PoolState  `json:"pool"`
	Mappers []int            `json:"mappers"` // processes that map the object, as far as they can be looked into
	Exact   bool             `json:"exact"`   // nothing moved while the snapshot was taken
}

// An Inspector looks into one object of a pair without being seen: it reads the
// object into memory of its own, takes no lock and no sample, wakes nobody, and needs
// no permission but to read. It is not safe for concurrent use.
type Inspector struct {
	object *onlook.Object
	region shmem.Region
	signs  int
}

// NewInspector opens the object called name. Errors, by errors.Is: [os.ErrNotExist],
// [os.ErrPermission], [ErrNotPair], [ErrDamaged], [unix.EINVAL].
func NewInspector(name string) (*Inspector, error) {
	i := new(Inspector)
	var err error
	i.object, err = onlook.Open(name, onlook.Plan{
		Header: layout.HeaderSizeG,
		Attach: func(base, size uintptr) int32 {
			i.signs = signs(base)
			return Attach(&i.region, base, size)
		},
		Pool: &i.region.Pool, Channels: []*shmem.Channel{&i.region.Out}, Refcnt: sample.OffRefcntG,
	})
	if err != nil {
		return nil, fmt.Errorf("look into object %q: %w", name, err)
	}
	return i, nil
}

// Close forgets the object.
func (i *Inspector) Close() { i.object.Close() }

// Current reports whether the name still leads to this object.
func (i *Inspector) Current() bool { return i.object.Current() }

// Look takes a snapshot.
func (i *Inspector) Look() (*Snapshot, error) {
	o, r := i.object, &i.region
	exact, err := o.Look()
	if err != nil {
		return nil, fmt.Errorf("look into object %q: %w", o.Name, err)
	}
	s := &Snapshot{
		Name: o.Name, Taken: time.Now(), Size: uint64(o.St.Size), Mode: fmt.Sprintf("%04o", o.St.Mode&0o777), UID: o.St.Uid, GID: o.St.Gid,
		Polling: r.Polling, Ours: !r.Legacy, Signs: i.signs, Exact: exact,
		Writer: shmem.Party{Pid: PidOf(r), Stopped: r.Out.HasStopped()},
	}
	sure := true
	if s.Ours {
		s.Writer.Living, _ = liveness.Held(o.FD, liveness.NodeByte)
		s.Mappers, _ = o.Mappers(false)
	} else {
		s.Mappers, sure = o.Mappers(true)
		s.Writer.Living = len(s.Mappers) > 0 && !s.Writer.Stopped
	}
	channels, p := o.Queues(int(sample.CapacityG(r.Pool.Size())), sure && !s.Writer.Living && len(s.Mappers) == 0)
	s.Queue, s.Pool = channels[0], p
	return s, nil
}

// Recent calls each with copies of the samples that were written from the position
// since on, of more than most the last, and returns the position to go on with. A copy
// is valid until each returns. What is reused meanwhile is left out.
func (i *Inspector) Recent(since uint64, most int, each func(Sample)) (next uint64, err error) {
	return i.object.Recent(&i.region.Out.View, since, most, func(addr uintptr) { each(At(addr, &i.region.Pool)) })
}

// Remove removes the object called name, if who made it is dead, and its semaphore,
// if no process has it open. A living one's object, what is no object of a pair, and a
// semaphore that is open are removed only by force.
//
// Errors, by errors.Is: [ErrNameTaken] (its maker lives), [ErrNotPair], [ErrDamaged],
// [os.ErrPermission], and [os.ErrNotExist] where there is neither.
func Remove(name string, force bool) error {
	err := removeObject(name, force)
	if err == nil || err == unix.ENOENT {
		if s, missing := openSemaphore(name); missing == nil {
			err = nil
			s.close()
			if s.tidy(0); force {
				s.unlink()
			}
		}
	}
	if err != nil {
		return fmt.Errorf("remove object %q: %w", name, err)
	}
	return nil
}

func removeObject(name string, force bool) error {
	fd, err := posixshm.Open(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := posixshm.Stat(fd)
	if err != nil {
		return err
	}
	if !force {
		i, err := NewInspector(name) // an object of a pair it must be
		if err != nil {
			return errors.Unwrap(err)
		}
		i.Close()
		hold, _, err := liveness.HoldStale(fd, madeByUs)
		if err != nil {
			return fmt.Errorf("%w (its maker lives: stop it, or use force)", ErrNameTaken)
		}
		defer hold.Release()
	}
	return posixshm.Unlink(name, &st)
}
