// SPDX-License-Identifier: Apache-2.0

package main

/*
#include "leaf.h"

// The index of each leaf in vx_leaf_table.
#define LEAF(name) VX_INDEX_##name,
#define PUBLIC(name, kind) VX_INDEX_##name,
enum { VX_LEAVES(PUBLIC, LEAF) VX_LEAF_COUNT };
#undef LEAF
#undef PUBLIC

// The index of each exported one in vx_public_table.
#define LEAF(name)
#define PUBLIC(name, kind) VX_PUBLIC_##name,
enum { VX_LEAVES(PUBLIC, LEAF) VX_PUBLIC_COUNT };
#undef LEAF
#undef PUBLIC

void vx_hand_over(uintptr_t *leaves, int count);

#include <villas/shmem.h>
*/
import "C"

import (
	"runtime/debug"
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/layout"
	"github.com/villas-ext/villas-ext/internal/word"
	"github.com/villas-ext/villas-ext/memory"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/queue"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

// The headers and package layout tell the same on every machine, or this does
// not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(layout.Shared{})-C.sizeof_struct_shmem_shared]
	_ = [1]struct{}{}[unsafe.Offsetof(layout.Shared{}.Out)-unsafe.Offsetof(C.struct_shmem_shared{}.out)]
	_ = [1]struct{}{}[unsafe.Offsetof(layout.Shared{}.ExtStopped)-unsafe.Offsetof(C.struct_shmem_shared{}.ext_stopped)]
)

// Negated errno values that leaves return.
const (
	einval  = -22
	enomem  = -12
	ebadmsg = -74
)

// entry is the address of f's code. A Go function value points to a word that
// holds it.
func entry[F any](f F) C.uintptr_t {
	return **(**C.uintptr_t)(unsafe.Pointer(&f))
}

