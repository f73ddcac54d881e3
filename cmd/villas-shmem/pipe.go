// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/shmem"
)

func pipeCommand() *cobra.Command {
	o := exchangeOptions{linger: -1}
	var p pairOptions
	wait := false
	c := &cobra.Command{
		Use:   "pipe NAME",
		Short: "Be the external program: samples between text and a region",
		Long: `Attaches to the region NAME as an external program. What comes from the node goes to standard output, or --out; samples
from standard input, or --in, go to the node. NAME may be OWN,OTHER: the pair of objects of a VILLASnode 1.x, first the one
that it reads (in.name), then the one that it writes (out.name).

It ends when the node stops, after --limit samples, on SIGINT or SIGTERM, and with status 3 when the node dies, or stops
before all of the input was sent. The end of the input does not end it: see --linger.`,
		Example: `  villas-shmem pipe /villas1 --no-input --limit 100
  villas-shmem gen --rate 1000 | villas-shmem pipe /villas1 > from-the-node.villas
  villas-shmem pipe /villas1 --in set-points.csv --linger 0s --out /dev/null
  villas-shmem pipe /b,/a --out-signals 4f2i`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			x, err := o.exchange(cmd.Context())
			if err != nil {
				return err
			}
			if x.in != nil && p.kinds.inText != "" {
				x.in.integers = true
			}
			if x.side, err = openSide(cmd.Context(), args[0], wait, p); err != nil {
				return err
			}
			defer x.side.Close()
			return o.run(cmd.Context(), x)
		},
	}
	o.flags(c)
	p.flags(c, "of a pair")
	p.kinds.flags(c)
	waitFlag(c, &wait)
	return c
}

func waitFlag(c *cobra.Command, wait *bool) {
	c.Flags().BoolVarP(wait, "wait", "w", false, "wait until there is such a region, with a living node; for a pair longer than 10 s")
}

func echoCommand() *cobra.Command {
	vector, limit, wait, quiet := 1, uint64(0), false, false
	var p pairOptions
	c := &cobra.Command{
		Use:   "echo NAME",
		Short: "Be an external program that writes back what it reads",
		Long: `Attaches to the region NAME as an external program and writes back what it reads, without a copy. NAME may be OWN,OTHER:
the pair of objects of a VILLASnode 1.x, first the one that it reads. It ends when the node stops, after --limit samples, on
SIGINT or SIGTERM, and with status 3 when the node dies.`,
		Example: `  villas-shmem echo /villas1
  villas-shmem echo /villas1 --vector 8 --wait
  villas-shmem echo /b,/a`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if vector < 1 || vector > vectorLen {
				return wrongUse("--vector must be 1 to %d, is %d", vectorLen, vector)
			}
			ctx := cmd.Context()
			s, err := openSide(ctx, args[0], wait, p)
			if err != nil {
				return err
			}
			defer s.Close()
			count := uint64(0)
			for limit == 0 || count < limit {
				most := uint64(vector)
				if limit > 0 {
					most = min(most, limit-count)
				}
				n, failed := s.Echo(ctx, int(most))
				if count += uint64(n); failed != nil {
					err = failed
					break
				}
			}
			if !quiet {
				fmt.Fprintf(os.Stderr, "echoed %d samples\n", count)
			}
			switch {
			case err == io.EOF, ctx.Err() != nil:
				return nil
			case errors.Is(err, shmem.ErrPeerDied):
				return fmt.Errorf("%w: %w", errPeer, err)
			}
			return err
		},
	}
	c.Flags().IntVarP(&vector, "vector", "v", vector, "samples to read at once at most")
	c.Flags().Uint64Var(&limit, "limit", 0, "end after so many samples; 0: no limit")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "do not say how many at the end")
	p.flags(c, "of a pair")
	waitFlag(c, &wait)
	return c
}

// completeNames completes the names of objects in shared memory.
func completeNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names(), cobra.ShellCompDirectiveNoFileComp
}
