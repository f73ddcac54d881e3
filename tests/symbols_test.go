// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"bufio"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A contractSymbol is a line of symbols.tsv.
type contractSymbol struct{ group, name, typ string }

func contractSymbols(t testing.TB) (all []contractSymbol) {
	t.Helper()
	f, err := os.Open(filepath.Join(root, "internal/layout/testdata/symbols.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if f := strings.Split(s.Text(), "\t"); len(f) > 3 && f[0][0] != '#' {
			all = append(all, contractSymbol{f[0], f[1], f[2]})
		}
	}
	if len(all) != 105 {
		t.Fatalf("the contract has %d symbols", len(all))
	}
	return all
}

// exported lists the library's dynamic symbols as `nm -D` prints them: name and,
// behind @ or @@ (the default version), the version node.
func exported(t testing.TB) map[string]string {
	t.Helper()
	out, err := exec.Command("nm", "-D", "--defined-only", library()).Output()
	if err != nil {
		t.Fatal(err)
	}
	syms := map[string]string{}
	for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(l)
		syms[f[2]] = f[1]
	}
	return syms
}

var helperGroups = []string{"log.c", "utils.c", "list.c", "timing.c", "kernel/kernel.c"}

func TestExactlyTheContractsSymbolsAndOursAreVisible(t *testing.T) {
	have := exported(t)
	for _, s := range contractSymbols(t) {
		version := "@@VILLAS_EXT_0.3"
		if slices.Contains(helperGroups, s.group) && s.typ == "T" {
			version = "@VILLAS_EXT_0.3"
			if have["villas_"+s.name+"@@VILLAS_EXT_1.0"] != "T" {
				t.Errorf("villas_%s is missing", s.name)
			}
			delete(have, "villas_"+s.name+"@@VILLAS_EXT_1.0")
		}
		if typ := have[s.name+version]; typ != s.typ && !(s.typ == "D" && typ == "D") {
			t.Errorf("%s%s is %q, want %s", s.name, version, typ, s.typ)
		}
		delete(have, s.name+version)
	}
	for name, typ := range have {
		if typ != "A" && !regexp.MustCompile(`^(shmem_(shared|node)_\w+@@VILLAS_EXT_1.0|villas_pair_\w+@@VILLAS_EXT_1.1)$`).MatchString(name) {
			t.Errorf("%s (%s) is visible and should not be", name, typ)
		}
	}
}

func TestDataSymbolsHaveTheirSizes(t *testing.T) {
	f, err := elf.Open(library())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := map[string]uint64{"memtype_heap": 48, "memtype_hugepage": 48, "default_log": 56, "global_log": 8}
	syms, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if n, ok := want[s.Name]; ok && s.Size != n {
			t.Errorf("%s has %d bytes, want %d", s.Name, s.Size, n)
		}
	}
	if soname, _ := f.DynString(elf.DT_SONAME); len(soname) != 1 || soname[0] != "libvillas-ext.so.1" {
		t.Errorf("SONAME is %v", soname)
	}
}

// standIn links a library without versions that defines the contract's symbols:
// what an old program was linked against.
func standIn(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(scratch(t), "old")
	once, _ := built.LoadOrStore(dir, new(sync.Once))
	once.(*sync.Once).Do(func() { buildStandIn(t, dir) })
	return dir
}

func buildStandIn(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	size := map[string]int{"memtype_heap": 48, "memtype_hugepage": 48, "default_log": 56, "global_log": 8}
	var src strings.Builder
	for _, s := range contractSymbols(t) {
		if s.typ == "T" {
			src.WriteString("void " + s.name + "(void) { __builtin_trap(); }\n")
		} else {
			src.WriteString("char " + s.name + "[" + map[int]string{48: "48", 56: "56", 8: "8"}[size[s.name]] + "] __attribute__((aligned(8)))")
			src.WriteString(map[string]string{"D": " = { 1 };\n", "B": ";\n"}[s.typ])
		}
	}
	c := filepath.Join(dir, "standin.c")
	if err := os.WriteFile(c, []byte(src.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "libvillas-ext.so")
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-w", "-fno-builtin", "-Wl,-soname,libvillas-ext.so.1", c, "-o", out)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
}

// oldBinary is a program of the original's calls as it was built against the
// original: tests/c/old/client.c without versions in its references. Run it in oldEnv.
func oldBinary(t testing.TB, flags ...string) string {
	t.Helper()
	dir := standIn(t)
	bin := filepath.Join(dir, "client"+strings.Join(flags, ""))
	once, _ := built.LoadOrStore(bin, new(sync.Once))
	once.(*sync.Once).Do(func() {
		args := append(flags, "-O2", "-Wall", "-DVILLAS_EXT_PLAIN_NAMES", "-I", filepath.Join(root, "include"),
			filepath.Join(root, "tests/c/old/client.c"), "-o", bin, "-L", dir, "-lvillas-ext", "-pthread")
		if b, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, b)
		}
	})
	if b, err := exec.Command("nm", "-D", bin).Output(); err != nil || strings.Contains(string(b), "VILLAS_EXT") {
		t.Fatalf("%v: the old binary has versioned references: it is none", err)
	}
	return bin
}

var oldEnv = []string{"LD_LIBRARY_PATH=" + buildDir}

func TestAnOldBinaryRunsUnchanged(t *testing.T) {
	for _, kind := range []string{"-pie -fPIE", "-no-pie -fno-pie"} {
		for _, now := range []string{"", "LD_BIND_NOW=1"} {
			t.Run(kind+now, func(t *testing.T) {
				bin := oldBinary(t, strings.Fields(kind)...)
				env := slices.Clone(oldEnv)
				if now != "" {
					env = append(env, now)
				}
				name := regionName(t)
				p := start(t, env, bin, name)
				run(t, nil, compile(t, "gcc", "exchange/exchange.c"), "node", name, "0", "20000", "8")
				out, err := p.end()
				if err != nil || !strings.Contains(out, "Info ") || !strings.Contains(out, "moved 20000 samples") {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

func TestANewProgramKeepsItsOwnNames(t *testing.T) {
	out := run(t, nil, compile(t, "gcc", "host/own_names.c"))
	if !strings.Contains(out, "own_names.c:7: libc's error") || !strings.Contains(out, "libc's warn") || !strings.Contains(out, "Info") {
		t.Errorf("said %q", out)
	}
}
