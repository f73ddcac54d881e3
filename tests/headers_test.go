// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

func headers(t testing.TB) (all []string) {
	t.Helper()
	include := filepath.Join(root, "include")
	for _, glob := range []string{"villas/*.h", "villas/*/*.h"} {
		m, _ := filepath.Glob(filepath.Join(include, glob))
		for _, h := range m {
			h, _ = filepath.Rel(include, h)
			all = append(all, h)
		}
	}
	if len(all) < 16 {
		t.Fatalf("only %d headers: %v", len(all), all)
	}
	return all
}

// Each header alone in one file; first, and last, of all in the files of all
// rotations.
func TestHeadersCompileAnywhereInAnyDialect(t *testing.T) {
	need(t, "clang", "clang")
	all := headers(t)
	dir := t.TempDir()
	var files []string
	for i, h := range all {
		for k, order := range [][]string{{h}, append(append([]string{}, all[i:]...), all[:i]...)} {
			text := ""
			for _, o := range order {
				text += "#include <" + o + ">\n"
			}
			name := filepath.Join(dir, fmt.Sprintf("%d_%d.c", i, k))
			if err := os.WriteFile(name, []byte(text+"int file;\n"), 0o666); err != nil {
				t.Fatal(err)
			}
			files = append(files, name)
		}
	}
	for compiler, standards := range map[string][]string{
		"gcc": {"c11", "c17", "gnu11", "gnu17"}, "clang": {"c11", "c17", "gnu11", "gnu17"},
		"g++": {"c++11", "c++14", "c++17", "c++20"}, "clang++": {"c++11", "c++14", "c++17", "c++20"},
	} {
		for _, std := range standards {
			t.Run(compiler+" "+std, func(t *testing.T) {
				t.Parallel()
				lang := map[bool]string{true: "c++", false: "c"}[strings.Contains(std, "++")]
				args := append([]string{"-std=" + std, "-x", lang, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", filepath.Join(root, "include")}, files...)
				if b, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
					t.Errorf("%v\n%.2000s", err, b)
				}
			})
		}
	}
}

// layoutA is the contract's table.
type layoutA struct {
	Structs map[string]struct {
		Sizeof, Alignof int
		Fields          map[string]struct{ Offset, Size int }
	}
	Absolute   map[string]int `json:"absolute_offsets_in_shmem_shared"`
	TypeSizes  map[string]int `json:"type_sizes"`
	TypeAligns map[string]int `json:"type_aligns"`
	Constants  map[string]int64
}

func TestEverySizeOffsetAndConstantIsTheContracts(t *testing.T) {
	var l layoutA
	b, err := os.ReadFile(filepath.Join(root, "internal/layout/testdata/layout-a.json"))
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	if err != nil {
		t.Fatal(err)
	}
	var src strings.Builder
	src.WriteString("#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n#include <stddef.h>\n#include <stdio.h>\n#include <sched.h>\n")
	for _, h := range headers(t) {
		src.WriteString("#include <" + h + ">\n")
	}
	src.WriteString("static int bad, seen;\nstatic void hold(const char *what, long long have, long long want)\n{\n\tseen++;\n" +
		"\tif (have != want) {\n\t\tbad++;\n\t\tprintf(\"%s is %lld, want %lld\\n\", what, have, want);\n\t}\n}\n#ifndef __cplusplus\n#define alignof _Alignof\n#endif\nint main(void)\n{\n")
	n := 0
	check := func(expr string, want int64) {
		n++
		fmt.Fprintf(&src, "\thold(%q, (long long) (%s), %dLL);\n", expr, expr, want)
	}
	for _, name := range sorted(l.Structs) {
		s := l.Structs[name]
		check("sizeof("+name+")", int64(s.Sizeof))
		check("alignof("+name+")", int64(s.Alignof))
		for _, f := range sorted(s.Fields) {
			check("offsetof("+name+", "+f+")", int64(s.Fields[f].Offset))
			check("sizeof((("+name+" *) 0)->"+f+")", int64(s.Fields[f].Size))
		}
	}
	for _, f := range sorted(l.Absolute) {
		check("offsetof(struct shmem_shared, "+f+")", int64(l.Absolute[f]))
	}
	for _, typ := range sorted(l.TypeSizes) {
		check("sizeof("+typ+")", int64(l.TypeSizes[typ]))
	}
	for _, typ := range sorted(l.TypeAligns) {
		check("alignof("+typ+")", int64(l.TypeAligns[typ]))
	}
	for _, c := range sorted(l.Constants) {
		expr := strings.ReplaceAll(c, " [signed arg]", "")
		if expr == "MEMBLOCK_USED" || expr != "" {
			check(expr, l.Constants[c])
		}
	}
	var g struct {
		Layout struct {
			Sample struct {
				Sizeof int
				Fields map[string]struct{ Offset, Size int }
			}
		}
		Constants struct{ SampleFlags map[string]int64 }
	}
	b, err = os.ReadFile(filepath.Join(root, "internal/layout/testdata/layout-g.json"))
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	const pairSample = "struct villas_pair_sample"
	check("sizeof("+pairSample+")", int64(g.Layout.Sample.Sizeof))
	check("sizeof(union villas_pair_value)", 8)
	for f, at := range g.Layout.Sample.Fields {
		f = strings.TrimSuffix(f, "[]")
		check("offsetof("+pairSample+", "+f+")", int64(at.Offset))
		if f != "data" {
			check("sizeof((("+pairSample+" *) 0)->"+f+")", int64(at.Size))
		}
	}
	for name, bit := range g.Constants.SampleFlags {
		check("VILLAS_PAIR_"+strings.Replace(name, "HAS_TS_", "HAS_", 1), bit)
	}
	fmt.Fprintf(&src, "\tprintf(\"%%d facts hold\\n\", seen - bad);\n\treturn bad != 0;\n}\n")
	for _, cc := range []string{"gcc -std=gnu11", "g++ -std=gnu++17"} {
		dir := t.TempDir()
		lang := map[bool]string{true: "c++", false: "c"}[strings.HasPrefix(cc, "g++")]
		c, bin := filepath.Join(dir, "facts.c"), filepath.Join(dir, "facts")
		if err := os.WriteFile(c, []byte(src.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		args := append(strings.Fields(cc)[1:], "-w", "-x", lang, "-I", filepath.Join(root, "include"), c, "-o", bin, "-L", buildDir, "-lvillas-ext", "-Wl,-rpath,"+buildDir)
		if b, err := exec.Command(strings.Fields(cc)[0], args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%.3000s", cc, err, b)
		}
		if out := run(t, nil, bin); !strings.Contains(out, fmt.Sprint(n, " facts hold")) {
			t.Errorf("%s: %s", cc, out)
		}
	}
}

func sorted[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
