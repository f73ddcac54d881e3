// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// disassemble returns the instructions of each function of the library.
func disassemble(t testing.TB, objdump, lib string) map[string][]string {
	t.Helper()
	out, err := exec.Command(objdump, "-d", "--no-show-raw-insn", lib).Output()
	if err != nil {
		t.Fatal(err)
	}
	functions, name := map[string][]string{}, ""
	head := regexp.MustCompile(`^[0-9a-f]+ <(.*)>:$`)
	for _, l := range strings.Split(string(out), "\n") {
		if m := head.FindStringSubmatch(l); m != nil {
			name = m[1]
		} else if f := strings.SplitN(l, "\t", 2); len(f) == 2 {
			functions[name] = append(functions[name], strings.TrimSpace(f[1]))
		}
	}
	return functions
}

// leafNames are the functions that ext hands over to C.
func leafNames(t testing.TB) (names []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "ext/leaves.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`= entry\((\w+)\)`).FindAllStringSubmatch(string(b), -1) {
		names = append(names, "main."+m[1])
	}
	if len(names) < 30 {
		t.Fatalf("%d leaves: %v", len(names), names)
	}
	return names
}

// machine is what a leaf of one architecture must keep to, in objdump's words.
type machine struct {
	objdump   string
	callTo    *regexp.Regexp // a call, or a jump, to a function by name
	indirect  *regexp.Regexp // the same through a pointer
	forbidden *regexp.Regexp // the goroutine's register, and thread local storage
}

var (
	amd64 = machine{
		objdump:   "objdump",
		callTo:    regexp.MustCompile(`^(?:call|jmp)\s+[0-9a-f]+ <([^>+]+)`),
		indirect:  regexp.MustCompile(`^(?:call|jmp)\s+\*`),
		forbidden: regexp.MustCompile(`%r14\b|%fs:`),
	}
	arm64 = machine{
		objdump:   "aarch64-linux-gnu-objdump",
		callTo:    regexp.MustCompile(`^bl?\s+[0-9a-f]+ <([^>+]+)`),
		indirect:  regexp.MustCompile(`^blr?\s+x`),
		forbidden: regexp.MustCompile(`\b[wx](?:18|28)\b|tpidr`),
	}
)

// A leaf, and all that it calls, reaches nothing in the runtime, calls nothing
// through a pointer and never looks at the goroutine (r14 or x28, or thread local
// storage).
func TestLeavesArePure(t *testing.T) { testLeavesArePure(t, amd64, library()) }

func testLeavesArePure(t *testing.T, m machine, lib string) {
	functions := disassemble(t, m.objdump, lib)
	seen := map[string]bool{}
	var visit func(name, path string)
	visit = func(name, path string) {
		if seen[name] {
			return
		}
		seen[name] = true
		code, ok := functions[name]
		if !ok {
			t.Errorf("%s: not in the library", path)
		}
		for _, insn := range code {
			switch to := m.callTo.FindStringSubmatch(insn); {
			case to != nil && to[1] == name:
			case to != nil && strings.HasPrefix(to[1], "runtime."):
				t.Errorf("%s calls %s", path, to[1])
			case to != nil:
				visit(to[1], path+" > "+to[1])
			case m.indirect.MatchString(insn):
				t.Errorf("%s calls through a pointer: %s", path, insn)
			case m.forbidden.MatchString(insn):
				t.Errorf("%s looks at the goroutine: %s", path, insn)
			}
		}
	}
	for _, leaf := range leafNames(t) {
		visit(leaf, leaf)
	}
	t.Logf("%d functions in %d leaves", len(seen), len(leafNames(t)))
}

// The linker holds chains of nosplit functions against the stack that is always
// there; without optimisation and inlining they are longest.
func TestLeafChainsFitTheStackWithoutOptimisation(t *testing.T) {
	out := filepath.Join(t.TempDir(), "lib.so")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-gcflags=all=-N -l",
		"-ldflags=-extldflags=-Wl,--version-script="+filepath.Join(root, "ext/libvillas-ext.map"), "-o", out, "../ext")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, b)
	}
}

func TestLeavesKeepTheCallersRegistersAndFrame(t *testing.T) {
	run(t, nil, compile(t, "gcc", "leaves/canary.c", "-O0", "-fno-omit-frame-pointer"))
}

// The race detector and the memory sanitizer would put calls into leaves.
func TestTheLibraryRefusesToBeInstrumented(t *testing.T) {
	cmd := exec.Command("go", "vet", "-race", "../ext")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if b, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(b), "ext_cannot_be_built") {
		t.Errorf("%v\n%s", err, b)
	}
}
