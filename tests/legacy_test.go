// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"strings"
	"testing"
)

// A peer built with the original, on either side, against ours in C and Go. In
// signalled mode such a program waits before it looks, which made exchanges with
// the original stall within a few hundred samples.
func TestPeersBuiltWithTheOriginalExchangeUnharmed(t *testing.T) {
	legacy := compile(t, "gcc", "legacy/legacy.c", "-Wl,--as-needed")
	env := []string{"GOLDEN=" + root + "/internal/layout/testdata"}
	for language, ours := range map[string]string{"C": compile(t, "gcc", "exchange/exchange.c"), "Go": goExchange(t)} {
		for polling, mode := range []string{"signalled", "polling"} {
			for _, vector := range []string{"1", "8"} {
				t.Run(fmt.Sprint("our node in ", language, ", ", mode, ", ", vector), func(t *testing.T) {
					name := regionName(t)
					p := start(t, nil, legacy, "program", name, vector)
					out := run(t, nil, ours, "node", name, fmt.Sprint(polling), "20000", vector)
					if !strings.Contains(out, "sent 20000 received 20000 bad 0 free 512 of 512") {
						t.Errorf("the node says %q", out)
					}
					if out, err := p.end(); err != nil {
						t.Errorf("the program: %v\n%s", err, out)
					}
				})
				t.Run(fmt.Sprint("our program in ", language, ", ", mode, ", ", vector), func(t *testing.T) {
					name := regionName(t)
					p := start(t, env, legacy, "node", name, mode, "20000", vector)
					waitFor(t, "/dev/shm"+name)
					run(t, nil, ours, "program", name, fmt.Sprint(polling), "0", vector)
					out, err := p.end()
					if err != nil || !strings.Contains(out, "sent 20000 received 20000 bad 0 free 64 of 64") {
						t.Errorf("the node: %v\n%s", err, out)
					}
				})
			}
		}
	}
}