// init hands the leaves over. The Go runtime is up, and has nothing to do from
// here on.
func init() {
	debug.SetGCPercent(-1)
	word.Allow(addr(&records), unsafe.Sizeof(records))
	word.Allow(addr(&spans), unsafe.Sizeof(spans))
	word.Allow(addr(&spansUsed), unsafe.Sizeof(spansUsed))
	word.Allow(addr(&stash), unsafe.Sizeof(stash))
	word.Allow(addr(&stashed), unsafe.Sizeof(stashed))
	word.Allow(addr(&cursor), unsafe.Sizeof(cursor))
	var table [C.VX_LEAF_COUNT]C.uintptr_t
	table[C.VX_INDEX_queue_push] = entry(queuePush)
	table[C.VX_INDEX_queue_pull] = entry(queuePull)
	table[C.VX_INDEX_queue_push_many] = entry(queuePushMany)
	table[C.VX_INDEX_queue_pull_many] = entry(queuePullMany)
	table[C.VX_INDEX_queue_available] = entry(queueAvailable)
	table[C.VX_INDEX_queue_empty] = entry(queueEmpty)
	table[C.VX_INDEX_queue_cells] = entry(queueCells)
	table[C.VX_INDEX_queue_init] = entry(queueInit)
	table[C.VX_INDEX_queue_destroy] = entry(queueDestroy)
	table[C.VX_INDEX_sample_alloc] = entry(sampleAlloc)
	table[C.VX_INDEX_sample_get] = entry(sampleGet)
	table[C.VX_INDEX_sample_put] = entry(samplePut)
	table[C.VX_INDEX_sample_get_many] = entry(sampleGetMany)
	table[C.VX_INDEX_sample_release_many] = entry(sampleReleaseMany)
	table[C.VX_INDEX_sample_release] = entry(sampleRelease)
	table[C.VX_INDEX_sample_stash] = entry(sampleStash)
	table[C.VX_INDEX_sample_stash_rest] = entry(sampleStashRest)
	table[C.VX_INDEX_sample_bring_home] = entry(sampleBringHome)
	table[C.VX_INDEX_sample_set_data_format] = entry(sampleSetDataFormat)
	table[C.VX_INDEX_sample_get_data_format] = entry(sampleGetDataFormat)
	table[C.VX_INDEX_shmem_total_size] = entry(shmemTotalSize)
	table[C.VX_INDEX_shmem_shared_blocks] = entry(shmemSharedBlocks)
	table[C.VX_INDEX_shmem_shared_read] = entry(shmemSharedRead)
	table[C.VX_INDEX_shmem_shared_write] = entry(shmemSharedWrite)
	table[C.VX_INDEX_pool_init] = entry(poolInit)
	table[C.VX_INDEX_pool_destroy] = entry(poolDestroy)
	table[C.VX_INDEX_pool_note_held] = entry(poolNoteHeld)
	table[C.VX_INDEX_pool_holds] = entry(poolHolds)
	table[C.VX_INDEX_managed_init] = entry(managedInit)
	table[C.VX_INDEX_managed_alloc] = entry(managedAlloc)
	table[C.VX_INDEX_managed_free] = entry(managedFree)
	table[C.VX_INDEX_region_format] = entry(regionFormat)
	table[C.VX_INDEX_region_attach] = entry(regionAttach)
	table[C.VX_INDEX_region_detach] = entry(regionDetach)
	table[C.VX_INDEX_region_enter] = entry(regionEnter)
	table[C.VX_INDEX_region_entered] = entry(regionEntered)
	table[C.VX_INDEX_region_enter_legacy] = entry(regionEnterLegacy)
	table[C.VX_INDEX_region_retire] = entry(regionRetire)
	table[C.VX_INDEX_region_program] = entry(regionProgram)
	table[C.VX_INDEX_pair_size] = entry(pairSize)
	table[C.VX_INDEX_pair_format] = entry(pairFormat)
	table[C.VX_INDEX_pair_attach] = entry(pairAttach)
	table[C.VX_INDEX_pair_join] = entry(pairJoin)
	table[C.VX_INDEX_pair_alloc] = entry(pairAlloc)
	table[C.VX_INDEX_villas_pair_get] = entry(pairGet)
	table[C.VX_INDEX_villas_pair_put] = entry(pairPut)
	table[C.VX_INDEX_pair_copy] = entry(pairCopy)
	table[C.VX_INDEX_channel_read] = entry(channelRead)
	table[C.VX_INDEX_channel_write] = entry(channelWrite)
	table[C.VX_INDEX_channel_empty] = entry(channelEmpty)
	table[C.VX_INDEX_channel_claimed] = entry(channelClaimed)
	table[C.VX_INDEX_channel_skip] = entry(channelSkip)
	C.vx_records = C.struct_vx_records{
		spans: (*C.uint64_t)(&spans[0]), used: (*C.uint32_t)(&spansUsed),
		records: (*C.char)(unsafe.Pointer(&records)), size: C.size_t(unsafe.Sizeof(records[0])),
	}
	C.vx_hand_over(&table[0], C.VX_LEAF_COUNT)
}

// The leaves follow: thin, since the algorithms are in the packages. Addresses
// come as uintptr; 0 is NULL.

// A queue outside of all regions is the caller's own memory: its geometry is
// what the struct says, as in the original.
//
// The leaves for one element have everything in line, and its geometry in
// registers: a call more is a tenth of what they cost.

//go:nosplit
//go:norace
func queuePush(q, p uintptr) int64 {
	if q == 0 {
		return einval
	}
	var v queue.View
	if r := find(q); r == nil {
		v = queue.Own(q)
	} else {
		at := r.queue(q)
		if at == nil || !r.region.Pool.Contains(p) {
			return einval
		}
		if r.region.Pool.Held() != 0 {
			return C.VX_ELSEWHERE // what is held is noted: as of many
		}
		v = *at
	}
	cell, pos, ok := v.ClaimOne(queue.Tail)
	if !ok {
		return 0
	}
	v.Fill(cell, pos, p)
	return 1
}

