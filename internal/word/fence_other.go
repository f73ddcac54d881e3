// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package word

// Fence orders a [StoreRelease64] before it and a [Load32] after it. Elsewhere
// than on amd64 both are sync/atomic's, which keep one order for all.
//
//go:nosplit
//go:norace
func Fence() {}
