// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manualCommand is for `make man`: manual pages and completions, as they are
// installed below share/.
func manualCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "manual DIR",
		Short:  "Write manual pages and completions below DIR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true
			man := filepath.Join(args[0], "man/man1")
			if err := os.MkdirAll(man, 0o777); err != nil {
				return err
			}
			header := &doc.GenManHeader{Section: "1", Source: "villas-ext " + version, Manual: "VILLAS shared memory"}
			if err := doc.GenManTree(root, header, man); err != nil {
				return err
			}
			for path, generate := range map[string]func(string) error{
				"bash-completion/completions/villas-shmem":    func(p string) error { return root.GenBashCompletionFileV2(p, true) },
				"zsh/site-functions/_villas-shmem":            root.GenZshCompletionFile,
				"fish/vendor_completions.d/villas-shmem.fish": func(p string) error { return root.GenFishCompletionFile(p, true) },
			} {
				path = filepath.Join(args[0], path)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					return err
				}
				if err := generate(path); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
			}
			return nil
		},
	}
}
