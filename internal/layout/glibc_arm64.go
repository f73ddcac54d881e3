// SPDX-License-Identifier: Apache-2.0

package layout

// Bytes of glibc's pthread objects, which lie in the structures: they differ from
// machine to machine, and the layout with them.
const (
	mutexSize       = 48
	condSize        = 48
	barrierSize     = 32
	barrierattrSize = 8
)
