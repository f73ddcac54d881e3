// SPDX-License-Identifier: Apache-2.0

// Command villas-shmem is VILLASnode's shmem node-type on the command line, and
// how people look into a region of shared memory.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/internal/between"
	"github.com/villas-ext/villas-ext/node"
)

// version is set by the Makefile.
var version = "devel"

// Exit statuses, beside 0.
const (
	exitFailed = 1
	exitUse    = 2
	exitPeer   = 3
)

// errPeer wraps what is the other side's doing.
var errPeer = errors.New("the other side went away")

// useError is a wrong use of the command that cobra cannot see.
type useError struct{ error }

func wrongUse(format string, args ...any) error { return useError{fmt.Errorf(format, args...)} }

// interrupts end a command, which removes what it made before.
var interrupts = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

func main() {
	between.Second()
	ctx, stop := signal.NotifyContext(context.Background(), interrupts...)
	defer stop()
	// Caught, so that a closed pipe is an error of a write and the region is
	// removed; not ignored, since the programs we start would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(status(ctx, rootCommand()))
}

// status runs the command and returns the status to exit with.
func status(ctx context.Context, root *cobra.Command) int {
	begun := false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // who reads our output has seen enough
		return 0
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || err == context.Cause(ctx)): // told to end
		return 0
	}
	if errors.As(err, new(node.Faults)) { // FILE:LINE first, as editors understand it
		fmt.Fprintln(os.Stderr, err)
	} else {
		fmt.Fprintln(os.Stderr, "villas-shmem:", err)
	}
	switch {
	case !begun || errors.As(err, new(useError)):
		return exitUse
	case errors.Is(err, errPeer):
		return exitPeer
	}
	return exitFailed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "villas-shmem",
		Short: "VILLASnode's shmem node-type on the command line",
		Long: `Exchanges samples between VILLASnode's side and programs through shared memory, and looks into regions.

Exit status: 0 fine, 1 failed, 2 wrong use, 3 the other side went away.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		nodeCommand(),
		checkCommand(),
		pipeCommand(),
		echoCommand(),
		bridgeCommand(),
		infoCommand(),
		monitorCommand(),
		lsCommand(),
		rmCommand(),
		manualCommand(),
		genCommand(),
		plotCommand(),
		compareCommand(),
		benchCommand(),
	)
	return root
}
