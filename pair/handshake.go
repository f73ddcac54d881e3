// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/fault"
	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/pthread"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

// # The handshake
//
// Both sides do the same, in any order: open both semaphores, create their own
// object, post their own semaphore, wait for the other's, open the other's object,
// remove the name of their own semaphore. A VILLASnode believes what it finds. Who
// crashed in the middle has left a post or an object, or has taken a post along, and
// another one may have come since. So we believe that we have met the other side
// only when all of this holds:
//
//   - Our post was taken, which only somebody does who has posted: what is at our
//     semaphore before, once the name of our object is ours, is of a former life and
//     goes. A post of the other side proves nothing and only wakes us.
//   - Its object, the one that has the name then, is open.
//   - After that, its semaphore has no name any more: to remove it is the last thing
//     that it does. If there is another one under the name, another side has come.
//
// Until then the semaphore that we post keeps its name, and our object is one and the
// same: whoever takes a post of ours, the first one or one that follows since nobody
// has come through, finds us. Two of ours would wait for each other with that; of one
// of ours its lock says that it lives, and our semaphore loses its name before.
//
// Who gives up takes the post back. If that is too late, somebody is on the way in.
//
// A peer that took a post of our former life is bound to the object of that life,
// and neither side can tell it: it must be started again.

const (
	// Between looks while we wait for a post, and while it goes on from there.
	postLook, metLook = 10 * time.Millisecond, 100 * time.Microsecond
	// postAgain is when a post counts as taken along by somebody dead.
	postAgain = 200 * time.Millisecond
	// unfitFor is how long another side's object may be unfit before that is an error.
	unfitFor = time.Second
	// throughWithin is how long one who gives up waits for somebody on the way in.
	throughWithin = 200 * time.Millisecond
)

// An object is a mapped object of layout G.
type object struct {
	shmem.Region
	name string
	fd   int
	st   unix.Stat_t
	hold *liveness.Hold // of its maker: us
}

func (o *object) unmap() {
	sample.Forget(&o.Pool)
	o.hold.Release()
	unix.Close(o.fd)
	posixshm.Discard(o, o.Base, o.Size, nil)
}

