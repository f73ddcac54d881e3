// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package word

// StoreRelease64 publishes: whoever loads v here sees all that was stored
// before it. sync/atomic's store is a store-release where the machine has one.
//
//go:nosplit
//go:norace
func StoreRelease64(a uintptr, v uint64) { Store64(a, v) }

// StoreRelease32 is [StoreRelease64] for four bytes.
//
//go:nosplit
//go:norace
func StoreRelease32(a uintptr, v uint32) { Store32(a, v) }
