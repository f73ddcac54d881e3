// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A speaker is a program of a kind that gives back what it gets.
type speaker struct {
	env    []string
	region func(t testing.TB, name string) []string
	pair   func(t testing.TB, own, other string) []string
}

var speakers = map[string]speaker{
	"C11": {nil,
		func(t testing.TB, name string) []string {
			return []string{compile(t, "gcc", "exchange/exchange.c"), "program", name, "0", "0", "8"}
		},
		func(t testing.TB, own, other string) []string {
			return []string{compile(t, "gcc", "pair/party.c"), "echo", own, other}
		}},
	"Cpp": {nil,
		func(t testing.TB, name string) []string { return []string{compile(t, "g++", "whom/echo.cc"), name} },
		func(t testing.TB, own, other string) []string {
			return []string{compile(t, "g++", "whom/echo.cc"), own, other}
		}},
	"Python": {nil,
		func(t testing.TB, name string) []string {
			python := pythonProgram("")
			return append(python[:len(python)-1], "-c", "import sys, villas_ext\nwith villas_ext.open(sys.argv[1], wait=True) as shm:\n"+
				"    for sample in shm:\n        shm.write(sample)", name)
		},
		func(t testing.TB, own, other string) []string {
			return append(pythonProgram("pair/party.py"), "echo", own, other)
		}},
	"Go": {nil,
		func(t testing.TB, name string) []string {
			return []string{goExchange(t), "program", name, "0", "0", "8"}
		},
		func(t testing.TB, own, other string) []string {
			return []string{goProgram(t, "pair"), "echo", own, other}
		}},
	"Old": {oldEnv,
		func(t testing.TB, name string) []string { return []string{oldBinary(t), name} },
		func(t testing.TB, own, other string) []string {
			name := regionName(t)
			return []string{command, "bridge", name, own + "," + other, "--polling", "--in-signals", kindsOfTheStandIn,
				"--out-signals", kindsOfTheStandIn, "--", oldBinary(t), name}
		}},
}

// listeners are what a program of each kind talks to: it sends samples, gets them
// back and checks each.
var listeners = map[string]func(t *testing.T, s speaker){
	"ours": func(t *testing.T, s speaker) {
		name := regionName(t)
		node := start(t, nil, compile(t, "gcc", "exchange/exchange.c"), "node", name, "0", "2000", "8")
		waitFor(t, "/dev/shm"+name)
		answered(t, node, start(t, s.env, s.region(t, name)...), "sent 2000 received 2000 bad 0")
	},
	"v03": func(t *testing.T, s speaker) {
		name := regionName(t)
		golden := []string{"GOLDEN=" + filepath.Join(root, "internal/layout/testdata")}
		node := start(t, golden, compile(t, "gcc", "legacy/legacy.c", "-Wl,--as-needed"), "node", name, "signalled", "2000", "8")
		waitFor(t, "/dev/shm"+name)
		answered(t, node, start(t, s.env, s.region(t, name)...), "sent 2000 received 2000 bad 0")
	},
	"v1": func(t *testing.T, s speaker) {
		a, b := pairNames(t)
		node := start(t, nil, standInNode(t), "send", a, b, "count=2000", "narrow=1")
		answered(t, node, start(t, s.env, s.pair(t, b, a)...), "sent 2000 received 2000 bad 0")
	},
}

func answered(t *testing.T, node, program *process, says string) {
	t.Helper()
	if out, err := node.end(); err != nil || !strings.Contains(out, says) {
		t.Errorf("the node: %v\n%s", err, out)
	}
	if out, err := program.end(); err != nil {
		t.Errorf("the program: %v\n%s", err, out)
	}
}

// TestWhom runs each cell of the README's table "Who can talk to whom", which has
// all of them: a cell is what to run this test with.
func TestWhom(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var cells []string
	for _, m := range regexp.MustCompile("`Whom/(\\w+/\\w+)`").FindAllStringSubmatch(string(text), -1) {
		cells = append(cells, m[1])
	}
	for kind, s := range speakers {
		for node, talk := range listeners {
			cell := kind + "/" + node
			if i := slices.Index(cells, cell); i < 0 {
				t.Errorf("the table has no %s", cell)
			} else {
				cells = slices.Delete(cells, i, i+1)
			}
			t.Run(cell, func(t *testing.T) {
				t.Parallel()
				talk(t, s)
			})
		}
	}
	if len(cells) > 0 {
		t.Errorf("the table has more than there is: %v", cells)
	}
}
