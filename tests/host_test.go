// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"cmp"
	"fmt"
	"os"
	"testing"
)

// The library is a guest in the program's process: each program in tests/c/host
// does one thing that hosts do and exits 0 if nothing of it broke.
func TestTheLibraryIsAQuietGuest(t *testing.T) {
	for _, program := range []string{
		"fork_first", "fork_after", "constructor", "signal_handler", "blocked_signals", "no_altstack", "go_threads", "data_symbols",
		"bad_input", "golden", "contract", "close_wakes", "by_hand", "helpers", "lock_memory",
	} {
		t.Run(program, func(t *testing.T) {
			bin := compile(t, "gcc", "host/"+program+".c")
			for range 3 {
				run(t, []string{"GOLDEN=" + root + "/internal/layout/testdata"}, bin)
			}
		})
	}
	// A signal every 30 us: the handler must get done in that time, also where it
	// has interrupted an allocation.
	t.Run("signal_handler, often", func(t *testing.T) {
		run(t, nil, compile(t, "gcc", "host/signal_handler.c"), "30")
	})
	t.Run("data_symbols, not position independent", func(t *testing.T) {
		run(t, nil, compile(t, "gcc", "host/data_symbols.c", "-no-pie", "-fno-pie"))
	})
	t.Run("pair", func(t *testing.T) {
		run(t, nil, compile(t, "gcc", "host/pair.c"))
	})
	t.Run("cancel", func(t *testing.T) {
		run(t, []string{"GOLDEN=" + root + "/internal/layout/testdata"}, compile(t, "g++", "host/cancel.cc"))
	})
}

// No thread of the library wakes up and no page is missing, idle and in traffic,
// QUIET_SECONDS each.
func TestTheLibraryIsQuiet(t *testing.T) {
	seconds := cmp.Or(os.Getenv("QUIET_SECONDS"), "1")
	t.Log(run(t, nil, compile(t, "gcc", "host/quiet.c"), seconds))
}

func TestAStoppedPeerHoldsNobodyForEver(t *testing.T) {
	legacy := compile(t, "gcc", "legacy/legacy.c", "-Wl,--as-needed")
	run(t, nil, compile(t, "gcc", "host/stopped_peer.c"), legacy)
}

func TestDlopenWorksAtAnyTimeFromAnyThread(t *testing.T) {
	bin := compile(t, "gcc", "host/dlopen.c", "-Wl,--as-needed")
	for _, when := range []string{"lazy", "now"} {
		for _, thread := range []string{"", "thread"} {
			t.Run(fmt.Sprint(when, thread), func(t *testing.T) {
				args := []string{bin, when}
				if thread != "" {
					args = append(args, thread)
				}
				run(t, []string{"VILLAS_EXT_LIBRARY=" + library()}, args...)
			})
		}
	}
}

func TestPreinitIsAnErrorAndNotAHang(t *testing.T) {
	out, err := start(t, nil, compile(t, "gcc", "host/preinit.c")).end()
	if err == nil || out == "" {
		t.Errorf("err %v, said %q", err, out)
	}
}
