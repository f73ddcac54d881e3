// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/internal/bridge"
	"github.com/villas-ext/villas-ext/node"
	"github.com/villas-ext/villas-ext/shmem"
)

func bridgeCommand() *cobra.Command {
	var (
		o           pairOptions
		wait, quiet bool
	)
	c := &cobra.Command{
		Use:   "bridge REGION OWN,OTHER [-- COMMAND...]",
		Short: "Connect a program of the original's calls to a VILLASnode 1.x",
		Long: `Creates the region REGION, starts COMMAND, the program that opens it, or waits for one, and joins the VILLASnode over the pair
OWN,OTHER: OWN is what the VILLASnode reads (in.name), OTHER what it writes (out.name). Then samples go both ways.

Sequence numbers and timestamps stay as they are, and the marks of a sample that comes back. Values become those of the region,
floats and integers of 32 bits, and back: an integer that does not fit becomes a float, a boolean the integer 0 or 1, a complex
number two floats. What kinds there are --in-signals and --out-signals say, as the VILLASnode's configuration does. Samples for
which there is no room are dropped and counted.

With --polling everybody polls, if the VILLASnode's mode is polling as well: the shortest way.

It ends when either side does, on SIGINT or SIGTERM, and with status 3 when a side dies.`,
		Example: `  villas-shmem bridge /villas1 /b,/a -- ./old-program /villas1
  villas-shmem bridge /villas1 /b,/a --polling --out-signals 4f2i --in-signals 2f --wait`,
		Args:              bridgeArgs,
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			region := node.New(node.Config{Name: args[0], QueueLen: o.QueueLen, SampleLen: o.SampleLen, Polling: o.Polling, Exec: args[2:]},
				node.Options{Log: logger(quiet)})
			if err := region.Start(); err != nil {
				return err
			}
			defer region.Stop()
			own, other, _ := asPair(args[1])
			end, err := joinBoth(cmd.Context(), region, own, other, wait, o)
			if err != nil {
				return err
			}
			defer end.Close()
			b := &bridge.Bridge{Region: region.Node, Pair: end.end, In: end.in, Out: end.out}
			err = b.Run(cmd.Context())
			if !quiet {
				for _, d := range []struct {
					to string
					*bridge.Counts
				}{{"program", &b.ToProgram}, {"VILLASnode", &b.ToNode}} {
					fmt.Fprintf(os.Stderr, "to the %-10s %d, %d dropped, %d shortened\n", d.to, d.Moved.Load(), d.Dropped.Load(), d.Shortened.Load())
				}
			}
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case errors.Is(err, shmem.ErrPeerDied):
				return fmt.Errorf("%w: %w", errPeer, err)
			}
			return err
		},
	}
	o.flags(c, "of the region, and of a pair")
	o.kinds.flags(c)
	c.Flags().BoolVarP(&wait, "wait", "w", false, "wait for the VILLASnode longer than 10 s")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "no log and no counts at the end")
	return c
}

func bridgeArgs(c *cobra.Command, args []string) error {
	if names := c.ArgsLenAtDash(); len(args) < 2 || names < 0 && len(args) != 2 || names >= 0 && names != 2 {
		return wrongUse("a region and a pair are needed, then -- and a command, if any")
	}
	if _, _, is := asPair(args[1]); !is {
		return wrongUse("%q is no pair: it must be OWN,OTHER", args[1])
	}
	return nil
}

// joinBoth waits for a program in the region and for the other side of the pair.
func joinBoth(ctx context.Context, region *node.Node, own, other string, wait bool, o pairOptions) (*pairSide, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	accepted := make(chan error, 1)
	go func() {
		err := region.Accept(ctx)
		if err != nil {
			cancel(err)
		}
		accepted <- err
	}()
	end, err := openPair(ctx, own, other, wait, o)
	if err != nil {
		cancel(err)
	}
	if failed := <-accepted; failed != nil {
		if end != nil {
			end.Close()
		}
		return nil, context.Cause(ctx)
	}
	return end, err
}