//go:nosplit
//go:norace
func queuePull(q, dst uintptr) int64 {
	if q == 0 || dst == 0 {
		return einval
	}
	var v queue.View
	r := find(q)
	if r == nil {
		v = queue.Own(q)
	} else {
		at := r.queue(q)
		if at == nil {
			return einval
		}
		v = *at
	}
	cell, pos, ok := v.ClaimOne(queue.Head)
	if !ok {
		return 0
	}
	p := v.Empty(cell, pos)
	if r != nil && !r.region.Pool.Hold(p) {
		return ebadmsg
	}
	word.Set64(dst, uint64(p))
	return 1
}

//go:nosplit
//go:norace
func queuePushMany(q, ps uintptr, n uint64) int64 {
	if q == 0 || ps == 0 {
		return einval
	}
	if n == 1 {
		if done := queuePush(q, uintptr(word.Get64(ps))); done != C.VX_ELSEWHERE {
			return done
		}
	}
	r := find(q)
	if r == nil {
		own := queue.Own(q)
		return int64(own.PushMany(ps, n))
	}
	v := r.queue(q)
	if v == nil || !r.region.Owns(ps, n) {
		return einval
	}
	if r.region.Pool.Held() != 0 {
		return int64(r.region.Push(v, ps, n))
	}
	return int64(v.PushMany(ps, n))
}

//go:nosplit
//go:norace
func queuePullMany(q, dst uintptr, n uint64) int64 {
	if n == 1 {
		return queuePull(q, dst)
	}
	if q == 0 || dst == 0 {
		return einval
	}
	r := find(q)
	if r == nil {
		own := queue.Own(q)
		return int64(own.PullMany(dst, n))
	}
	v := r.queue(q)
	if v == nil {
		return einval
	}
	got, good := v.PullMany(dst, n), uint64(0)
	for i := uint64(0); i < got; i++ {
		p := word.Get64(dst + uintptr(i)*8)
		if r.region.Pool.Hold(uintptr(p)) {
			word.Set64(dst+uintptr(good)*8, p)
			good++
		}
	}
	if good == 0 && got != 0 {
		return ebadmsg
	}
	return int64(good)
}

//go:nosplit
//go:norace
func queueAvailable(q uintptr) uint64 {
	if q == 0 {
		return 0
	}
	r := find(q)
	if r == nil {
		own := queue.Own(q)
		return own.Len()
	}
	v := r.queue(q)
	if v == nil {
		return 0
	}
	return v.Len()
}

//go:nosplit
//go:norace
func queueEmpty(q uintptr) int64 {
	r := find(q)
	if r == nil {
		own := queue.Own(q)
		return truth(!own.Readable())
	}
	v := r.queue(q)
	return truth(v == nil || !v.Readable())
}

//go:nosplit
//go:norace
func queueCells(n uint64) uint64 { return queue.CellsFor(n) }

//go:nosplit
//go:norace
func queueInit(q, cells uintptr, n uint64, mem uintptr) { queue.Init(q, cells, n, mem) }

// queueDestroy goes by the private record for a queue in a region: there the
// memory is the region, whatever its words say.
//
//go:nosplit
//go:norace
func queueDestroy(q, mem, cells uintptr) uint64 {
	m, buffer, n := queue.Destroy(q)
	if r := find(q); r != nil {
		m = r.region.Base
	}
	word.Set64(mem, uint64(m))
	word.Set64(cells, uint64(buffer))
	return queue.CellsSize(n)
}

