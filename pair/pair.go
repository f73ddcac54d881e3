// SPDX-License-Identifier: Apache-2.0

// Package pair exchanges samples with a VILLASnode of today, 1.0 to 1.2, or with
// another program that does, over a pair of shared memory objects: each side
// creates the one that it writes and opens the one that the other side writes
// (layout G). In its configuration a node of type shmem calls them out.name, the
// one that the VILLASnode writes, and in.name, the one that it reads; here the
// order is that of this side: own, other.
//
// [Open] waits until the other side is there. Values are eight bytes each: double,
// integer, boolean or complex; what they are only the configuration of the
// VILLASnode says (in.signals).
//
// Two of ours wait on a futex and look after each other by locks. A VILLASnode
// holds none: it is dead when its process is seen no more to map its object, and
// in mode pthread it must be trusted, since glibc follows what it finds in an
// object. In polling mode nothing that the other side writes is trusted.
//
// It works with CGO_ENABLED=0, and needs glibc for its semaphores.
package pair

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/exchange"
	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"github.com/villas-ext/villas-ext/internal/pthread"
	"github.com/villas-ext/villas-ext/internal/wait"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

// Options are options of [Open]; the zero value is the usual.
type Options struct {
	QueueLen   int           // elements of the queue that this side writes, and samples in its pool; 0: shmem.DefaultQueueLen
	SampleLen  int           // values of a sample that this side writes; 0: shmem.DefaultSampleLen, negative: none
	Polling    bool          // the reader of what this side writes polls; else it sleeps and is woken
	NoLegacy   bool          // refuse a VILLASnode but where both sides poll: glibc follows what it finds in the objects
	LockMemory bool          // mlock(2) both objects
	Spin       time.Duration // longest spin before a sleep; 0: environment VILLAS_EXT_SPIN or 50 us; negative: none
	Mode       os.FileMode   // permissions of the object; 0: 0600
	Group      int           // group of the object; 0: the process's
}

// Errors of the calls in this package, to be tested by [errors.Is]. The end of an
// exchange, when the other side has closed and all it sent has been read, is
// [io.EOF]; a deadline that is over is [os.ErrDeadlineExceeded]; a call on a closed
// pair, or one that Close has ended, is [os.ErrClosed].
var (
	// ErrPeerDied: the other side died without a word. All it sent was read.
	ErrPeerDied = exchange.ErrPeerDied
	// ErrDamaged: an object, or what the other side put into it, leads outside.
	ErrDamaged = exchange.ErrDamaged
	// ErrOtherPool: a sample of the other side's pool was given to be written.
	ErrOtherPool = exchange.ErrOtherPool
	// ErrNotPair: the other object is none of a pair.
	ErrNotPair error = unix.EPROTO
	// ErrNameTaken: a living program writes the object that was to be ours.
	ErrNameTaken error = unix.EEXIST
	// ErrLegacyRefused: the other side is not one of ours, and NoLegacy is set.
	ErrLegacyRefused = errors.New("the other side, or its reader, works on pthread objects, which was refused")
)

// A Pair is one end of an exchange over two objects.
type Pair struct {
	own, other string
	options    Options
	tx, rx     *object           // what this side writes and reads
	peer       liveness.Sighting // of another side that is not ours
	looks      atomic.Int32      // for it, in vain

	party  wait.Party
	in     exchange.Direction
	out    exchange.Direction
	link   exchange.Link
	side   exchange.Side
	closed atomic.Bool
}

// unseenLooks is how often the process of a VILLASnode is looked for.
const unseenLooks = 10

