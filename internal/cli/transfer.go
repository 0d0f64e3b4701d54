package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/platform"
)

func (a *app) pushCommand() *cobra.Command {
	var flags makeFlags
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
			return a.pushOne(cmd, names[0], sources, options, client.PushIndex)
		},
	}
	flags.addContent(cmd)
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

// pushed prints what was pushed, some of which may have been before an error.
func (a *app) pushed(cmd *cobra.Command, pushed []ocipkg.Pushed, err error) error {
	for _, p := range pushed {
		a.note(fmt.Sprintf("pushed %s (%s sent)", p.Name, byteSize(p.Sent)))
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.resultJSON(cmd, pushed)
	}
	return a.result(cmd, pushed[0].Descriptor.Digest.String())
}

// pushOne pushes with a method of the client, and prints the result.
func (a *app) pushOne(cmd *cobra.Command, name string, sources []string, options ocipkg.PackOptions, push func(context.Context, string, []string, ocipkg.PackOptions) (ocipkg.Pushed, error)) error {
	pushed, err := push(cmd.Context(), name, sources, options)
	if err != nil {
		return err
	}
	return a.pushed(cmd, []ocipkg.Pushed{pushed}, nil)
}

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

func (a *app) indexSubcommand(use, short, long, example string, push func(*ocipkg.Client, context.Context, string, []string, ocipkg.PackOptions) (ocipkg.Pushed, error)) *cobra.Command {
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
			return a.pushOne(cmd, args[0], args[1:], options, func(ctx context.Context, name string, sources []string, options ocipkg.PackOptions) (ocipkg.Pushed, error) {
				return push(client, ctx, name, sources, options)
			})
		},
	}
	flags.addContent(cmd)
	a.addJSON(cmd)
	return cmd
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

// explain prints what there was to choose from.
func (a *app) explain(c ocipkg.Choice) {
	a.progress.clear()
	fmt.Fprintf(os.Stderr, "target %s\n", c.Target)
	w := tabwriter.NewWriter(os.Stderr, 0, 0, 2, ' ', 0)
	for _, candidate := range c.Candidates {
		mark := "-"
		if candidate.Taken {
			mark, candidate.Reason = "taken", cmp.Or(candidate.Reason, "fits best")
		}
		fmt.Fprintf(w, "%s\t%.19s\t%s\t%s\n", mark, candidate.Digest, candidate.Platform, candidate.Reason)
	}
	_ = w.Flush() // as for all that is printed there
}

// addPlatform adds the flags that say what a build is for, and has them gathered
// in platform, as the API takes it, before the command runs.
func addPlatform(cmd *cobra.Command, target *string) {
	var libc string
	cmd.Flags().StringVar(target, "platform", "", "the target: `os/arch` or a triple (default: OCIPKG_TARGET, GOOS/GOARCH, the host)")
	cmd.Flags().StringVar(target, "target", "", "`TRIPLE`, the same as --platform")
	cmd.Flags().StringVar(&libc, "libc", "", "the `LIBRARY` of the target: glibc, musl, or one with its version, glibc:2.28")
	cmd.MarkFlagsMutuallyExclusive("platform", "target")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if libc == "" {
			return nil
		}
		on, err := platform.Target(*target)
		if err == nil {
			*target, err = withLibc(on, libc)
		}
		return err
	}
}

// withLibc gives a platform with the C library of a flag in place of its own.
func withLibc(p platform.Platform, libc string) (string, error) {
	p.Libc, p.LibcVersion = "", ""
	name := p.String() + " " + strings.Replace(libc, ":", " ", 1)
	if _, err := platform.Parse(name); err != nil {
		return "", fmt.Errorf("--libc %s: %w", libc, err)
	}
	return name, nil
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
		Use:   "link NAME…",
		Short: "Print what a build needs to link packages",
		Long: `Print what a build needs to link packages: arguments for a compiler, directives for
cargo, or everything as JSON. Static libraries are linked unless --shared is
given. What the store does not have is fetched.`,
		Example: "  cc main.c $(ocipkg link ghcr.io/acme/zstd:1.5)",
		Args:    usage(cobra.MinimumNArgs(1)),
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
	flags.BoolVar(&options.OnlyCompile, "cflags", false, "with the format shell: only what the compiler needs")
	flags.BoolVar(&options.OnlyLink, "libs", false, "with the format shell: only what the linker needs")
	flags.StringSliceVar(&options.AllowFlags, "allow-flag", nil, "let packages ask for this `FLAG`, which is not known to be harmless")
	addPlatform(cmd, &options.Platform)
	return cmd
}
