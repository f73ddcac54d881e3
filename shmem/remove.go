// SPDX-License-Identifier: Apache-2.0

package shmem

import (
	"fmt"

	"github.com/villas-ext/villas-ext/internal/liveness"
	"github.com/villas-ext/villas-ext/internal/posixshm"
	"golang.org/x/sys/unix"
)

// Remove removes the name of a region whose node is dead; its memory is gone once
// nobody maps it any more. A living node's region, or an object that is no region,
// is removed only by force.
//
// Errors, by errors.Is: [ErrNameTaken] (the node lives), [ErrNotRegion],
// [ErrDamaged], [os.ErrNotExist], [os.ErrPermission].
func Remove(name string, force bool) error {
	fd, err := posixshm.Open(name)
	if err != nil {
		return explain("remove", name, err)
	}
	defer unix.Close(fd)
	if !force {
		i, err := NewInspector(name) // a region it must be
		if err != nil {
			return err
		}
		i.Close()
		hold, _, err := liveness.HoldStale(fd, madeByUs)
		if err != nil {
			return fmt.Errorf("remove region %q: %w (its node lives: stop it, or use force)", name, ErrNameTaken)
		}
		defer hold.Release()
	}
	st, err := posixshm.Stat(fd)
	if err == nil {
		err = posixshm.Unlink(name, &st)
	}
	if err != nil {
		return explain("remove", name, err)
	}
	return nil
}
