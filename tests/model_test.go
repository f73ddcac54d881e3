// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// check has spin explore all states of the model in a variant and returns what it
// says.
func check(t *testing.T, defines ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, argv := range [][]string{
		append(append([]string{need(t, "spin", "spin")}, defines...), "-a", filepath.Join(root, "tests/model/queue.pml")),
		{"gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"},
	} {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, b)
		}
	}
	cmd := exec.Command("./pan", "-m1000000", "-w24")
	cmd.Dir = dir
	b, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if s := string(b); strings.Contains(s, "error: max search depth") || strings.Contains(s, "out of memory") {
		t.Fatalf("the search is not complete:\n%s", s)
	}
	return string(b)
}

// See docs/correctness.md.
func TestTheModelOfTheQueueLosesAndDoublesNothing(t *testing.T) {
	for _, sizes := range [][]string{
		{"-DPRODUCERS=2", "-DCONSUMERS=1", "-DEACH=2"},
		{"-DPRODUCERS=1", "-DCONSUMERS=2", "-DEACH=3"},
	} {
		t.Run(strings.Join(sizes, " "), func(t *testing.T) {
			t.Parallel()
			if out := check(t, sizes...); !strings.Contains(out, "errors: 0") {
				t.Error(out)
			}
		})
	}
}

// A model that finds nothing wrong in wrong algorithms would show nothing.
func TestTheModelFindsWhatIsWrong(t *testing.T) {
	for _, variant := range []string{"EARLY", "BLIND", "UNREADY", "HASTY", "IMPATIENT"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			out := check(t, "-DPRODUCERS=2", "-DCONSUMERS=1", "-DEACH=2", "-D"+variant)
			if !strings.Contains(out, "assertion violated") {
				t.Error(out)
			}
		})
	}
}