//go:nosplit
//go:norace
func sampleAlloc(p, dst uintptr, n int32) int64 {
	if p == 0 || dst == 0 || n < 0 {
		return einval
	}
	r := find(p)
	if r != nil && p != r.region.Pool.Addr() {
		return einval
	}
	var free queue.View
	size := uint64(0)
	if r == nil {
		free, size = pool.OwnQueue(p), pool.OwnBlockSize(p)
	} else {
		free, size = *r.region.Pool.Queue(), r.region.Pool.Size()
	}
	capacity := uint32(sample.CapacityOf(size))
	if n != 1 {
		got := uint64(0)
		if r == nil {
			got = free.PullMany(dst, uint64(n))
		} else {
			got = r.region.Pool.GetMany(dst, uint64(n))
		}
		sample.InitMany(p, dst, got, capacity)
		return mindStash(int64(got))
	}
	cell, pos, ok := free.ClaimOne(queue.Head)
	if !ok {
		return mindStash(0)
	}
	s := free.Empty(cell, pos)
	if r != nil && !r.region.Pool.Hold(s) {
		return mindStash(0)
	}
	sample.Init(p, s, capacity)
	word.Set64(dst, uint64(s))
	return mindStash(1)
}

//go:nosplit
//go:norace
func sampleGet(s uintptr) int64 {
	if s == 0 {
		return einval
	}
	n := int64(sample.CountOf(s).Acquire())
	if n < 0 {
		return einval
	}
	return n
}

//go:nosplit
//go:norace
func samplePut(s uintptr) int64 {
	if s == 0 {
		return einval
	}
	var free queue.View
	r := find(s)
	if r == nil {
		free = pool.OwnQueue(sample.PoolAddr(s))
	} else if r.region.Pool.Contains(s) {
		free = *r.region.Pool.Queue()
	} else {
		return einval
	}
	if c := sample.CountOf(s); !c.DropLast() {
		n := c.Drop()
		if n > 0 {
			return int64(n)
		}
		if n < 0 {
			return einval
		}
	}
	if r != nil && r.region.Pool.Held() != 0 {
		r.region.Pool.Unhold(s)
	}
	cell, pos, ok := free.ClaimOne(queue.Tail)
	if !ok {
		return C.VX_LATE
	}
	free.Fill(cell, pos, s)
	return mindStash(0)
}

// sampleRelease gives the block of a sample without references back to its
// pool.
//
//go:nosplit
//go:norace
func sampleRelease(s uintptr) int64 {
	var own pool.View
	p, _ := homeOf(s, &own)
	return truth(p == nil || sample.Release(p, s))
}

// homeOf returns the pool of the sample at address s, and where the count of a
// sample of it stands: its region's, or, in the caller's own memory, the one that
// the sample names, in own; nil for NULL and for an address in a region that is no
// block.
//
//go:nosplit
//go:norace
func homeOf(s uintptr, own *pool.View) (p *pool.View, count uintptr) {
	if s == 0 {
		return nil, 0
	}
	r := find(s)
	if r == nil {
		own.Trust(sample.PoolAddr(s))
		return own, sample.OffRefcnt
	}
	if !r.region.Pool.Contains(s) {
		return nil, 0
	}
	if r.region.G {
		return &r.region.Pool, sample.OffRefcntG
	}
	return &r.region.Pool, sample.OffRefcnt
}

//go:nosplit
//go:norace
func sampleGetMany(ss uintptr, n int32) int64 {
	if ss == 0 || n < 0 {
		return einval
	}
	for i := int32(0); i < n; i++ {
		s := uintptr(word.Get64(ss + uintptr(i)*8))
		if s == 0 {
			return einval
		}
		sample.CountOf(s).Acquire()
	}
	return int64(n)
}

// sampleReleaseMany drops a reference of each sample, or all where whatever is
// set, run after run of samples of one pool. progress is struct vx_batch.
//
//go:nosplit
//go:norace
func sampleReleaseMany(ss uintptr, n uint64, whatever int32, progress uintptr) int64 {
	var own pool.View
	for b := (*sample.Batch)(word.At(progress)); ; {
		if s := b.Waiting(); s != 0 {
			if p, _ := homeOf(s, &own); !b.Release(p) {
				return 0
			}
			continue
		}
		if b.Next() >= n {
			break
		}
		p, count := homeOf(uintptr(word.Get64(ss+uintptr(b.Next())*8)), &own)
		if p == nil {
			b.Skip()
			continue
		}
		end := n
		if p == &own {
			end = b.Next() + 1
			for end < n && sameHome(p, uintptr(word.Get64(ss+uintptr(end)*8))) {
				end++
			}
		}
		b.Drop(p, ss, end, count, whatever != 0)
	}
	if word.Load32(addr(&stashed)) != 0 {
		return 2
	}
	return 1
}

