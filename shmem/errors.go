// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"errors"
	"fmt"

	"github.com/villas-ext/villas-ext/internal/exchange"
	"golang.org/x/sys/unix"
)

// Errors of the calls in this package, to be tested by [errors.Is]. The end of
// an exchange, when the other side has stopped and all it sent has been read, is
// [io.EOF]; a deadline that is over is [os.ErrDeadlineExceeded]; a call on a
// closed side, or one that Close has ended, is [os.ErrClosed].
var (
	// ErrPeerDied: the other side died without a word. All it sent was read.
	ErrPeerDied = exchange.ErrPeerDied
	// ErrDamaged: the region, or what the other side put into it, leads outside
	// of it.
	ErrDamaged = exchange.ErrDamaged
	// ErrNotRegion: the object is no region of layout A.
	ErrNotRegion error = unix.EPROTO
	// ErrBusy: another program is attached.
	ErrBusy error = unix.EBUSY
	// ErrNameTaken: a living node has the name.
	ErrNameTaken error = unix.EEXIST
	// ErrLegacyRefused: the other side knows only the original's pthread
	// protocol, and NoLegacy is set.
	ErrLegacyRefused = errors.New("the other side knows only the original's pthread protocol, which was refused")
	// ErrOtherPool: a sample of another pool was given to be written.
	ErrOtherPool = exchange.ErrOtherPool
)

// explain adds what to do about err, met when doing what with the region name.
func explain(what, name string, err error) error {
	var hint string
	switch {
	case errors.Is(err, unix.ENOENT):
		hint = "there is no such region: start the node first"
	case errors.Is(err, unix.EPROTO):
		hint = "the object is not a region: check the name, and that the node has started"
	case errors.Is(err, unix.EBADMSG):
		hint = "the region is damaged: restart the node"
	case errors.Is(err, unix.EBUSY):
		hint = "another program is attached: end it first"
	case errors.Is(err, unix.EEXIST):
		hint = "a living node has this name: stop it or choose another name"
	case errors.Is(err, unix.EINVAL):
		hint = "check the name (one leading '/' and no other) and the lengths"
	case errors.Is(err, unix.ENOSPC):
		hint = "there is not enough room in /dev/shm for queuelen and samplelen"
	case errors.Is(err, unix.EACCES):
		hint = "the object belongs to another user, or is a symbolic link"
	default:
		return fmt.Errorf("%s region %q: %w", what, name, err)
	}
	return fmt.Errorf("%s region %q: %w (%s)", what, name, err, hint)
}
