// SPDX-License-Identifier: Apache-2.0

// Package tests holds the library to what its users rely on, with real
// processes: C and C++ programs that are built here against build/, and the
// commands.
package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// root is the top of the checkout, buildDir what make built.
var root, buildDir = func() (string, string) {
	root, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	build := os.Getenv("VILLAS_EXT_BUILD")
	if build == "" {
		build = filepath.Join(root, "build")
	}
	return root, build
}()

func TestMain(m *testing.M) {
	if _, err := os.Stat(library()); err != nil {
		fmt.Fprintf(os.Stderr, "%v: run `make` first, or `make test` for all of it\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func library() string { return filepath.Join(buildDir, "libvillas-ext.so.1") }

var built sync.Map // of *sync.Once by program

// compile builds tests/c/SOURCE with the compiler and flags of cc against the
// library and returns the program. The same build is made once.
func compile(t testing.TB, cc, source string, flags ...string) string {
	t.Helper()
	return compileAgainst(t, buildDir, cc, source, flags...)
}

// compileAgainst is compile against the library in the folder lib.
func compileAgainst(t testing.TB, lib, cc, source string, flags ...string) string {
	t.Helper()
	src := filepath.Join(root, "tests", "c", source)
	out := filepath.Join(scratch(t), strings.NewReplacer("/", "_", " ", "", "-", "", ",", "", "=", "").Replace(filepath.Base(lib)+cc+source+strings.Join(flags, "")))
	once, _ := built.LoadOrStore(out, new(sync.Once))
	once.(*sync.Once).Do(func() {
		args := append(strings.Fields(cc)[1:], "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-I", filepath.Join(root, "include"), src, "-o", out)
		args = append(args, "-L", lib, "-lvillas-ext", "-Wl,-rpath,"+lib, "-pthread", "-ldl", "-lm")
		args = append(args, flags...)
		if b, err := exec.Command(strings.Fields(cc)[0], args...).CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", cc, strings.Join(args, " "), err, b)
		}
	})
	if _, err := os.Stat(out); err != nil {
		t.Fatal(err)
	}
	return out
}

var scratchDir = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "tests")
	return dir, os.MkdirAll(dir, 0o777)
})

func scratch(t testing.TB) string {
	t.Helper()
	dir, err := scratchDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// limit is when a program that a test started counts as hanging; long forms say
// how long they may take.
var limit = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("VILLAS_EXT_LIMIT")); err == nil {
		return d
	}
	return time.Minute
}()

// process is a program that a test started.
type process struct {
	*exec.Cmd
	out    output
	cancel context.CancelFunc
	ctx    context.Context
}

// output is what a program printed, also while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func start(t testing.TB, env []string, argv ...string) *process {
	t.Helper()
	p := new(process)
	p.ctx, p.cancel = context.WithTimeout(context.Background(), limit)
	p.Cmd = exec.CommandContext(p.ctx, argv[0], argv[1:]...)
	p.Stdout, p.Stderr = &p.out, &p.out
	p.Env = append(os.Environ(), env...)
	p.WaitDelay = time.Second
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.cancel)
	return p
}

// end waits for the program and returns what it printed.
func (p *process) end() (string, error) {
	err := p.Wait()
	if p.ctx.Err() != nil {
		err = fmt.Errorf("hangs: killed after %v", limit)
	}
	p.cancel()
	return p.out.String(), err
}

// soFar is what the program has printed, printed whether a pattern is in it.
func (p *process) soFar() string { return p.out.String() }
func (p *process) printed(pattern string) bool {
	return regexp.MustCompile(pattern).MatchString(p.soFar())
}

// run runs a program to its end, which must be good.
func run(t testing.TB, env []string, argv ...string) string {
	t.Helper()
	out, err := start(t, env, argv...).end()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return out
}

var names atomic.Int32

// regionName is a name that no other test uses; what is left there afterwards is
// an error.
func regionName(t testing.TB) string {
	name := fmt.Sprintf("villas-test-%d-%d", os.Getpid(), names.Add(1))
	t.Cleanup(func() {
		if err := os.Remove("/dev/shm/" + name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the region %s was left behind", name)
		}
	})
	return "/" + name
}

// need ends the test where a Debian package is missing: `make test` installs it.
func need(t testing.TB, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install %s (make test does it as root)", program, pkg)
	}
	return path
}

// waitFor waits until path exists.
func waitFor(t testing.TB, path string) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not appear", path)
		}
	}
}
