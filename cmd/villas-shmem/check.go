// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/node"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check CONFIG...",
		Short: "Check configuration files and say all that is wrong",
		Long: `Reads configuration files as the node command does, prints the shmem nodes in them, and all that is wrong at once,
as FILE:LINE: SETTING: what is wrong, what is allowed. The name tells the syntax: .json, .yaml, .yml, else libconfig's.`,
		Example: `  villas-shmem check etc/shmem.conf
  villas-shmem check etc/*.conf etc/shmem.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var all error
			for _, path := range args {
				f, err := node.Load(path)
				if err != nil {
					all = errors.Join(all, err)
					continue
				}
				for _, w := range f.Warnings {
					fmt.Fprintln(os.Stderr, w)
				}
				for i := range f.Nodes {
					if err := describe(cmd.OutOrStdout(), path, &f.Nodes[i]); err != nil {
						return err
					}
				}
			}
			return all
		},
	}
}

// describe says in a line what a node is.
func describe(w io.Writer, path string, c *node.Config) error {
	mode := "signalled"
	if c.Polling {
		mode = "polling"
	}
	what := []string{path}
	if c.Node != "" {
		what = append(what, "node "+c.Node)
	}
	what = append(what, fmt.Sprintf("%s, %d samples of %d values, %s, %s", c.Name, c.QueueLen, c.SampleLen, mode, bytes(c.Size())))
	if len(c.Exec) > 0 {
		what = append(what, "starts "+strings.Join(c.Exec, " "))
	}
	_, err := fmt.Fprintln(w, strings.Join(what, ": "))
	return err
}

// bytes is n with a unit that people can read.
func bytes(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x, i := float64(n), 0
	for x >= 1024 && i < len(units)-1 {
		x, i = x/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", x, units[i])
}