// Open creates the object own, which this side writes, and waits for the other side
// and its object, other, until ctx ends. A leading '/' of a name is optional. Both
// may be the same: then this side reads what it writes.
//
// An object, and a semaphore, that a dead side left under a name is replaced. A
// living one's is not: [ErrNameTaken].
//
// Other errors, by errors.Is: [ErrNotPair], [ErrDamaged], [ErrLegacyRefused],
// [unix.EPROTONOSUPPORT] (a VILLASnode's mode is neither pthread nor polling),
// [os.ErrPermission], [unix.EINVAL], [unix.ENAMETOOLONG], [unix.ENOSPC], ctx's.
// Nothing stays mapped or open then.
func Open(ctx context.Context, own, other string, o Options) (*Pair, error) {
	if o.QueueLen == 0 {
		o.QueueLen = shmem.DefaultQueueLen
	}
	if o.SampleLen == 0 {
		o.SampleLen = shmem.DefaultSampleLen
	}
	o.SampleLen = max(o.SampleLen, 0)
	if o.Mode == 0 {
		o.Mode = 0600
	}
	if o.Group == 0 {
		o.Group = -1
	}
	o.NoLegacy = o.NoLegacy || os.Getenv("VILLAS_EXT_NO_LEGACY") != ""
	if o.QueueLen < 0 {
		return nil, explain(own, other, unix.EINVAL)
	}
	p := &Pair{own: own, other: other, options: o}
	for _, name := range []string{own, other} {
		if _, err := posixshm.Path(name); err != nil {
			return nil, explain(own, other, err)
		}
	}
	err := pthread.SemaphoresAvailable()
	if err == nil {
		err = p.meet(ctx)
	}
	if err != nil {
		return nil, explain(own, other, err)
	}
	return p, nil
}

// explain adds what to do about err, met when opening the pair.
func explain(own, other string, err error) error {
	return exchange.Explain(fmt.Sprintf("open pair %s,%s", own, other), err,
		exchange.Hint{Err: context.DeadlineExceeded,
			Text: fmt.Sprintf("the other side, which writes %s and reads %s, did not come: start it, or start it again", other, own)},
		exchange.Hint{Err: unix.EEXIST,
			Text: fmt.Sprintf("a living program writes %s, or maps what is there: stop it, or swap the two names", own)},
		exchange.Hint{Err: unix.EPROTO, Text: other + " is no object of a pair: check the names"},
		exchange.Hint{Err: unix.EPROTONOSUPPORT, Text: "the other side's mode must be pthread or polling"},
		exchange.Hint{Err: unix.EBADMSG, Text: other + " is damaged: start the other side again"})
}

// connect makes an exchange of the two objects. Without the other side's, who waits
// for ours can still be woken.
func (p *Pair) connect() {
	legacy := p.rx == nil || p.rx.Legacy
	if p.rx == nil {
		p.rx = p.tx
	}
	never := legacy && p.options.NoLegacy // never wait or wake by glibc
	p.in.Init(&p.rx.Out, &p.rx.Pool, p.rx.Polling || never, true)
	p.out.Init(&p.tx.Out, &p.tx.Pool, p.tx.Polling || never, true)
	p.party.Channels = [2]*wait.Channel{&p.in.Wait, &p.out.Wait}
	p.party.Lives = p.peerLives
	p.party.Legacy.Store(legacy)
	p.link = exchange.Link{Party: &p.party, RX: &p.in, TX: &p.out, Spin: exchange.SpinFor(p.options.Spin)}
	p.party.Begin()
	if legacy {
		p.party.Guard()
	}
	exchange.Join(&p.side, &p.link)
}

// disconnect tells the other side that this one ends, removes the name of our
// object and unmaps both.
func (p *Pair) disconnect() {
	if p.rx == nil {
		p.connect()
	}
	p.tx.Out.Stop()
	exchange.Join(&p.side, nil)
	p.link.DriveOut()
	p.party.Wake(&p.out.Wait)
	p.party.Unguard()
	posixshm.Unlink(p.own, &p.tx.st)
	p.tx.unmap()
	if p.rx != p.tx {
		p.rx.unmap()
	}
}

// peerLives reports false once the other side is known to be dead.
func (p *Pair) peerLives() bool {
	lives := true
	if p.party.Legacy.Load() {
		lives = p.legacyPeerLives()
	} else if held, err := liveness.Held(p.rx.fd, liveness.NodeByte); err == nil {
		lives = held
	}
	if !lives {
		p.party.Dead.Store(true)
	}
	return lives
}

// legacyPeerLives: who holds no lock lives as long as its object has its name (to
// close means to stop first) and some process maps it. One that was never seen is
// looked for some times only.
func (p *Pair) legacyPeerLives() bool {
	st := &p.rx.st
	if !posixshm.LeadsTo(p.rx.name, st) && !p.rx.Out.HasStopped() {
		return false
	}
	if p.peer.Pid() != 0 {
		return p.peer.Remains(st.Dev, st.Ino)
	}
	if p.looks.Add(1) <= unseenLooks {
		p.peer.Look(st.Dev, st.Ino)
	}
	return true
}

