package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
)

func (a *app) indexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index",
		Short: "Gather packages for several platforms under one name",
		Args:  unknownCommand,
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.indexSubcommand("create NAME SOURCE…", "Write an image index of packages", `Write an image index of packages, one for each platform, under NAME. What the
name stood for before is replaced. SOURCE is a package in a registry, usually
one that a job pushed by digest, or what push takes. The digest is printed.`,
			"  digest=$(ocipkg push install ghcr.io/acme/zstd@)      # in each job\n  ocipkg index create ghcr.io/acme/zstd:1.5 ghcr.io/acme/zstd@sha256:… ghcr.io/acme/zstd@sha256:…",
			(*ocipkg.Client).PushIndex),
		a.indexSubcommand("add NAME SOURCE…", "Add packages to an image index", `Add packages to the image index under NAME, or make it; one that is there for
the same platform is replaced. Several jobs may add to one index at the same
time, and none is lost. To that end each package also gets a tag of its own, such
as 1.5--linux-amd64-glibc. The digest of the index is printed.`,
			"  ocipkg index add ghcr.io/acme/zstd:1.5 zstd.tar",
			(*ocipkg.Client).AddToIndex),
	)
	return cmd
}

// pushIndex is a method of the client that writes an index.
type pushIndex func(c *ocipkg.Client, ctx context.Context, name string, sources []string, options ocipkg.PackOptions) (ocipkg.Pushed, error)

func (a *app) indexSubcommand(use, short, long, example string, push pushIndex) *cobra.Command {
	var flags makeFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: usage(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			client := a.client()
			defer client.Close()
			pushed, err := push(client, cmd.Context(), args[0], args[1:], options)
			return a.pushed(cmd, []ocipkg.Pushed{pushed}, err)
		},
	}
	flags.addContent(cmd)
	a.addJSON(cmd)
	return cmd
}
