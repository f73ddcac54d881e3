// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Open and close leave nothing behind; the long form, 100,000 times, is `make
// churn`.
func TestOpeningAgainAndAgainLeavesNothingBehind(t *testing.T) {
	rounds := os.Getenv("CHURN_ROUNDS")
	if rounds == "" {
		rounds = "3000"
	}
	t.Log(strings.TrimSpace(run(t, nil, compile(t, "gcc", "host/churn.c"), rounds)))
	t.Log(strings.TrimSpace(run(t, nil, goProgram(t, "churn"), rounds)))
}

func TestLengthsOverflowNothing(t *testing.T) {
	run(t, nil, compile(t, "gcc", "host/limits.c"))
}

// In a mount namespace of its own, where it is root or may become it, the program
// finds a /dev/shm of 4 MiB.
func TestWhatDoesNotFitIsRefusedAtOnce(t *testing.T) {
	small := `mount -t tmpfs -o size=4m tmpfs /dev/shm && exec "$@"`
	for language, argv := range map[string][]string{
		"C":  {compile(t, "gcc", "host/limits.c"), "small"},
		"Go": {goProgram(t, "churn"), "small"},
	} {
		t.Run(language, func(t *testing.T) {
			cmd := exec.Command("/bin/sh", append([]string{"-c", small, "sh"}, argv...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
			if os.Geteuid() != 0 {
				cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
				cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
				cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

const someUser = 65534 // nobody

// A region is its maker's alone, or its group's where it says so; a name that is
// another user's, or a symbolic link, is neither replaced nor followed.
func TestRegionsBelongToTheirMakers(t *testing.T) {
	for language, program := range map[string]string{"C": compile(t, "gcc", "host/owners.c"), "Go": goProgram(t, "owners")} {
		t.Run(language, func(t *testing.T) { regionsBelongToTheirMakers(t, program) })
	}
}

func regionsBelongToTheirMakers(t *testing.T, program string) {
	dir := t.TempDir() // that everybody may look into
	bin := filepath.Join(dir, "owners")
	for to, from := range map[string]string{bin: program, filepath.Join(dir, filepath.Base(library())): library()} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	env := append(os.Environ(), "LD_LIBRARY_PATH="+dir)
	command := func(uid, gid int, args ...string) *exec.Cmd {
		cmd := exec.Command(bin, args...)
		cmd.Env = env
		if uid != os.Geteuid() {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		}
		return cmd
	}
	open := func(uid, gid int, name string) string {
		out, err := command(uid, gid, "open", name).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	create := func(uid int, name, mode string, group int) (errno string, end func(kill bool)) {
		cmd := command(uid, uid, "create", name, mode, fmt.Sprint(group))
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		return strings.TrimSpace(line), func(kill bool) {
			if kill {
				cmd.Process.Kill()
			}
			in.Close()
			io.Copy(io.Discard, out)
			cmd.Wait()
		}
	}
	errno := func(e syscall.Errno) string { return fmt.Sprint(int(e)) }
	me := os.Geteuid()

	name := regionName(t)
	_, end := create(me, name, "0600", -1)
	if st, err := os.Stat("/dev/shm" + name); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	if got := open(me, me, name); got != "0" {
		t.Errorf("its maker: %s", got)
	}
	if me == 0 {
		if got := open(someUser, someUser, name); got != errno(syscall.EACCES) {
			t.Errorf("another user: %s", got)
		}
	}
	end(false)

	if me == 0 {
		name := regionName(t)
		_, end := create(me, name, "0660", someUser)
		if got := open(someUser, someUser, name); got != "0" {
			t.Errorf("a member of the group: %s", got)
		}
		end(true) // leaves the region
		if got, end := create(someUser, name, "0600", -1); got != errno(syscall.EACCES) {
			t.Errorf("another user replaces a dead node's region: %s", got)
			end(false)
		}
		if got, end := create(me, name, "0600", -1); got != "0" {
			t.Errorf("its maker replaces a dead node's region: %s", got)
		} else {
			end(false)
		}
		_, end = create(someUser, name, "0666", -1)
		end(true)
		if got, end := create(me, name, "0600", -1); got != errno(syscall.EACCES) {
			t.Errorf("root replaces another user's region: %s", got)
			end(false)
		}
		os.Remove("/dev/shm" + name)
	}

	link := regionName(t)
	target := filepath.Join(dir, "precious")
	if err := os.WriteFile(target, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, "/dev/shm"+link); err != nil {
		t.Fatal(err)
	}
	if got, end := create(me, link, "0600", -1); got != errno(syscall.EACCES) {
		t.Errorf("create over a symbolic link: %s", got)
		end(false)
	}
	if got := open(me, me, link); got != errno(syscall.EACCES) {
		t.Errorf("open through a symbolic link: %s", got)
	}
	if b, _ := os.ReadFile(target); string(b) != "as it was" {
		t.Errorf("the target is now %q", b)
	}
	os.Remove("/dev/shm" + link)
}
