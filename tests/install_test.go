// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func must(t *testing.T, dir string, env []string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	b, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, b)
	}
	return strings.TrimSpace(string(b))
}

// files lists what is below dir, links included.
func files(t *testing.T, dir string) (all []string) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, _ = filepath.Rel(dir, path)
			all = append(all, path)
		}
		return err
	})
	return all
}

func TestMakeInstallGivesWhatPkgConfigNamesAndUninstallTakesItAway(t *testing.T) {
	need(t, "pkg-config", "pkg-config")
	prefix := t.TempDir()
	make := []string{"make", "-s", "BUILD=" + buildDir, "PREFIX=" + prefix}
	must(t, root, nil, append(make, "install")...)
	for link, target := range map[string]string{"libvillas-ext.so": "libvillas-ext.so.1", "libvillas-ext.so.1": "libvillas-ext.so.1.0.0"} {
		if to, err := os.Readlink(filepath.Join(prefix, "lib", link)); err != nil || to != target {
			t.Errorf("%s leads to %q, %v", link, to, err)
		}
	}
	env := []string{"PKG_CONFIG_PATH=" + prefix + "/lib/pkgconfig"}
	flags := strings.Fields(must(t, root, env, "pkg-config", "--cflags", "--libs", "villas-ext"))
	bin := filepath.Join(t.TempDir(), "echo")
	must(t, root, nil, append([]string{"gcc", "examples/echo/echo.c", "-o", bin, "-Wl,-rpath," + prefix + "/lib"}, flags...)...)
	if out, err := exec.Command(bin, "/villas-test-there-is-none").CombinedOutput(); err == nil || !strings.Contains(string(out), "start the node first") {
		t.Errorf("%v %s", err, out)
	}
	if out := must(t, root, nil, filepath.Join(prefix, "bin/villas-shmem"), "--version"); !strings.Contains(out, "version 1.") {
		t.Error(out)
	}
	page, err := os.ReadFile(filepath.Join(prefix, "share/man/man1/villas-shmem-node.1"))
	if err != nil || !strings.Contains(string(page), "\\fB--linger\\fP") {
		t.Errorf("the manual page of node: %v\n%s", err, page)
	}
	unit, err := os.ReadFile(filepath.Join(prefix, "lib/systemd/system/villas-shmem@.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart="+prefix+"/bin/villas-shmem node") {
		t.Errorf("the unit: %v\n%s", err, unit)
	}
	completion := filepath.Join(prefix, "share/bash-completion/completions/villas-shmem")
	must(t, root, nil, "bash", "-n", completion)
	must(t, root, nil, append(make, "uninstall")...)
	if left := files(t, prefix); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCMakeBuildsTestsInstallsAndIsFound(t *testing.T) {
	need(t, "cmake", "cmake")
	build, prefix, user := t.TempDir(), t.TempDir(), t.TempDir()
	must(t, root, nil, "cmake", "-S", ".", "-B", build, "-DCMAKE_INSTALL_PREFIX="+prefix, "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_BUILD_TYPE=Release")
	must(t, root, nil, "cmake", "--build", build, "-j2")
	out := must(t, build, nil, "ctest", "--output-on-failure")
	if !strings.Contains(out, "100% tests passed") {
		t.Error(out)
	}
	must(t, root, nil, "cmake", "--install", build)
	for name, text := range map[string]string{
		"CMakeLists.txt": "cmake_minimum_required(VERSION 3.20)\nproject(user C)\nfind_package(villas-ext 1 REQUIRED)\n" +
			"add_executable(user user.c)\ntarget_link_libraries(user villas-ext::villas-ext)\n",
		"user.c": "#include <villas/shmem.h>\nint main(void) { return shmem_total_size(32, 32, 4) == 12680 ? 0 : 1; }\n",
	} {
		if err := os.WriteFile(filepath.Join(user, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	must(t, user, nil, "cmake", "-S", ".", "-B", "b", "-DCMAKE_PREFIX_PATH="+prefix)
	must(t, user, nil, "cmake", "--build", "b")
	must(t, user, nil, filepath.Join(user, "b", "user"))
}
