// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pairNames are two names that no other test uses; what is left under them, or of
// their semaphores, afterwards is an error.
func pairNames(t testing.TB) (a, b string) {
	base := fmt.Sprintf("villas-test-%d-pair-%d-", os.Getpid(), names.Add(1))
	t.Cleanup(func() {
		left, _ := filepath.Glob("/dev/shm/*" + base + "*")
		for _, path := range left {
			t.Errorf("%s was left behind", path)
			os.Remove(path)
		}
	})
	return "/" + base + "a", "/" + base + "b"
}

// standInNode builds what stands for a VILLASnode: it links nothing of ours.
func standInNode(t testing.TB) string {
	t.Helper()
	return compile(t, "gcc", "pair/standin.c", "-Wl,--as-needed")
}

// pairParties are the programs that can play a role over a pair; the same roles and
// settings for all.
func pairParties(t testing.TB) map[string][]string {
	return map[string][]string{"C": {compile(t, "gcc", "pair/party.c")}, "Go": {goProgram(t, "pair")}, "Python": pythonProgram("pair/party.py"),
		"standin": {standInNode(t)}}
}

// mortalPairParties are ours, that die where told.
func mortalPairParties(t testing.TB) map[string]string {
	return map[string]string{"C": compileAgainst(t, checkedDir(), "gcc", "pair/party.c"), "Go": goProgram(t, "pair", "-tags", "faults")}
}

// pythonProgram is how tests/PATH is started, with the package of this checkout and the library that was built.
func pythonProgram(path string) []string {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "/usr/bin/python3" // the one that Debian's modules are for
	}
	return []string{"env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=" + filepath.Join(root, "python/src"), "VILLAS_EXT_LIBRARY=" + library(),
		python, "-W", "error", filepath.Join(root, "tests", path)}
}

func play(t testing.TB, party []string, role, own, other string, settings ...string) *process {
	t.Helper()
	return start(t, nil, slices.Concat(party, []string{role, own, other}, settings)...)
}

