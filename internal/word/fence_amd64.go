// SPDX-License-Identifier: Apache-2.0

package word

import "sync/atomic"

// Fence orders a [StoreRelease64] before it and a load after it, which a plain
// store on amd64 alone does not: an exchange on the own stack, the cheapest
// full barrier there is.
//
//go:nosplit
//go:norace
func Fence() {
	var own uint32
	atomic.SwapUint32(&own, 1)
}