// sameHome reports whether the sample at address s is of the pool p in the
// caller's own memory as well.
//
//go:nosplit
//go:norace
func sameHome(p *pool.View, s uintptr) bool {
	return s != 0 && find(s) == nil && sample.PoolAddr(s) == p.Addr()
}

//go:nosplit
//go:norace
func sampleSetDataFormat(s uintptr, i, format int32) int64 {
	if s == 0 || !sample.SetFormat(s, int64(i), format != 0) {
		return einval
	}
	return 0
}

//go:nosplit
//go:norace
func sampleGetDataFormat(s uintptr, i int32) int64 {
	if s == 0 {
		return einval
	}
	f := sample.Format(s, int64(i))
	if f < 0 {
		return einval
	}
	return int64(f)
}

//go:nosplit
//go:norace
func shmemTotalSize(in, out, samplelen int32) uint64 {
	if in < 0 || out < 0 || samplelen < 0 {
		return 0
	}
	return shmem.TotalSize(uint64(in), uint64(out), uint64(samplelen))
}

// shmemSharedBlocks fills in a struct shmem_blocks: three words.
//
//go:nosplit
//go:norace
func shmemSharedBlocks(shm, dst uintptr) int64 {
	r := find(shm)
	if r == nil || dst == 0 {
		return einval
	}
	p := &r.region.Pool
	word.Set64(dst, uint64(p.Base()))
	word.Set64(dst+8, p.Count())
	word.Set64(dst+16, p.Size())
	return 0
}

//go:nosplit
//go:norace
func poolInit(p, buffer uintptr, size, count uint64, mem uintptr) {
	pool.Init(p, buffer, size, count, mem)
}

//go:nosplit
//go:norace
func poolDestroy(p, mem, buffer uintptr) uint64 {
	m, b, n := pool.Destroy(p)
	if r := find(p); r != nil {
		m = r.region.Base
	}
	word.Set64(mem, uint64(m))
	word.Set64(buffer, uint64(b))
	return n
}

//go:nosplit
//go:norace
func poolNoteHeld(m, held uintptr) {
	at(m).region.Pool.NoteHeld(held)
	at(m).plain = false
}

//go:nosplit
//go:norace
func poolHolds(m uintptr) int64 { return truth(at(m).region.Pool.Holds()) }

//go:nosplit
//go:norace
func managedInit(base, size uintptr) int64 {
	if memory.Init(base, size) {
		return 1
	}
	return 0
}

//go:nosplit
//go:norace
func managedAlloc(base, size, alignment uintptr) uintptr {
	return memory.Alloc(base, size, alignment)
}

//go:nosplit
//go:norace
func managedFree(base, p uintptr) int64 {
	if memory.Free(base, p) {
		return 1
	}
	return 0
}

//go:nosplit
//go:norace
func regionFormat(base, size uintptr, queuelen, samplelen, polling int32, pid uint32) int64 {
	if queuelen < 1 || samplelen < 0 {
		return einval
	}
	word.Allow(base, size)
	fault := shmem.Format(base, size, uint64(queuelen), uint64(samplelen), polling != 0)
	shmem.Answer(base, pid)
	word.Forbid(base)
	return int64(fault)
}

//go:nosplit
//go:norace
func regionAttach(base, size, mapping uintptr) int64 {
	r, index, fault := takeFor(base, size)
	if fault == 0 {
		fault = r.region.Attach(base, size)
	}
	return r.attached(index, base, size, fault, mapping)
}

