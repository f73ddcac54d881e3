// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"unsafe"

	"github.com/villas-ext/villas-ext/internal/word"
)

// The reference never touches the pads of a queue, and they start as zeros. Our
// node answers in the pad before `in`'s tail: attachWords. A program of ours
// that finds the magic attaches there and not at the barrier, and the two wait
// on futexes and use none of the pthread objects.
type attachWords struct {
	Waiters  uint32 // readers of the queue this pad belongs to; in both queues' pads
	State    uint32 // who is there: free, attaching, attached, retired; a futex
	Magic    uint64
	Version  uint32
	Features uint32
	Node     uint32 // process ids, for people only: liveness is told by locks
	Program  uint32
}

const (
	offAttach        = offIn + offPad1
	offWaiters       = unsafe.Offsetof(attachWords{}.Waiters)
	offAttachState   = unsafe.Offsetof(attachWords{}.State)
	offAttachMagic   = unsafe.Offsetof(attachWords{}.Magic)
	offAttachVersion = unsafe.Offsetof(attachWords{}.Version)
	offAttachNode    = unsafe.Offsetof(attachWords{}.Node)
	offAttachProgram = unsafe.Offsetof(attachWords{}.Program)

	attachMagic   = 0x5845_5341_4c4c_4956 // "VILLASEX", little endian
	attachVersion = 1
)

// States of the attach word.
const (
	AttachFree      = 0 // the node waits for a program
	AttachAttaching = 1 // a program of ours is on its way in
	AttachAttached  = 2 // a program is there
	AttachRetired   = 3 // the node has given this region up; open the name again
)

// answers reports whether a node of ours made the region at base.
//
//go:nosplit
//go:norace
func answers(base uintptr) bool {
	return word.Load64(base+offAttach+offAttachMagic) == attachMagic &&
		word.Load32(base+offAttach+offAttachVersion) == attachVersion
}

// Answer writes our node's words into the region at base, by process pid.
//
//go:nosplit
//go:norace
func Answer(base uintptr, pid uint32) {
	words := base + offAttach
	word.Set32(words+offAttachVersion, attachVersion)
	word.Set32(words+offAttachNode, pid)
	word.Store32(words+offAttachState, AttachFree)
	word.Store64(words+offAttachMagic, attachMagic)
}

// Enter claims the program's place in r, for process pid: 0, faultBusy, or
// faultRetired. Follow it by taking the program's lock and then
// [Region.Entered].
//
//go:nosplit
//go:norace
func (r *Region) Enter(pid uint32) int32 {
	if word.CompareAndSwap32(r.State, AttachFree, AttachAttaching) {
		word.Set32(r.Base+offAttach+offAttachProgram, pid)
		return 0
	}
	if word.Load32(r.State) == AttachRetired {
		return faultRetired
	}
	return faultBusy
}

// Entered tells the node that the program is there; wake the futex r.State
// afterwards. False: the node has retired the region in the meantime.
//
//go:nosplit
//go:norace
func (r *Region) Entered() bool {
	return word.CompareAndSwap32(r.State, AttachAttaching, AttachAttached)
}

// EnterLegacy notes, in the node, that a reference-built program stands at the
// barrier. False: a program of ours was faster.
//
//go:nosplit
//go:norace
func (r *Region) EnterLegacy() bool {
	r.Legacy = word.CompareAndSwap32(r.State, AttachFree, AttachAttached)
	return r.Legacy
}

// Retire gives the region up: no program can enter any more. It returns the
// state there was.
//
//go:nosplit
//go:norace
func (r *Region) Retire() uint32 { return word.Swap32(r.State, AttachRetired) }

// NodePid and ProgramPid are the process ids of the two sides as they wrote
// them, 0 where unknown; another process may have them by now.
//
//go:nosplit
//go:norace
func (r *Region) NodePid() int { return int(word.Load32(r.Base + offAttach + offAttachNode)) }

// ProgramPid: see [Region.NodePid].
//
//go:nosplit
//go:norace
func (r *Region) ProgramPid() int { return int(word.Load32(r.Base + offAttach + offAttachProgram)) }
