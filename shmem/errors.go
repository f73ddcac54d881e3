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
	return exchange.Explain(fmt.Sprintf("%s region %q", what, name), err,
		exchange.Hint{Err: unix.ENOENT, Text: "there is no such region: start the node first"},
		exchange.Hint{Err: unix.EPROTO, Text: "the object is not a region: check the name, and that the node has started"},
		exchange.Hint{Err: unix.EBADMSG, Text: "the region is damaged: restart the node"},
		exchange.Hint{Err: unix.EBUSY, Text: "another program is attached: end it first"},
		exchange.Hint{Err: unix.EEXIST, Text: "a living node has this name: stop it or choose another name"})
}
