// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is where something was measured.
type Machine struct {
	CPU     string `json:"cpu"`
	CPUs    int    `json:"cpus"` // that this process may use
	Virtual bool   `json:"virtual"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	Load    string `json:"load"` // average of the last minute when it began
}

// ThisMachine looks at the machine.
func ThisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), CPU: runtime.GOARCH}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if s := regexp.MustCompile(`(?m)^model name\s*:\s*(.*)$`).FindSubmatch(b); s != nil {
			m.CPU = string(s[1])
		}
		m.Virtual = regexp.MustCompile(`(?m)^flags\s*:.*\bhypervisor\b`).Match(b)
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	return m
}

func (m Machine) String() string {
	kind := ""
	if m.Virtual {
		kind = " of a virtual machine"
	}
	return fmt.Sprintf("%s, %d CPUs%s, Linux %s, %s, load %s before", m.CPU, m.CPUs, kind, m.Kernel, m.Go, m.Load)
}
