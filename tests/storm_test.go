// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkedDir is where make builds the library that dies where told and asserts
// each address it touches.
func checkedDir() string { return filepath.Join(buildDir, "checked") }

// The other side is killed again and again, at random instants under full
// traffic, and at chosen points: between claim and publish, between claim and
// free, at the steps of attaching, before a sleep, before a wake-up; built with
// the original also with the mutex held, in the wait for the condition, at the
// barrier. See tests/c/storm/kill.c. The long form is `make storm`.
func TestASurvivorIsNeverStuck(t *testing.T) {
	rounds := os.Getenv("STORM_ROUNDS")
	if rounds == "" {
		rounds = "12"
	}
	c := compileAgainst(t, checkedDir(), "gcc", "storm/kill.c")
	g := goProgram(t, "storm", "-tags", "faults")
	legacy := compile(t, "gcc", "legacy/legacy.c", "-Wl,--as-needed")
	env := []string{"GOLDEN=" + root + "/internal/layout/testdata"}
	for language, survivor := range map[string]string{"C": c, "Go": g} {
		for polling, mode := range []string{"signalled", "polling"} {
			for _, role := range []string{"node", "program"} {
				for _, kind := range []string{"ours", "original"} {
					t.Run(fmt.Sprintf("%s in %s, %s, against %s", role, language, mode, kind), func(t *testing.T) {
						t.Parallel()
						name, flag := regionName(t), fmt.Sprint(polling)
						t.Cleanup(func() { os.Remove("/dev/shm" + name + "-made") }) // of a victim
						other := map[string]string{"node": "program", "program": "node"}[role]
						victim := []string{"push,pull,mutex,wait,barrier", legacy, "victim", name, mode}
						switch {
						case kind == "ours":
							twin := map[string]string{"C": g, "Go": c}[language]
							victim = []string{"push,pull,announce,wake,enter,entered,publish", twin, "victim", other, name, flag}
						case role == "node":
							victim = []string{victim[0], legacy, "program", name, "8"}
						}
						out := run(t, env, append([]string{survivor, "survive", role, name, flag, rounds}, victim...)...)
						t.Log(strings.TrimSpace(out))
					})
				}
			}
		}
	}
}
