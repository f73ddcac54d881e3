// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Programs that exercise all calls, from one thread and from several.
var sanitized = []string{"host/contract.c", "host/close_wakes.c", "host/bad_input.c", "exchange/exchange.c", "sanitizers/threads.c"}

// exercise runs a sanitized build of source; the exchange needs two sides.
func exercise(t *testing.T, env []string, source string, argv ...string) string {
	t.Helper()
	env = append(env, "GOLDEN="+root+"/internal/layout/testdata")
	if source != "exchange/exchange.c" {
		return run(t, env, argv...)
	}
	var all string
	for polling := range []string{"0", "1"} {
		args := []string{regionName(t), string(rune('0' + polling)), "5000", "8"}
		p := start(t, env, append(append([]string{}, append(argv, "program")...), args...)...)
		all += run(t, env, append(append([]string{}, append(argv, "node")...), args...)...)
		out, err := p.end()
		if err != nil {
			t.Errorf("the program: %v\n%s", err, out)
		}
		all += out
	}
	return all
}

func TestClientsAreCleanUnderSanitizers(t *testing.T) {
	for name, flags := range map[string][]string{
		"address, undefined": {"-fsanitize=address,undefined", "-fno-sanitize-recover=all"},
		"thread":             {"-fsanitize=thread"},
	} {
		for _, source := range sanitized {
			if name == "thread" && (source == "host/bad_input.c" || source == "host/contract.c") {
				continue // one thread and a fork
			}
			t.Run(name+" "+source, func(t *testing.T) {
				bin := compile(t, "gcc", source, flags...)
				out := exercise(t, []string{"TSAN_OPTIONS=halt_on_error=1", "ASAN_OPTIONS=detect_leaks=1"}, source, bin)
				if strings.Contains(out, "Sanitizer") {
					t.Error(out)
				}
			})
		}
	}
}

// The thread sanitizer must find what is wrong in a client, else the runs above
// show nothing.
func TestTheThreadSanitizerStillFindsRaces(t *testing.T) {
	out, err := start(t, nil, compile(t, "gcc", "sanitizers/threads.c", "-fsanitize=thread"), "race").end()
	if err == nil || !strings.Contains(out, "data race") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestClientsAreCleanUnderValgrind(t *testing.T) {
	valgrind := need(t, "valgrind", "valgrind")
	if b, err := exec.Command(valgrind, "--version").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	for _, source := range []string{"host/contract.c", "sanitizers/threads.c", "exchange/exchange.c"} {
		t.Run(source, func(t *testing.T) {
			bin := compile(t, "gcc", source)
			out := exercise(t, nil, source, valgrind, "--error-exitcode=9", "--suppressions="+root+"/etc/valgrind.supp", "--leak-check=full", "--errors-for-leak-kinds=definite", "--show-leak-kinds=definite", bin)
			if !regexp.MustCompile(`ERROR SUMMARY: 0 errors`).MatchString(out) || strings.Contains(out, "unhandled") || strings.Contains(out, "debuginfo") {
				t.Error(out)
			}
		})
	}
}