// takeFor reserves a record for the size bytes at address base.
//
//go:nosplit
//go:norace
func takeFor(base, size uintptr) (r *record, index uint32, fault int32) {
	if size <= maxSpan {
		r, index = take()
	}
	if r == nil {
		return nil, 0, enomem
	}
	word.Allow(base, size)
	return r, index, 0
}

// attached tells C what was attached, stores the address of that at address
// mapping, and makes the record findable. With a fault it gives the record up.
//
//go:nosplit
//go:norace
func (r *record) attached(index uint32, base, size uintptr, fault int32, mapping uintptr) int64 {
	if fault != 0 {
		if r != nil {
			word.Forbid(base)
			word.Store32(addr(&r.taken), 0)
		}
		return int64(fault)
	}
	c := addr(&r.c)
	for i := uintptr(0); i < unsafe.Sizeof(r.c); i += 8 {
		word.Set64(c+i, 0)
	}
	word.Set64(c+unsafe.Offsetof(r.c.base), uint64(base))
	word.Set64(c+unsafe.Offsetof(r.c.size), uint64(size))
	setChannel(c+unsafe.Offsetof(r.c.in), &r.region.In)
	setChannel(c+unsafe.Offsetof(r.c.out), &r.region.Out)
	word.Set64(c+unsafe.Offsetof(r.c.barrier), uint64(r.region.Barrier))
	word.Set64(c+unsafe.Offsetof(r.c.state), uint64(r.region.State))
	word.Set64(c+unsafe.Offsetof(r.c.pool), uint64(r.region.Pool.Addr()))
	word.Set32(c+unsafe.Offsetof(r.c.values), uint32(sample.CapacityOf(r.region.Pool.Size())))
	party := c + unsafe.Offsetof(r.c.party)
	if r.region.Polling {
		word.Set32(party+unsafe.Offsetof(r.c.party.polling), 1)
	}
	r.plain = !r.region.Legacy
	if r.region.Legacy {
		word.Set32(party+unsafe.Offsetof(r.c.party.legacy), 1)
	}
	word.Set64(mapping, uint64(c))
	publish(index, base, size)
	return 0
}

//go:nosplit
//go:norace
func setChannel(dst uintptr, c *shmem.Channel) {
	var mirror C.struct_vx_channel
	word.Set64(dst+unsafe.Offsetof(mirror.view), uint64(addr(c)))
	word.Set64(dst+unsafe.Offsetof(mirror.waiters), uint64(c.Waiters))
	word.Set64(dst+unsafe.Offsetof(mirror.ready), uint64(c.Ready))
	word.Set64(dst+unsafe.Offsetof(mirror.mutex), uint64(c.Mutex))
	word.Set64(dst+unsafe.Offsetof(mirror.stopped), uint64(c.Stopped))
	word.Set32(dst+unsafe.Offsetof(mirror.running), c.Running)
}

// at returns the record whose C part lies at address m.
//
//go:nosplit
//go:norace
func at(m uintptr) *record { return (*record)(word.At(m)) }

//go:nosplit
//go:norace
func regionDetach(m uintptr) {
	r := at(m)
	start, size := r.region.Base, r.region.Size
	r.withdraw()
	if word.Load32(addr(&stashed)) != 0 {
		forgetStashed(start, size)
	}
	word.Forbid(start)
	word.Forbid(r.region.Pool.Held())
}

//go:nosplit
//go:norace
func regionEnter(m uintptr, pid uint32) int64 { return int64(at(m).region.Enter(pid)) }

//go:nosplit
//go:norace
func regionEntered(m uintptr) int64 { return truth(at(m).region.Entered()) }

//go:nosplit
//go:norace
func regionEnterLegacy(m uintptr) int64 { return truth(at(m).region.EnterLegacy()) }

//go:nosplit
//go:norace
func regionRetire(m uintptr) int64 { return int64(at(m).region.Retire()) }

//go:nosplit
//go:norace
func regionProgram(m uintptr) int64 { return int64(at(m).region.ProgramPid()) }

