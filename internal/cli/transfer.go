package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

func (a *app) pushCommand() *cobra.Command {
	var flags makeFlags
	var reread bool
	cmd := &cobra.Command{
		Use:   "push SOURCE [NAME…] | push SOURCE SOURCE… NAME",
		Short: "Send a package to a registry",
		Long: `Send a package to a registry, under each NAME, or under the one that it carries.
SOURCE is an oci-archive, a layout directory, or a directory of files, which is
packed first. The digest is printed.

NAME may be REPOSITORY@, for a package that is only to be found by its digest.

Several sources, each for a platform of its own, become one image index under
NAME, from which each build takes what fits its target.`,
		Example: "  ocipkg push zstd.tar\n  ocipkg push install ghcr.io/acme/zstd:1.5 ghcr.io/acme/zstd:1\n  ocipkg push linux.tar macos.tar windows.tar ghcr.io/acme/zstd:1.5",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			options.Reread = reread
			client := a.client()
			defer client.Close()
			sources, names := splitSources(args)
			if len(sources) == 1 {
				pushed, err := client.Push(cmd.Context(), sources[0], names, options)
				return a.pushed(cmd, pushed, err)
			}
			if len(names) != 1 {
				return errdef.Errorf(errdef.ErrUsage, "%s are %d sources, which are pushed under one name after them; there are %d; usage: %s", strings.Join(sources, " "), len(sources), len(names), cmd.UseLine())
			}
			pushed, err := client.PushIndex(cmd.Context(), names[0], sources, options)
			return a.pushed(cmd, []ocipkg.Pushed{pushed}, err)
		},
	}
	flags.addContent(cmd)
	cmd.Flags().BoolVar(&reread, "reread", false, "read all files of a directory, also those that look untouched since they were pushed")
	a.addJSON(cmd)
	return cmd
}

// splitSources tells the sources of a push, the first and those after it that
// are something on this machine, from the names.
func splitSources(args []string) (sources, names []string) {
	n := 1
	for n < len(args) && ocipkg.IsSource(args[n]) {
		n++
	}
	return args[:n], args[n:]
}

// pushed prints what was pushed. Of several names some may have been before an
// error.
func (a *app) pushed(cmd *cobra.Command, pushed []ocipkg.Pushed, err error) error {
	for _, p := range pushed {
		if p.Name == "" {
			continue
		}
		a.note(fmt.Sprintf("pushed %s (%s)", p.Name, arrived(p)))
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.resultJSON(cmd, pushed)
	}
	return a.result(cmd, pushed[0].Descriptor.Digest.String())
}

// arrived says how much came where it was pushed, and how.
func arrived(p ocipkg.Pushed) string {
	how := byteSize(p.Sent) + " sent"
	if p.Mounted > 0 {
		how += ", " + byteSize(p.Mounted) + " mounted"
	}
	return how
}

func (a *app) getCommand() *cobra.Command {
	var options ocipkg.GetOptions
	var explain bool
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Fetch a package into the store",
		Long: `Fetch a package from its registry, verify it, and unpack it into the store. A tag
is looked up anew; what the store has is not fetched again. The digest is
printed.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			if explain {
				options.Explain = a.explain
			}
			p, err := client.Get(cmd.Context(), args[0], options)
			if err != nil {
				return err
			}
			return a.stored(cmd, p)
		},
	}
	cmd.Flags().BoolVarP(&options.Force, "overwrite", "f", false, "fetch and unpack again what the store has")
	cmd.Flags().BoolVar(&explain, "explain", false, "say of each package under the name why it is taken or not")
	addPlatform(cmd, &options.Platform)
	a.addJSON(cmd)
	return cmd
}

func (a *app) loadCommand() *cobra.Command {
	var options ocipkg.GetOptions
	cmd := &cobra.Command{
		Use:   "load ARCHIVE",
		Short: "Unpack a package from a file into the store",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			p, err := client.Load(cmd.Context(), args[0], options)
			if err != nil {
				return err
			}
			return a.stored(cmd, p)
		},
	}
	cmd.Flags().BoolVarP(&options.Force, "overwrite", "f", false, "unpack again what the store has, and let the name stand for this package")
	addPlatform(cmd, &options.Platform)
	a.addJSON(cmd)
	return cmd
}

// stored prints a package that is now in the store.
func (a *app) stored(cmd *cobra.Command, p *ocipkg.Package) error {
	if a.json {
		return a.resultJSON(cmd, p)
	}
	return a.result(cmd, p.Digest.String())
}

func (a *app) imageDirectoryCommand() *cobra.Command {
	var platform string
	cmd := &cobra.Command{
		Use:   "image-directory NAME",
		Short: "Print where the store has a package",
		Long:  "Print the directory of a package in the store. Nothing is fetched. NAME may also be a digest.",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.client().Directory(args[0], platform)
			if err != nil {
				return err
			}
			return a.result(cmd, p.Directory)
		},
	}
	addPlatform(cmd, &platform)
	return cmd
}

func (a *app) linkCommand() *cobra.Command {
	var options ocipkg.LinkOptions
	cmd := &cobra.Command{
		Use:   "link [NAME…]",
		Short: "Print what a build needs to link packages",
		Long: `Print what a build needs to link packages: arguments for a compiler, directives for
cargo, or everything as JSON; without names, all [dependencies] of ocipkg.toml.
Static libraries are linked unless --shared is given or ocipkg.toml says it.
What the store does not have is fetched.`,
		Example: "  cc main.c $(ocipkg link ghcr.io/acme/zstd:1.5)",
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			text, err := client.Link(cmd.Context(), args, options)
			if err != nil {
				return err
			}
			return a.result(cmd, text)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Format, "format", ocipkg.FormatShell, "`FORMAT` of what is printed: shell, cargo, json or cps")
	flags.BoolVar(&options.Shared, "shared", false, "link shared libraries")
	flags.BoolVar(&options.Static, "static", false, "link static libraries, whatever ocipkg.toml says")
	flags.BoolVar(&options.OnlyCompile, "cflags", false, "with the format shell: only what the compiler needs")
	flags.BoolVar(&options.OnlyLink, "libs", false, "with the format shell: only what the linker needs")
	flags.StringArrayVar(&options.AllowFlags, "allow-flag", nil, "let packages ask for this very `FLAG`, which is not known to be harmless")
	cmd.MarkFlagsMutuallyExclusive("shared", "static")
	addPlatform(cmd, &options.Platform)
	return cmd
}
