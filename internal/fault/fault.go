// SPDX-License-Identifier: Apache-2.0

//go:build faults

// Package fault kills this process at a chosen point of an algorithm, for tests
// of what the other side makes of it. It does so only in builds with the tag
// faults; in all others its calls are empty.
package fault

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

var point, left uint32

// The environment chooses: VILLAS_EXT_FAULT=POINT:COUNT is death at the COUNTth
// time.
func init() {
	name, count, _ := strings.Cut(os.Getenv("VILLAS_EXT_FAULT"), ":")
	for p, n := range []string{Push: "push", Pull: "pull", Semaphores: "semaphores", Object: "object",
		Posted: "posted", Received: "received", Mapped: "mapped", Unlinked: "unlinked"} {
		if name == n && n != "" {
			c, _ := strconv.ParseUint(count, 10, 31)
			left = uint32(c)
			atomic.StoreUint32(&point, uint32(p))
		}
	}
}

// Here is a place to die at.
//
//go:nosplit
//go:norace
func Here(p uint32) {
	if p == point && atomic.AddUint32(&left, ^uint32(0)) == 0 {
		die()
	}
}

// die is SIGKILL to this process, without the runtime.
//
//go:noescape
func die()
