// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A process that has attached our way changes bytes of the live region, above
// all geometry, positions, cells, counts, lengths and our own attach words, while
// the other side, ours in C or Go, makes all its calls. The library asserts each
// address that it touches, and the region lies between reserved addresses, which
// fault. The long form is `make hostile`.
func TestWhateverThePeerWritesNothingOutsideIsTouchedAndNoCallHangs(t *testing.T) {
	mutations := os.Getenv("HOSTILE_MUTATIONS")
	if mutations == "" {
		mutations = "1000000"
	}
	c := compileAgainst(t, checkedDir(), "gcc", "hostile/hostile.c")
	g := goProgram(t, "hostile", "-tags", "bounds")
	for language, bin := range map[string]string{"C": c, "Go": g} {
		for polling, mode := range []string{"signalled", "polling"} {
			for role, other := range map[string]string{"node": "program", "program": "node"} {
				t.Run(fmt.Sprintf("%s in %s, %s", role, language, mode), func(t *testing.T) {
					t.Parallel()
					name, flag := regionName(t), fmt.Sprint(polling)
					t.Cleanup(func() { os.Remove("/dev/shm" + name) }) // a fuzzer that was a node leaves it
					target := start(t, nil, bin, "target", role, name, flag)
					fuzzed := run(t, nil, c, "fuzz", other, name, flag, mutations)
					target.Process.Signal(syscall.SIGTERM)
					out, err := target.end()
					if err != nil {
						t.Errorf("%v\n%s", err, out)
					}
					t.Log(strings.TrimSpace(fuzzed) + "; " + strings.TrimSpace(out))
				})
			}
		}
	}
}

// The same for a pair, of whose two objects the other side writes both.
func TestWhateverThePeerWritesIntoAPairNothingOutsideIsTouchedAndNoCallHangs(t *testing.T) {
	mutations := os.Getenv("HOSTILE_MUTATIONS")
	if mutations == "" {
		mutations = "20000000" // they take less time than those of a region, which it opens again and again
	}
	c := compileAgainst(t, checkedDir(), "gcc", "pair/hostile.c")
	for language, party := range map[string][]string{"C": {c}, "Go": {goProgram(t, "pair", "-tags", "bounds")}} {
		for polling, mode := range []string{"pthread", "polling"} {
			t.Run(language+", "+mode, func(t *testing.T) {
				t.Parallel()
				a, b := pairNames(t)
				t.Cleanup(func() { os.Remove("/dev/shm" + b) }) // a fuzzer leaves it
				args, settings := []string{"target", a, b, fmt.Sprint(polling)}, []string{"ql=16", "sl=6", "mode=" + mode, "nolegacy=1"}
				if language == "Go" {
					args = append(args[:3], settings...)
				}
				target := start(t, nil, append(party, args...)...)
				fuzzed := run(t, nil, c, "fuzz", b, a, fmt.Sprint(polling), mutations)
				target.Process.Signal(syscall.SIGTERM)
				out, err := target.end()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				}
				t.Log(strings.TrimSpace(fuzzed) + "; " + strings.TrimSpace(out))
			})
		}
	}
}
