// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEchoAnswersOverAPair(t *testing.T) {
	for _, mode := range []string{"polling", "pthread"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a, b := pairNames(t)
			args := []string{"echo", b + "," + a, "--vector", "16", "--samplelen", "8"}
			if mode == "polling" {
				args = append(args, "--polling")
			}
			e := start(t, nil, append([]string{command}, args...)...)
			out := run(t, nil, standInNode(t), "send", a, b, "mode="+mode, "count=20000")
			if !strings.Contains(out, "received 20000 bad 0 free 256 of 256") {
				t.Error(out)
			}
			if out, err := e.end(); err != nil || !strings.Contains(out, "echoed 20000 samples") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// What the text says of each kind of value crosses a pair, and comes back.
func TestPipeKeepsKindsTimesAndSequenceOverAPair(t *testing.T) {
	t.Parallel()
	a, b := pairNames(t)
	in := filepath.Join(t.TempDir(), "in.villas")
	text := "1700000000.000000005+2.500000e-03(9007199254740993)F\t0.10000000000000001\t9007199254740993\t1\t1.50000000000000000-2.25000000000000000i\n" +
		"1700000001.999999999+0.000000e+00(9007199254740994)\t-3.00000000000000000\t-9223372036854775808\t0\t0.00000000000000000+0.50000000000000000i\n"
	if err := os.WriteFile(in, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	e := start(t, nil, standInNode(t), "echo", a, b)
	out := expect(t, 0, []string{"pipe", b + "," + a, "--in", in, "--linger", "30s", "--in-signals", "fibc", "--out-signals", "fibc", "--offset"},
		`received  2\n`)
	if !strings.Contains(out, "\n"+text) {
		t.Errorf("%s did not come back:\n%s", text, out)
	}
	if out, err := e.end(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	expect(t, 2, []string{"pipe", "/a,/b", "--in-signals", "3x"}, `--in-signals: kinds of values are written such as 4f2i1b1c`)
	expect(t, 2, []string{"pipe", "/a,/b", "--out-signals", "3"}, `--out-signals: what are the last 3 values`)
}

// A VILLASnode that closes with samples queued, and one that would forget what we
// have queued when we close.
func TestPipeSendsAndReceivesAllOverAPair(t *testing.T) {
	for _, mode := range []string{"polling", "pthread"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a, b := pairNames(t)
			sent, received := filepath.Join(t.TempDir(), "sent.csv"), filepath.Join(t.TempDir(), "received.csv")
			p := start(t, nil, command, "pipe", b+","+a, "--no-input", "--out", received, "--out-signals", "fibcfibc")
			run(t, nil, standInNode(t), "source", a, b, "mode="+mode, "count=3000")
			if out, err := p.end(); err != nil || !strings.Contains(out, "received  3000\n") {
				t.Errorf("%v\n%s", err, out)
			}
			lines := samplesOf(t, received)
			if last := lines[len(lines)-1]; len(lines) != 3001 || !strings.HasPrefix(last, "1700000002,023749081,nan,2999,4498.50000000000000000,-20999999999999,1,999.50000000000000000-70.00000000000000000i,4502.50000000000000000,") {
				t.Errorf("%d lines, the last is %s", len(lines), last)
			}

			a, b = pairNames(t) // the stand-in checks what it gets
			run(t, nil, command, "gen", "--wave", "counter", "--values", "1", "--limit", "400", "--fast", "--out", sent)
			s := start(t, nil, standInNode(t), "count", a, b, "mode="+mode, "count=1000000", "slow=200")
			expect(t, 0, []string{"pipe", b + "," + a, "--in", sent, "--out", "/dev/null", "--linger", "0s", "--polling=" + fmt.Sprint(mode == "polling")}, `sent      400\n`)
			if out, err := s.end(); err != nil || !strings.Contains(out, "counted 400 last 399") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestGenSendsToEachVILLASnodeThatComesOverAPair(t *testing.T) {
	t.Parallel()
	a, b := pairNames(t)
	g := start(t, nil, command, "gen", "--region", b+","+a, "--rate", "2000", "--wave", "counter", "--polling")
	for range 2 {
		if out := run(t, nil, standInNode(t), "count", a, b, "count=200"); !strings.Contains(out, "counted 200") {
			t.Error(out)
		}
	}
	g.Process.Signal(syscall.SIGTERM)
	if out, err := g.end(); err != nil || !regexp.MustCompile(`sent      [4-9]\d\d`).MatchString(out) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAPairIsShownWhileItIsUsedAndRemovedAfterADeath(t *testing.T) {
	t.Parallel()
	a, b := pairNames(t)
	node := start(t, nil, standInNode(t), "echo", a, b, "ql=32", "sl=8")
	p := start(t, nil, command, "pipe", b+","+a, "--queuelen", "64", "--samplelen", "4", "--in", mixed, "--limit", "20", "--out", "/dev/null")
	until(t, "20 samples there and back", func() bool {
		out, err := start(t, nil, command, "info", a).end()
		return err == nil && regexp.MustCompile(`queue +0 of 32 wait, 20 were written, 20 read`).MatchString(out)
	})
	ours := `object +` + b + `, layout G \(5 of 5 signs\), made by one of ours, [0-9.]+ KiB\naccess +0600, .*\nmode +pthread\nsamples +64 of up to 5 values\n` +
		`writer +living, villas-shmem \(\d+\)\nqueue +0 of 64 wait, 20 were written, 20 read\npool +64 of 64 samples are free\nmapped by +.*villas-shmem \(\d+\)`
	nodes := `object +` + a + `, layout G \(5 of 5 signs\), made by a VILLASnode, [0-9.]+ KiB\naccess +0600, .*\nmode +polling\nsamples +32 of up to 13 values\n` +
		`writer +living\nqueue +0 of 32 wait, 20 were written, 20 read\npool +32 of 32 samples are free\nmapped by +.*villas-shmem \(\d+\)`
	expect(t, 0, []string{"info", b + "," + a}, ours+"\n"+nodes)
	expect(t, 0, []string{"info", b}, `\A`+ours)
	expect(t, 0, []string{"ls"}, a+` +[0-9.]+ KiB +polling +writer living +\(of a pair\) +0/32 +32/32\n`, b+` +[0-9.]+ KiB +pthread +writer living, villas-shmem`)
	expect(t, 1, []string{"rm", b + "," + a}, b+`": .*its maker lives`, a+`": .*its maker lives`)

	x := openTerminal(t, 200, 30, fmt.Sprintf("%s monitor %s,%s; echo ended with status $?; exec cat", command, b, a))
	x.shows(b + ` +\S+ +0 of 64`)
	x.shows(a + ` +\S+ +0 of 32`)
	x.shows(a + ` polling, writer living`)
	x.press("q")
	x.shows(`ended with status 0`)

	node.Process.Kill()
	node.end()
	if out, err := p.end(); p.status() != 3 || !strings.Contains(out, "the other side died") {
		t.Errorf("%v\n%s", err, out)
	}
	var s []struct {
		Name   string
		Writer struct{ Living bool }
	}
	text := expect(t, 0, []string{"info", "--json", b + "," + a})
	if err := json.Unmarshal([]byte(text), &s); err != nil || len(s) != 1 || s[0].Name != a || s[0].Writer.Living {
		t.Errorf("%v\n%s", err, text)
	}
	expect(t, 0, []string{"info", b + "," + a}, `object +`+b+`, which is not there\n`, `writer +dead\n`)
	expect(t, 0, []string{"rm", b + "," + a})
	expect(t, 1, []string{"rm", b + "," + a}, "no such file")
	expect(t, 1, []string{"info", b + "," + a}, "no such file")
}

// Which layout the bytes have, and how surely, whoever made them.
func TestInfoTellsLayoutsApart(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"a-32-4-polling": `layout A \(5 of 5 signs\), made by a node built with the original(?s).*mode +polling\n`, "a-32-4-signalled": `layout A \(5 of 5 signs\)(?s).*mode +signalled\n`,
		"g-16-8-polling": `layout G \(5 of 5 signs\), made by a VILLASnode(?s).*mode +polling\n.*queue +3 of 16`, "g-16-8-pthread": `layout G \(5 of 5 signs\)(?s).*mode +pthread\n`,
	} {
		b, err := os.ReadFile(filepath.Join(root, "internal/layout/testdata", file+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		name := regionName(t)
		if err := os.WriteFile("/dev/shm"+name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, 0, []string{"info", name}, want)
		for off := range 80 { // in layout A this holds the allocator, in G nothing that anybody needs
			b[off] = 0
		}
		if strings.HasPrefix(file, "g") {
			os.WriteFile("/dev/shm"+name, b, 0o600)
			expect(t, 0, []string{"info", name}, want)
		}
		expect(t, 0, []string{"rm", name})
		if err := os.WriteFile("/dev/shm"+name, make([]byte, len(b)), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, 1, []string{"info", name}, "not a region")
		os.Remove("/dev/shm" + name)
	}
}

func TestTheOtherSideOfAPairThatDoesNotComeIsStatus3(t *testing.T) {
	t.Parallel()
	a, b := pairNames(t)
	begin := time.Now()
	expect(t, 3, []string{"pipe", b + "," + a, "--no-input"}, "the other side, which writes "+a+" and reads "+b+", did not come: start it")
	if d := time.Since(begin); d < 9*time.Second {
		t.Errorf("after %v", d)
	}
	interruptAt(t, syscall.SIGTERM, func(*process) { waitFor(t, "/dev/shm"+b) }, "echo", b+","+a, "--wait")
}
