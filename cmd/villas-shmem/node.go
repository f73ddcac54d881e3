// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/node"
)

func nodeCommand() *cobra.Command {
	var (
		o       = exchangeOptions{linger: time.Second}
		keep    bool
		metrics string
	)
	c := &cobra.Command{
		Use:   "node CONFIG [NODE]",
		Short: "Run a shmem node: samples from text to an external program, and what comes back to text",
		Long: `Creates the region that CONFIG describes, starts the program that its exec names, and waits for a program to attach.
Then samples from standard input, or --in, go to the program, and what it writes comes out on standard output, or --out.
The program's own output goes to standard error.

It ends when the input has ended and all came back (see --linger), after --limit samples, on SIGINT or SIGTERM, and,
with status 3, when the program goes away (see --keep). The region is removed in any case.

With several nodes of type shmem in CONFIG name the NODE.`,
		Example: `  villas-shmem node etc/shmem.conf --in tests/data/mixed.villas --out returned.villas
  villas-shmem node etc/shmem.conf --in tests/data/mixed.villas --loop --rate 1000 --out /dev/null
  villas-shmem gen --rate 1000 | villas-shmem node etc/shmem.conf > returned.villas
  villas-shmem node /etc/villas/node.conf controller --no-input --keep --metrics 127.0.0.1:9100`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, warnings, err := choose(args)
			if err != nil {
				return err
			}
			log := o.logger()
			for _, w := range warnings {
				log.Warn(w.Error())
			}
			x, err := o.exchange(ctx)
			if err != nil {
				return err
			}
			n := node.New(c, node.Options{Log: log, Restart: keep})
			x.side = &regionSide{end: n, node: true}
			if err := n.Start(); err != nil {
				return err
			}
			defer x.side.Close()
			if metrics != "" {
				stop, err := serveMetrics(metrics, n, x.stats, log)
				if err != nil {
					return err
				}
				defer stop()
			}
			daemon.SdNotify(false, daemon.SdNotifyReady)
			defer daemon.SdNotify(false, daemon.SdNotifyStopping)
			accept := func(ctx context.Context) error {
				daemon.SdNotify(false, "STATUS=waiting for a program")
				if err := n.Accept(ctx); err != nil {
					return err
				}
				daemon.SdNotify(false, "STATUS=a program is attached")
				return nil
			}
			if err := accept(ctx); err != nil {
				return err
			}
			if keep {
				x.again = func(ctx context.Context) error {
					log.Warn("the program went away: waiting for the next", "name", c.Name)
					return accept(ctx)
				}
			}
			return o.run(ctx, x)
		},
	}
	o.flags(c)
	f := c.Flags()
	f.BoolVar(&keep, "keep", false, "when the program goes, wait for the next one; start exec's command again if it has ended")
	f.StringVar(&metrics, "metrics", "", "serve metrics for Prometheus at this address, such as 127.0.0.1:9100")
	return c
}

// choose loads the configuration and picks the node that args name, or the only one.
func choose(args []string) (node.Config, node.Faults, error) {
	file, err := node.Load(args[0])
	if err != nil {
		return node.Config{}, nil, err
	}
	if len(args) == 1 {
		if len(file.Nodes) > 1 {
			return node.Config{}, nil, wrongUse("%s: there are %d shmem nodes: name one behind the file", args[0], len(file.Nodes))
		}
		return file.Nodes[0], file.Warnings, nil
	}
	for _, n := range file.Nodes {
		if n.Node == args[1] {
			return n, file.Warnings, nil
		}
	}
	return node.Config{}, nil, wrongUse("%s: there is no shmem node %q", args[0], args[1])
}
