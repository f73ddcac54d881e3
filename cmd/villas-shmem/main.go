// SPDX-License-Identifier: Apache-2.0

// Command villas-shmem runs a shmem node: it sends samples from a file to an
// external program and checks what comes back.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
	exitPeer   = 3
)

// errPeer wraps what is the other side's doing.
var errPeer = errors.New("the other side went away")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	usage := true
	root := &cobra.Command{
		Use:           "villas-shmem",
		Short:         "VILLASnode's shmem node-type on the command line",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			usage = false
		},
	}
	root.AddCommand(nodeCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "villas-shmem:", err)
	switch {
	case usage:
		os.Exit(exitUsage)
	case errors.Is(err, errPeer):
		os.Exit(exitPeer)
	}
	os.Exit(exitFailed)
}
