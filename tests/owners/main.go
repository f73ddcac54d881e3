// SPDX-License-Identifier: Apache-2.0

// Command owners is a node until its input ends (owners create NAME MODE GROUP), or
// a program for a moment (owners open NAME), and prints the errno value, 0 if all
// went well. Its twin in C is tests/c/host/owners.c.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/villas-ext/villas-ext/shmem"
	"golang.org/x/sys/unix"
)

func main() {
	var end io.Closer
	var err error
	switch args := os.Args; {
	case len(args) == 3 && args[1] == "open":
		end, err = shmem.Open(context.Background(), args[2], shmem.OpenOptions{})
	case len(args) == 5 && args[1] == "create":
		mode, _ := strconv.ParseUint(args[3], 8, 32)
		group, _ := strconv.Atoi(args[4])
		end, err = shmem.Create(args[2], shmem.Config{QueueLen: 4, Mode: os.FileMode(mode), Group: group})
	default:
		fmt.Fprintln(os.Stderr, "usage: owners create NAME MODE GROUP | owners open NAME")
		os.Exit(2)
	}
	var errno unix.Errno
	if err != nil && !errors.As(err, &errno) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(int(errno))
	if err != nil {
		return
	}
	if os.Args[1] == "create" {
		io.Copy(io.Discard, os.Stdin)
	}
	if err := end.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
