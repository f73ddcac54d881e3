// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goProgram builds the command in the folder of this name here, without cgo.
func goProgram(t testing.TB, name string, flags ...string) string {
	t.Helper()
	out := filepath.Join(scratch(t), strings.NewReplacer(" ", "", "-", "", "=", "").Replace("go"+name+strings.Join(flags, "")))
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", out, "./"+name)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return out
}

func goExchange(t testing.TB) string { return goProgram(t, "exchange") }

// exchangeBoth has the two sides exchange count samples, all checked by the node.
func exchangeBoth(t *testing.T, env []string, node, program string, polling, count, vector int) {
	t.Helper()
	name, args := regionName(t), []string{fmt.Sprint(polling), fmt.Sprint(count), fmt.Sprint(vector)}
	p := start(t, env, append([]string{program, "program", name}, args...)...)
	out := run(t, env, append([]string{node, "node", name}, args...)...)
	if want := fmt.Sprintf("sent %d received %d bad 0 free 512 of 512", count, count); !strings.Contains(out, want) {
		t.Errorf("the node says %q, want %q", out, want)
	}
	if out, err := p.end(); err != nil {
		t.Errorf("the program: %v\n%s", err, out)
	}
}

func TestEveryPairOfSidesExchangesUnharmed(t *testing.T) {
	sides := map[string]string{"C": compile(t, "gcc", "exchange/exchange.c"), "Go": goExchange(t)}
	for nodeIn, node := range sides {
		for programIn, program := range sides {
			for polling, mode := range []string{"signalled", "polling"} {
				for _, vector := range []int{1, 8, 64} {
					t.Run(fmt.Sprintf("%s node, %s program, %s, %d", nodeIn, programIn, mode, vector), func(t *testing.T) {
						exchangeBoth(t, nil, node, program, polling, 200_000, vector)
					})
				}
			}
		}
	}
}

func TestSleepersAreWokenWithoutASpin(t *testing.T) {
	c := compile(t, "gcc", "exchange/exchange.c")
	exchangeBoth(t, []string{"VILLAS_EXT_SPIN=0"}, c, goExchange(t), 0, 20_000, 1)
	exchangeBoth(t, []string{"VILLAS_EXT_SPIN=0"}, goExchange(t), c, 0, 20_000, 8)
}
