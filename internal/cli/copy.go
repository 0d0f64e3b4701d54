package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
)

func (a *app) copyCommand() *cobra.Command {
	var options ocipkg.CopyOptions
	cmd := &cobra.Command{
		Use:   "copy SOURCE DESTINATION",
		Short: "Copy a package between registries, archives and layouts",
		Long: `Copy a package, or an index with the packages of all platforms, byte for byte, with
the signatures and whatever else refers to it. SOURCE and DESTINATION are each a
name in a registry, FILE.tar or oci-archive:FILE, or oci:DIR[:TAG]; DESTINATION may
be REPOSITORY@, where the package is then found by its digest alone. What the
destination has is not sent again, and a registry takes over what another of its
repositories has. The digest of what is there afterwards is printed.

With --platform, of an index only the packages for these targets are copied, in an
index of their own, whose digest is another.`,
		Example: `  ocipkg copy ghcr.io/acme/zstd:1.5 zstd.tar          # onto a stick
  ocipkg copy zstd.tar registry.corp/acme/zstd:1.5    # and on
  ocipkg copy ghcr.io/acme/zstd:1.5 oci:vendor --platform linux/amd64,linux/arm64`,
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			copied, err := client.Copy(cmd.Context(), args[0], args[1], options)
			if copied.Name == "" {
				return err
			}
			return errors.Join(a.copied(cmd, copied), err)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&options.Platforms, "platform", nil, "of an index copy only what serves this target, `os/arch` or a triple; may be repeated")
	flags.BoolVar(&options.NoReferrers, "no-referrers", false, "leave out signatures and whatever else refers to the package")
	flags.BoolVarP(&options.Force, "overwrite", "f", false, "replace an archive that exists")
	a.addJSON(cmd)
	return cmd
}

// copied prints what was copied.
func (a *app) copied(cmd *cobra.Command, c ocipkg.Copied) error {
	how := arrived(c.Pushed)
	if c.Referrers > 0 {
		how += fmt.Sprintf(", with %d that refer to it", c.Referrers)
	}
	a.note(fmt.Sprintf("copied to %s (%s)", c.Name, how))
	if c.Descriptor.Digest != c.Source.Digest {
		a.note(fmt.Sprintf("it is an index of fewer packages than %s, and so has a digest of its own", c.Source.Digest))
	}
	if a.json {
		return a.resultJSON(cmd, c)
	}
	return a.result(cmd, c.Descriptor.Digest.String())
}
