// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Threads and processes, in C and in Go, push to and pull from one queue of a
// region. Each pusher counts up; each puller checks that what it gets of one
// pusher only grows, and adds all up.
func TestThreadsAndProcessesInTwoLanguagesShareOneQueue(t *testing.T) {
	c := compile(t, "gcc", "queues/party.c")
	goParty := goProgram(t, "party")
	const each = 50_000
	host := start(t, nil, c, "host", regionName(t))
	defer host.end()
	path := fmt.Sprintf("/proc/%d/fd/9", host.Process.Pid)
	waitFor(t, path)
	var pushers, pullers []*process
	for i, bin := range []string{c, goParty, c, goParty} {
		pushers = append(pushers, start(t, nil, bin, "push", path, strconv.Itoa(i*2), strconv.Itoa(each)))
		pullers = append(pullers, start(t, nil, bin, "pull", path, strconv.Itoa(i*3+1), "0"))
	}
	for _, p := range pushers {
		if out, err := p.end(); err != nil {
			t.Errorf("push: %v\n%s", err, out)
		}
	}
	run(t, nil, c, "finish", path, strconv.Itoa(2*len(pullers)), "0")
	count, sum := 0, 0
	numbers := regexp.MustCompile(`^count (\d+) sum (\d+)\n$`)
	for _, p := range pullers {
		out, err := p.end()
		m := numbers.FindStringSubmatch(out)
		if err != nil || m == nil {
			t.Errorf("pull: %v\n%s", err, out)
			continue
		}
		n, _ := strconv.Atoi(m[1])
		s, _ := strconv.Atoi(m[2])
		count, sum = count+n, sum+s
	}
	threads := 2 * len(pushers)
	if count != threads*each || sum != threads*each*(each-1)/2 {
		t.Errorf("%d elements with the sum %d came, want %d and %d", count, sum, threads*each, threads*each*(each-1)/2)
	}
	host.Process.Signal(os.Interrupt)
	if out, err := host.end(); err != nil || !strings.Contains(out, "free 256 of 256") {
		t.Errorf("host: %v\n%s", err, out)
	}
}
