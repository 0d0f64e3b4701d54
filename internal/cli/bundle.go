package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
)

func (a *app) bundleCommand() *cobra.Command {
	var options ocipkg.BundleOptions
	cmd := &cobra.Command{
		Use:   "bundle DIR [NAME…]",
		Short: "Copy the shared libraries that a program needs beside it",
		Long: `Copy into DIR the shared libraries that a program linked with these packages
needs when it runs: those of the whole closure, with the names that programs ask
for. Without names, the packages are all [dependencies] of ocipkg.toml. Link the program so that it looks there, such as with -Wl,-rpath,'$ORIGIN'.
What the store does not have is fetched. The paths are printed.`,
		Example: "  ocipkg bundle dist/lib ghcr.io/acme/libpng:1.6",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			paths, err := client.Bundle(cmd.Context(), args[0], args[1:], options)
			if err != nil {
				return err
			}
			if a.json {
				return a.resultJSON(cmd, paths)
			}
			return a.result(cmd, strings.Join(paths, "\n"))
		},
	}
	cmd.Flags().BoolVarP(&options.Force, "overwrite", "f", false, "replace files that are there and different")
	addPlatform(cmd, &options.Platform)
	a.addJSON(cmd)
	return cmd
}
