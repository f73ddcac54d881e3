// SPDX-License-Identifier: Apache-2.0

package queue

import "github.com/villas-ext/villas-ext/internal/word"

// Channel is one direction of an exchange between two processes: a queue, and
// what is around it in whichever layout. All methods are leaves.
type Channel struct {
	View
	Waiters uintptr // word: 1 while a reader of ours sleeps, see [Channel.Wake]
	Ready   uintptr // pthread_cond_t, for peers that are not ours
	Mutex   uintptr // pthread_mutex_t
	Stopped uintptr // word: something else than Running once the side that writes here has stopped
	Running uint32
	Halted  uint32 // what that side writes there
}

// Wake reports whether the caller, who has just written to c, must wake a
// sleeping reader by a futex call on c.Waiters. Publish, full barrier, take the
// flag down: a reader raises it, full barrier, looks once more, and sleeps only
// while it is up, so one of the two sees the other.
//
//go:nosplit
//go:norace
func (c *Channel) Wake() bool {
	word.Fence()
	return c.TakeFlagDown()
}

// TakeFlagDown is [Channel.Wake] without the barrier, for after a
// [View.FillFenced].
//
//go:nosplit
//go:norace
func (c *Channel) TakeFlagDown() bool {
	return word.Load32(c.Waiters) != 0 && word.Swap32(c.Waiters, 0) != 0
}

// HasStopped reports whether the side that writes to c has stopped.
//
//go:nosplit
//go:norace
func (c *Channel) HasStopped() bool { return word.Load32(c.Stopped) != c.Running }

// Stop marks the side that writes to c as stopped.
//
//go:nosplit
//go:norace
func (c *Channel) Stop() { word.Store32(c.Stopped, c.Halted) }