// Close tells the other side that this one ends, removes the name of this side's
// object and unmaps both. Calls that wait end with [os.ErrClosed]. Samples must no
// longer be used.
func (p *Pair) Close() error {
	if p.closed.Swap(true) {
		return os.ErrClosed
	}
	p.disconnect()
	return nil
}

// Names returns the names of the objects that this side writes and reads.
func (p *Pair) Names() (own, other string) { return p.own, p.other }

// Polling reports whether reads of this side poll, as the other side has set it.
func (p *Pair) Polling() bool { return p.rx.Polling }

// Legacy reports whether the other side is not one of ours: a VILLASnode.
func (p *Pair) Legacy() bool { return p.rx.Legacy }

// Pool returns the pool of the samples that this side writes, valid until Close.
func (p *Pair) Pool() *pool.View { return &p.tx.Pool }

// refs are the references that samples are made of.
func refs(smps []Sample) []sample.Sample {
	return unsafe.Slice((*sample.Sample)(unsafe.Pointer(unsafe.SliceData(smps))), len(smps))
}

// Unread is how many of the samples that this side wrote the other side has not read
// yet. A VILLASnode forgets them when this side closes; 0 after Close.
func (p *Pair) Unread() int {
	if !p.link.Enter() {
		return 0
	}
	defer p.link.Leave()
	return int(p.tx.Out.Len())
}

// Alloc takes up to len(smps) samples from this side's pool and returns how many it
// got, each with one reference, no values and no flags. It never blocks.
func (p *Pair) Alloc(smps []Sample) int { return p.side.Alloc(refs(smps)) }

// Read takes up to len(smps) samples from the other side, each with a reference,
// and returns how many. It blocks until there is one at least, in polling mode
// awake. With an empty smps it returns 0 at once. They are of the other side's pool:
// they cannot be written, but copied ([Sample.CopyFrom]).
//
// Errors: [io.EOF] when the other side has closed and everything is read,
// [ErrPeerDied] when it died, [os.ErrDeadlineExceeded], [os.ErrClosed],
// [ErrDamaged]. Any number of goroutines may read.
func (p *Pair) Read(smps []Sample) (int, error) { return p.side.Read(refs(smps)) }

// ReadContext is Read that also ends, with its error, when ctx does.
func (p *Pair) ReadContext(ctx context.Context, smps []Sample) (int, error) {
	return p.side.ReadContext(ctx, refs(smps))
}

// TryRead takes up to len(smps) samples that are there and never blocks: 0 if there
// are none. Errors are those of Read.
func (p *Pair) TryRead(smps []Sample) (int, error) { return p.side.TryRead(refs(smps)) }

// SetReadDeadline ends blocking reads at t, with [os.ErrDeadlineExceeded]; a zero t
// means never. It holds for calls that begin later.
func (p *Pair) SetReadDeadline(t time.Time) { p.side.SetReadDeadline(t) }

// Write puts up to len(smps) samples of this side's pool into the queue to the other
// side and returns how many went in; each takes a reference along. The rest, if the
// queue is full, still belong to the caller. It never blocks.
//
// Errors: [io.EOF] once the other side has closed, [ErrPeerDied] once it died,
// [ErrOtherPool] (nothing was written), [os.ErrClosed]. Any number of goroutines may
// write.
func (p *Pair) Write(smps []Sample) (int, error) { return p.side.Write(refs(smps)) }

// WriteContext writes all of smps, waiting for room where there is none, and returns
// how many went in when ctx or the exchange ended before.
func (p *Pair) WriteContext(ctx context.Context, smps []Sample) (int, error) {
	return p.side.WriteContext(ctx, refs(smps))
}

// Samples reads until the exchange or ctx ends, one sample at a time. A sample is put
// back when the loop body is done with it; to keep it, Get a reference. The end of
// the exchange, io.EOF, ends the loop; any other error is yielded last.
func (p *Pair) Samples(ctx context.Context) iter.Seq2[Sample, error] {
	return exchange.Samples(ctx, p.ReadContext)
}
