// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A Hint is what to do about an error.
type Hint struct {
	Err  error
	Text string
}

// hints are those that hold for any layout.
var hints = []Hint{
	{unix.EINVAL, "check the name (one leading '/' and no other) and the lengths"},
	{unix.ENOSPC, "there is not enough room in /dev/shm for queuelen and samplelen"},
	{unix.EACCES, "the object belongs to another user, or is a symbolic link"},
}

// Explain says what was being done when err was met, and what to do about it: by the
// first hint for it of more, or else of those that always hold.
func Explain(doing string, err error, more ...Hint) error {
	for _, h := range append(more, hints...) {
		if errors.Is(err, h.Err) {
			return fmt.Errorf("%s: %w (%s)", doing, err, h.Text)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Gone reports whether err, from a read or a write, says that the other side went
// away.
func Gone(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, ErrPeerDied) }