// create makes our object, complete, under its name.
func create(name string, o *Options) (_ *object, err error) {
	size := TotalSize(uint64(o.QueueLen), uint64(o.SampleLen))
	if size == 0 {
		return nil, unix.EINVAL
	}
	fd, path, err := posixshm.Create(int64(size), o.Mode, o.Group)
	if err != nil {
		return nil, err
	}
	own := &object{name: name, fd: fd}
	if err = own.attach(o.LockMemory, func(base, size uintptr) int32 {
		return Format(base, size, uint64(o.QueueLen), uint64(o.SampleLen), o.Polling, uint32(os.Getpid()))
	}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if !o.Polling && !o.NoLegacy {
		err = errors.Join(pthread.InitMutex(own.Out.Mutex), pthread.InitCond(own.Out.Ready))
	}
	if err == nil {
		own.hold, err = liveness.Take(fd, liveness.NodeByte)
	}
	if err == nil {
		err = liveness.TakeName(path, name, madeByUs)
	}
	if err != nil {
		own.unmap()
		return nil, err
	}
	return own, nil
}

// open maps the other side's object.
func open(name string, lock bool) (*object, error) {
	fd, err := posixshm.Open(name)
	if err != nil {
		return nil, err
	}
	other := &object{name: name, fd: fd}
	if err := other.attach(lock, nil); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return other, nil
}

// attach maps the object and checks its geometry, after format if that is given.
func (o *object) attach(lock bool, format func(base, size uintptr) int32) (err error) {
	if o.st, err = posixshm.Stat(o.fd); err != nil {
		return err
	}
	size := uintptr(o.st.Size)
	if size < layout.HeaderSizeG {
		return ErrNotPair
	}
	base, err := posixshm.Map(o.fd, size, lock)
	if err != nil {
		return err
	}
	fault := int32(0)
	if format != nil {
		fault = format(base, size)
	}
	if fault == 0 {
		fault = Attach(&o.Region, base, size)
	}
	if fault != 0 {
		posixshm.Unmap(base, size)
		return unix.Errno(-fault)
	}
	return nil
}

// madeByUs reports whether one of ours made the object.
func madeByUs(fd int, _ unix.Stat_t) bool {
	var b [unsafe.Sizeof(marks{})]byte
	n, err := unix.Pread(fd, b[:], 0)
	return err == nil && n == len(b) && binary.NativeEndian.Uint64(b[offMagic:]) == marksMagic &&
		binary.NativeEndian.Uint32(b[offVersion:]) == marksVersion
}

// handshake is what is there until the other side is met.
type handshake struct {
	p          *Pair
	own, other *semaphore
	posts      int       // that we made at own
	posted     time.Time // the last of them
	unnamed    bool      // we have removed the name of our semaphore, for a living peer of ours
	unfit      time.Time // since when the other side's object cannot be opened
}

// meet makes p a pair.
func (p *Pair) meet(ctx context.Context) (err error) {
	h := &handshake{p: p}
	defer h.close(&err)
	if h.own, err = p.semaphore(p.own); err != nil {
		return err
	}
	if h.other, err = p.semaphore(p.other); err != nil {
		return err
	}
	fault.Here(fault.Semaphores)
	if p.tx, err = create(p.own, &p.options); err != nil {
		return err
	}
	fault.Here(fault.Object)
	h.own.drain()
	h.post()
	if err = h.wait(ctx); err != nil {
		return err
	}
	p.connect()
	if p.rx.Legacy && p.options.NoLegacy && !(p.rx.Polling && p.tx.Polling) {
		return ErrLegacyRefused
	}
	p.peerLives() // to know who it is
	h.own.drain()
	h.own.tidy(p.peer.Pid())
	fault.Here(fault.Unlinked)
	return nil
}

// semaphore opens the semaphore of the object called name, or makes it.
func (p *Pair) semaphore(name string) (*semaphore, error) {
	for {
		s, err := openSemaphore(name)
		if err != unix.ENOENT {
			return s, err
		}
		if s, err = makeSemaphore(name, p.options.Mode, p.options.Group); err != unix.EEXIST {
			return s, err
		}
	}
}

func (h *handshake) post() {
	h.own.post()
	h.posts++
	h.posted = time.Now()
	fault.Here(fault.Posted)
}

// taken reports whether somebody has taken a post of ours.
func (h *handshake) taken() bool { return h.own.value() < h.posts }

// wait waits until the other side is met.
func (h *handshake) wait(ctx context.Context) error {
	var ended time.Time
	for look := postLook; ; look = min(2*look, postLook) {
		if h.other.take(look) {
			look = metLook
			h.lookUp() // now, since it may be closed soon
		}
		if h.taken() {
			h.other.drain() // of a former life, besides: one of ours waits until its post is taken
			fault.Here(fault.Received)
			if through, err := h.through(); through || err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			if ended.IsZero() {
				ended = time.Now()
			}
			if !h.taken() || time.Since(ended) > throughWithin {
				return ctx.Err()
			}
		} else if err := h.again(); err != nil {
			return err
		}
	}
}

// lookUp opens what has the other side's name. One that has lost it is kept if it was
// closed before: there may be samples in it.
func (h *handshake) lookUp() (err error) {
	p := h.p
	if p.rx != nil && (posixshm.LeadsTo(p.other, &p.rx.st) || p.rx.Out.HasStopped()) {
		return nil
	}
	h.forget()
	p.rx, err = open(p.other, p.options.LockMemory)
	return err
}

func (h *handshake) forget() {
	h.unnamed = false
	if h.p.rx != nil {
		h.p.rx.unmap()
		h.p.rx = nil
	}
}

// through reports whether the other side, which has our post, has mapped our object.
func (h *handshake) through() (bool, error) {
	err := h.lookUp()
	switch {
	case err == nil:
		h.unfit = time.Time{}
	case err == unix.ENOENT: // it died, or has closed already
		return false, nil
	case h.unfit.IsZero(): // the next one may be building it
		h.unfit = time.Now()
		return false, nil
	case time.Since(h.unfit) > unfitFor:
		return false, err
	default:
		return false, nil
	}
	rx := h.p.rx
	if !rx.Legacy {
		if held, err := liveness.Held(rx.fd, liveness.NodeByte); err == nil && !held && !rx.Out.HasStopped() {
			h.forget()
			return false, nil
		}
		if !h.unnamed {
			fault.Here(fault.Mapped)
			h.own.unlink()
			h.unnamed = true
		}
	}
	return h.other.look() == nameless, nil
}

// again puts right what somebody dead, or somebody on the way out, has left.
func (h *handshake) again() error {
	if !h.unnamed && h.own.look() != named { // who comes now makes another
		s, err := h.p.semaphore(h.p.own)
		if err != nil {
			return err
		}
		h.own.close()
		h.own, h.posts = s, 0
		h.post()
	}
	switch other := h.other.look(); {
	case other == replaced: // another one has come
		if s, err := openSemaphore(h.p.other); err == nil {
			h.other.close()
			h.other = s
			h.postAnother()
		}
	case other == nameless && !h.taken():
		s, err := h.p.semaphore(h.p.other)
		if err != nil {
			return err
		}
		h.other.close()
		h.other = s
		if s.made && h.taken() { // it has come and is through meanwhile: the name was gone for that
			s.unlink()
		}
	}
	if !h.unnamed && time.Since(h.posted) > postAgain {
		h.postAnother()
	}
	return nil
}

// postAnother posts for the next one, where there is no post any more.
func (h *handshake) postAnother() {
	if h.own.value() == 0 {
		h.post()
	}
}

// close leaves the semaphores, and where the handshake has failed what it made.
func (h *handshake) close(err *error) {
	failed, ours := *err != nil, h.p.tx != nil
	if failed && ours {
		h.own.drain()
		if h.p.link.Party == nil {
			h.forget()
		}
		h.p.disconnect()
	}
	for _, s := range []*semaphore{h.own, h.other} {
		if s != nil {
			s.close()
			if failed && (s.made || ours && s == h.own) {
				s.tidy(0)
			}
		}
	}
}
