// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/shmem"
)

func infoCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "info NAME",
		Short: "Show what is in a region: sizes, fill, who is attached, leaks",
		Long: `Shows what is in the region NAME. It only reads, from the object and not by mapping it: it takes no samples, wakes and blocks
nobody, and needs no permission but to read.`,
		Example: `  villas-shmem info /villas1
  villas-shmem info /villas1 --json | jq .pool.free`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := look(args[0], nil, nil)
			if err != nil {
				return err
			}
			defer o.Close()
			p, err := o.Look()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, p.data)
			}
			for _, f := range p.facts {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-11s %s\n", f[0], f[1]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func printJSON(cmd *cobra.Command, data any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(data)
}

func lsCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "ls",
		Short:   "List the regions on this machine",
		Long:    "Lists the regions in shared memory, those that are damaged too. It only reads; see info.",
		Example: "  villas-shmem ls",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, all := [][]string{{"NAME", "SIZE", "MODE", "NODE", "PROGRAM", "TO PROGRAM", "TO NODE", "FREE"}}, []any{}
			for _, name := range names() {
				p, err := lookOnce(name)
				switch {
				case errors.Is(err, shmem.ErrNotRegion), errors.Is(err, fs.ErrNotExist):
				case err != nil && asJSON:
					all = append(all, map[string]string{"name": name, "error": err.Error()})
				case errors.Is(err, shmem.ErrDamaged):
					rows = append(rows, []string{name, "damaged"})
				case err != nil:
					rows = append(rows, []string{name, "cannot be read"})
				default:
					rows, all = append(rows, p.row), append(all, p.data)
				}
			}
			if asJSON {
				return printJSON(cmd, all)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, r := range rows {
				fmt.Fprintln(w, strings.Join(r, "\t"))
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func lookOnce(name string) (*picture, error) {
	o, err := look(name, nil, nil)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return o.Look()
}

func rmCommand() *cobra.Command {
	force := false
	c := &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove regions whose node is dead",
		Long: `Removes regions that dead nodes have left behind. That is seldom needed: a node that starts replaces such a region itself. A
living node's region, or an object that is no region, is refused without --force. Its memory is freed when the last
process unmaps it.`,
		Example:           "  villas-shmem rm /villas1",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeNames,
		RunE: func(_ *cobra.Command, args []string) error {
			var all error
			for _, name := range args {
				all = errors.Join(all, remove(name, force))
			}
			return all
		},
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "remove it even if its node lives")
	return c
}