// Each with each, in both orders of start, in all four combinations of modes: every
// sample goes round and is checked.
func TestPairsExchangeAllKindsOfValues(t *testing.T) {
	parties := pairParties(t)
	for _, sender := range sorted(parties) {
		for _, echoer := range sorted(parties) {
			if sender == "standin" && echoer == "standin" {
				continue
			}
			for i, modes := range [][2]string{{"polling", "polling"}, {"pthread", "pthread"}, {"polling", "pthread"}, {"pthread", "polling"}} {
				t.Run(fmt.Sprintf("%s %s, %s %s", sender, modes[0], echoer, modes[1]), func(t *testing.T) {
					t.Parallel()
					a, b := pairNames(t)
					count, settings := 200000, []string{"window=64"}
					switch {
					case sender == "Python" && echoer == "Python" && i < 2:
						settings = append(settings, "arrays=1")
					case sender == "Python" || echoer == "Python":
						count = 2000
					case i > 1 || modes[0] == "pthread" && sender != echoer:
						count = 20000
					}
					settings = append(settings, fmt.Sprint("count=", count))
					var s, e *process
					if i%2 == 0 {
						s = play(t, parties[sender], "send", a, b, append(settings, "mode="+modes[0])...)
						time.Sleep(20 * time.Millisecond)
						e = play(t, parties[echoer], "echo", b, a, append(settings, "mode="+modes[1])...)
					} else {
						e = play(t, parties[echoer], "echo", b, a, append(settings, "mode="+modes[1])...)
						time.Sleep(20 * time.Millisecond)
						s = play(t, parties[sender], "send", a, b, append(settings, "mode="+modes[0])...)
					}
					out, err := s.end()
					if err != nil || !strings.Contains(out, fmt.Sprintf("sent %d received %d bad 0 free 256 of 256", count, count)) {
						t.Errorf("%v\n%s", err, out)
					}
					if out, err := e.end(); err != nil || !strings.Contains(out, fmt.Sprintf("echoed %d free 256 of 256", count)) {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
		}
	}
}

// What was queued before a close is read, and then comes the end.
func TestAPairIsDrainedBeforeItsEnd(t *testing.T) {
	parties := pairParties(t)
	delete(parties, "standin") // reports the end at once, as the original
	for name, party := range parties {
		for _, mode := range []string{"polling", "pthread"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				t.Parallel()
				a, b := pairNames(t)
				sink := play(t, party, "sink", b, a, "mode="+mode)
				run(t, nil, standInNode(t), "source", a, b, "mode="+mode, "count=200", "linger=200")
				if out, err := sink.end(); err != nil || !strings.Contains(out, "received 200 bad 0") {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

func TestAPairNeedsNothingOfTheOtherSidesFirstBytesNorAPowerOfTwo(t *testing.T) {
	for name, party := range pairParties(t) {
		if name == "standin" {
			continue
		}
		for _, mode := range []string{"polling", "pthread"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				t.Parallel()
				a, b := pairNames(t)
				e := play(t, []string{standInNode(t)}, "echo", b, a, "mode="+mode, "zero=1", "ql=100")
				out := run(t, nil, slices.Concat(party, []string{"send", a, b, "mode=" + mode, "ql=33", "window=30", "count=5000"})...)
				if !strings.Contains(out, "received 5000 bad 0 free 33 of 33") {
					t.Error(out)
				}
				if out, err := e.end(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// The other side crashes at each step of the handshake, before this side starts or
// while it waits. Then another one comes, and all goes well: nothing that the dead
// one left is taken for it. The same once it has died in the exchange.
func TestAPairMeetsTheNextOneAfterACrashAtAnyStep(t *testing.T) {
	type victim struct {
		argv, env, settings []string
		alone               bool // it gets there without the other side
	}
	victims := map[string]victim{}
	for step := 1; step <= 9; step++ {
		victims[fmt.Sprintf("standin at %d", step)] = victim{[]string{standInNode(t)}, nil, []string{fmt.Sprint("crash=", step)}, step <= 4}
	}
	for i, point := range []string{"semaphores", "object", "posted", "received", "mapped", "unlinked", "push"} {
		for language, program := range mortalPairParties(t) {
			victims[language+" at "+point] = victim{[]string{program}, []string{"VILLAS_EXT_FAULT=" + point + ":1"}, nil, i < 3}
		}
	}
	survivors := pairParties(t)
	delete(survivors, "standin")
	delete(survivors, "Python") // meets as C does
	for survivor, party := range survivors {
		for name, v := range victims {
			for _, mode := range []string{"polling", "pthread"} {
				for _, order := range []string{"before", "after"} {
					if order == "before" && !v.alone || name == "standin at 8" && mode == "polling" {
						continue
					}
					t.Run(fmt.Sprintf("%s, %s, %s, started %s", survivor, mode, name, order), func(t *testing.T) {
						t.Parallel()
						a, b := pairNames(t)
						var s *process
						if order == "after" {
							s = play(t, party, "send", b, a, "mode="+mode, "again=1")
							time.Sleep(20 * time.Millisecond)
						}
						crashed := start(t, v.env, slices.Concat(v.argv, []string{"send", a, b, "mode=" + mode, "count=100"}, v.settings)...)
						if out, err := crashed.end(); err == nil || !strings.Contains(err.Error(), "killed") {
							t.Fatalf("the victim did not crash: %v\n%s", err, out)
						}
						if s == nil {
							s = play(t, party, "send", b, a, "mode="+mode, "again=1")
							time.Sleep(20 * time.Millisecond)
						}
						e := play(t, []string{standInNode(t)}, "echo", a, b, "mode="+mode)
						out, err := s.end()
						if err != nil || !strings.Contains(out, "received 1000 bad 0 free 256 of 256") {
							t.Errorf("%v\n%s", err, out)
						}
						if out, err := e.end(); err != nil || !strings.Contains(out, "echoed 1000") {
							t.Errorf("the next one: %v\n%s", err, out)
						}
					})
				}
			}
		}
	}
}

// This side crashes at each step while the other one waits, and the other one, which
// believes that it is still there, is killed. What both have left does not keep the
// next two from meeting.
func TestAPairMeetsAfterBothSidesLeftSomething(t *testing.T) {
	mortal, node := mortalPairParties(t), []string{standInNode(t)}
	for name, party := range pairParties(t) {
		ours, mortal := mortal[name]
		if !mortal {
			continue
		}
		for _, point := range []string{"semaphores", "object", "posted", "received", "unlinked", "push"} {
			t.Run(name+" after "+point, func(t *testing.T) {
				t.Parallel()
				a, b := pairNames(t)
				other := play(t, node, "echo", a, b)
				if point != "posted" {
					time.Sleep(20 * time.Millisecond) // else the post may be there first, for the other one to take
				}
				crashed := start(t, []string{"VILLAS_EXT_FAULT=" + point + ":1"}, ours, "send", b, a)
				if out, err := crashed.end(); err == nil || !strings.Contains(err.Error(), "killed") {
					t.Fatalf("the victim did not crash: %v\n%s", err, out)
				}
				other.Process.Kill()
				other.end()
				s := play(t, party, "send", b, a)
				time.Sleep(50 * time.Millisecond)
				if out, err := play(t, node, "echo", a, b).end(); err != nil || !strings.Contains(out, "echoed 1000") {
					t.Errorf("%v\n%s", err, out)
				}
				if out, err := s.end(); err != nil || !strings.Contains(out, "received 1000 bad 0 free 256 of 256") {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// A peer that took a post of a former life is bound to the object of that life: this
// side gives up in time, and meets the peer when that has been started again.
func TestAPairSaysThatAPeerBoundToAFormerLifeMustBeStartedAgain(t *testing.T) {
	mortal, node := mortalPairParties(t), []string{standInNode(t)}
	for name, party := range pairParties(t) {
		ours, mortal := mortal[name]
		if !mortal {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pairNames(t)
			start(t, []string{"VILLAS_EXT_FAULT=posted:1"}, ours, "send", b, a).end()
			other := play(t, node, "echo", a, b)
			waitFor(t, "/dev/shm"+a)
			out, err := play(t, party, "send", b, a, "timeout=300").end()
			if err == nil || !strings.Contains(out, "start it, or start it again") {
				t.Errorf("%v\n%s", err, out)
			}
			other.Process.Kill()
			other.end()
			s := play(t, party, "send", b, a)
			run(t, nil, node[0], "echo", a, b)
			if out, err := s.end(); err != nil || !strings.Contains(out, "received 1000 bad 0") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
