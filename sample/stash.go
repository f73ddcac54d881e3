// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/villas-ext/villas-ext/pool"
)

// The stash keeps blocks whose place in their pool's queue is taken by an
// allocation that does not finish: that of a thread without a CPU, or of a process
// that was killed in the middle. Waiting for it could be for ever. The next
// releases and allocations of this process bring them home.
var stash struct {
	count  atomic.Int32 // 0 is the common case and all that is looked at
	mu     sync.Mutex
	blocks map[*pool.View][]uintptr
}

// releaseYields is how often a release lets others run before it gives up.
const releaseYields = 64

// GiveBack releases the block at address s, without references, to p, at once or
// as soon as there is a place for it.
func GiveBack(p *pool.View, s uintptr) {
	if stash.count.Load() != 0 {
		bringHome()
	}
	for range releaseYields {
		if Release(p, s) {
			return
		}
		runtime.Gosched()
	}
	keep(p, s)
}

// giveBackAll is [GiveBack] for all that wait in b.
func giveBackAll(p *pool.View, b *Batch) {
	if stash.count.Load() != 0 {
		bringHome()
	}
	for range releaseYields {
		if b.Release(p) {
			return
		}
		runtime.Gosched()
	}
	for ; b.waiting > 0; b.Settle() {
		keep(p, b.Waiting())
	}
}

// keep puts a block of p into the stash.
func keep(p *pool.View, s uintptr) {
	stash.mu.Lock()
	defer stash.mu.Unlock()
	if stash.blocks == nil {
		stash.blocks = map[*pool.View][]uintptr{}
	}
	stash.blocks[p] = append(stash.blocks[p], s)
	stash.count.Add(1)
}

func bringHome() {
	if !stash.mu.TryLock() {
		return
	}
	defer stash.mu.Unlock()
	for p, blocks := range stash.blocks {
		for len(blocks) > 0 && p.Release(blocks[0]) {
			blocks = blocks[1:]
			stash.count.Add(-1)
		}
		if stash.blocks[p] = blocks; len(blocks) == 0 {
			delete(stash.blocks, p)
		}
	}
}

// Forget drops what the stash keeps for p, whose memory is about to be unmapped.
func Forget(p *pool.View) {
	if stash.count.Load() == 0 {
		return
	}
	stash.mu.Lock()
	defer stash.mu.Unlock()
	stash.count.Add(-int32(len(stash.blocks[p])))
	delete(stash.blocks, p)
}
