// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"os"
	"strings"
	"testing"
)

// Threads of nodes and programs in two languages, both modes, all at once at full
// rate; programs leave and come back. Counts are equal, memory and descriptors
// stay. The long form is `make soak`, an hour.
func TestNothingIsLostAndNothingGrowsInALongRun(t *testing.T) {
	seconds, round := "8", "2"
	if s := os.Getenv("SOAK_SECONDS"); s != "" {
		seconds, round = s, "20"
	}
	c, g := compile(t, "gcc", "soak/soak.c"), goProgram(t, "soak")
	type pair struct{ node, program, polling string }
	var nodes, programs []*process
	for _, p := range []pair{{c, c, "0"}, {g, c, "1"}, {c, g, "1"}, {g, g, "0"}} {
		name := regionName(t)
		nodes = append(nodes, start(t, nil, p.node, "node", name, p.polling, seconds, round))
		programs = append(programs, start(t, nil, p.program, "program", name))
	}
	for i := range nodes {
		out, err := nodes[i].end()
		if err != nil || !strings.Contains(out, "rounds") {
			t.Errorf("node %d: %v\n%s", i, err, out)
		}
		t.Log(strings.TrimSpace(out))
		if out, err := programs[i].end(); err != nil {
			t.Errorf("program %d: %v\n%s", i, err, out)
		}
	}
}