//go:nosplit
//go:norace
func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

//go:nosplit
//go:norace
func channelOf(c uintptr) *shmem.Channel {
	var mirror C.struct_vx_channel
	return (*shmem.Channel)(word.At(uintptr(word.Get64(c + unsafe.Offsetof(mirror.view)))))
}

//go:nosplit
//go:norace
func channelRead(m, c, dst uintptr, n uint32) int64 {
	return at(m).region.Read(channelOf(c), dst, uint64(n))
}

//go:nosplit
//go:norace
func channelWrite(m, c, ss uintptr, n uint32) int64 {
	r, ch := &at(m).region, channelOf(c)
	done := r.Write(ch, ss, uint64(n))
	if done <= 0 || r.Polling {
		return done
	}
	if r.Legacy {
		return done | C.VX_BROADCAST
	}
	if ch.Wake() {
		return done | C.VX_WAKE
	}
	return done
}

// shmemSharedRead and shmemSharedWrite are for what a program does most: to read
// or write a sample that is there, or that there is room for, and, in polling
// mode, to find nothing. C sees to all else.

//go:nosplit
//go:norace
func shmemSharedRead(shm, dst uintptr, n uint32) int64 {
	r := find(shm)
	if r == nil || dst == 0 {
		return C.VX_ELSEWHERE
	}
	if n != 1 {
		if r.region.Out.Readable() {
			return C.VX_ELSEWHERE
		}
		return r.readNothing()
	}
	cell, pos, ok := r.region.Out.ClaimOne(queue.Head)
	if !ok {
		return r.readNothing()
	}
	s := r.region.Out.Empty(cell, pos)
	if !r.region.Pool.Hold(s) {
		return ebadmsg
	}
	sample.Receive(&r.region.Pool, s)
	word.Set64(dst, uint64(s))
	return 1
}

// readNothing counts empty looks in polling mode: C looks after the other side
// every so often. The count is only about right when many threads poll.
//
//go:nosplit
//go:norace
func (r *record) readNothing() int64 {
	looks := word.Get32(addr(&r.looks)) + 1
	word.Set32(addr(&r.looks), looks)
	if !r.region.Polling || looks%256 == 0 || r.region.Out.HasStopped() || r.dead() != 0 {
		return C.VX_ELSEWHERE
	}
	return 0
}

// dead is not 0 once the other side is known to have died.
//
//go:nosplit
//go:norace
func (r *record) dead() uint32 {
	return word.Load32(addr(&r.c) + unsafe.Offsetof(r.c.party) + unsafe.Offsetof(r.c.party.dead))
}

//go:nosplit
//go:norace
func shmemSharedWrite(shm, ss uintptr, n uint32) int64 {
	r := find(shm)
	if r == nil || ss == 0 || n != 1 || !r.plain || word.Load32(r.region.Out.Stopped)|r.dead() != 0 {
		return C.VX_ELSEWHERE
	}
	s := uintptr(word.Get64(ss))
	if !r.region.Pool.Contains(s) {
		return einval
	}
	cell, pos, ok := r.region.In.ClaimOne(queue.Tail)
	if !ok {
		return C.VX_ELSEWHERE
	}
	if r.region.Polling {
		r.region.In.Fill(cell, pos, s)
		return 1
	}
	r.region.In.FillFenced(cell, pos, s)
	if r.region.In.TakeFlagDown() {
		return -(1 | C.VX_WAKE)
	}
	return 1
}

//go:nosplit
//go:norace
func channelEmpty(c uintptr) int64 { return truth(!channelOf(c).Readable()) }

//go:nosplit
//go:norace
func channelClaimed(c uintptr) int64 {
	ch := channelOf(c)
	return truth(!ch.Readable() && ch.Len() != 0)
}

//go:nosplit
//go:norace
func channelSkip(c uintptr) int64 { return truth(channelOf(c).SkipUnpublished()) }
