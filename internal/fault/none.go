// SPDX-License-Identifier: Apache-2.0

//go:build !faults

// Package fault kills this process at a chosen point of an algorithm, for tests
// of what the other side makes of it. It does so only in builds with the tag
// faults; in all others its calls are empty.
package fault

// Here is a place to die at.
//
//go:nosplit
//go:norace
func Here(uint32) {}
