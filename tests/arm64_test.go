// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"path/filepath"
	"testing"
)

// The library for arm64 is cross-built by make and runs under qemu-user. Not here
// are golden (regions measured on x86-64), fork_after and by_hand (qemu-user 7.2 cannot
// start a thread in the child of a program with threads).
var onArm64 = map[string][]string{
	"host/blocked_signals.c": nil, "host/bad_input.c": nil, "host/cancel.cc": nil, "host/close_wakes.c": nil,
	"host/constructor.c": nil, "host/contract.c": nil, "host/data_symbols.c": nil, "host/dlopen.c": {"now", "thread"},
	"host/fork_first.c": nil, "host/go_threads.c": nil, "host/helpers.c": nil, "host/no_altstack.c": nil,
	"host/signal_handler.c": {"2000"}, "leaves/canary.c": nil,
}

func arm64Library() string { return filepath.Join(buildDir, "arm64", filepath.Base(library())) }

func TestTheLibraryWorksOnArm64(t *testing.T) {
	qemu := need(t, "qemu-aarch64", "qemu-user")
	for source, args := range onArm64 {
		t.Run(source, func(t *testing.T) {
			cc := map[string]string{".c": "aarch64-linux-gnu-gcc", ".cc": "aarch64-linux-gnu-g++"}[filepath.Ext(source)]
			bin := compileAgainst(t, filepath.Dir(arm64Library()), need(t, cc, "gcc-aarch64-linux-gnu g++-aarch64-linux-gnu"), source)
			run(t, []string{"VILLAS_EXT_LIBRARY=" + arm64Library()}, append([]string{qemu, "-L", "/usr/aarch64-linux-gnu", bin}, args...)...)
		})
	}
}

func TestLeavesArePureOnArm64(t *testing.T) { testLeavesArePure(t, arm64, arm64Library()) }
