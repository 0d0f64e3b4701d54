package cli

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/platform"
)

// makeFlags are those of every command that makes a package.
type makeFlags struct {
	name        string
	annotations string
	compression string
	platform    string
	libc        string
	overwrite   bool
	checks
}

// checks are the flags about what is warned of in the files of a package.
type checks struct {
	maxGlibc string
	strict   bool
}

func (f *makeFlags) addName(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.name, "tag", "t", "", "`NAME` of the package, registry/repository:tag, to be noted in the archive")
	cmd.Flags().BoolVarP(&f.overwrite, "overwrite", "f", false, "replace an output that exists")
}

func (f *makeFlags) addContent(cmd *cobra.Command) {
	f.addAnnotations(cmd)
	cmd.Flags().StringVar(&f.compression, "compression", "zstd", "`METHOD` of compression: zstd or gzip; the Rust ocipkg reads gzip only")
	f.addPlatform(cmd)
}

// addPlatform adds what says what a package is for, and what it may need.
func (f *makeFlags) addPlatform(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.platform, "platform", "", "what the package is for: `os/arch`, a target triple, or any (default: read off the files)")
	flags.StringVar(&f.platform, "target", "", "`TRIPLE`, the same as --platform")
	flags.StringVar(&f.libc, "libc", "", "the C `LIBRARY` that the package is for: glibc, musl, or one with the version that it needs, glibc:2.28")
	cmd.MarkFlagsMutuallyExclusive("platform", "target")
	f.checks.add(cmd)
}

func (c *checks) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.maxGlibc, "max-glibc", "", "warn of what needs a newer glibc than `VERSION`")
	cmd.Flags().BoolVar(&c.strict, "strict", false, "fail where the files would be warned of")
}

// on gives what the package is for as the API takes it.
func (f *makeFlags) on() (string, error) {
	switch {
	case f.libc == "":
		return f.platform, nil
	case f.platform == "":
		return withLibc(platform.Platform{OS: "linux"}, f.libc)
	case f.platform == "any":
		return "", errdef.Errorf(errdef.ErrUsage, "--libc %s makes no sense with --platform any; leave one of them out", f.libc)
	}
	words, err := libcWords(f.libc)
	return f.platform + words, err
}

func (f *makeFlags) addAnnotations(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.annotations, "annotations", "", "`FILE` to take annotations from (default: ocipkg.toml, where there is one)")
}

// options gathers the flags. The project file in the working directory is read
// where no other is named.
func (f *makeFlags) options(a *app) (ocipkg.PackOptions, error) {
	on, err := f.on()
	if err != nil {
		return ocipkg.PackOptions{}, err
	}
	o := ocipkg.PackOptions{
		Name: f.name, Project: f.annotations, Compression: f.compression, Platform: on,
		MaxGlibc: f.maxGlibc, Strict: f.strict, Locked: a.locked || a.frozen, Force: f.overwrite, Warn: a.warn,
	}
	if o.Project == "" {
		if _, err := os.Stat(project.FileName); err == nil {
			o.Project = project.FileName
		} else if !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
	}
	return o, nil
}

func (a *app) packCommand() *cobra.Command {
	var flags makeFlags
	cmd := &cobra.Command{
		Use:   "pack INPUT_DIR OUTPUT",
		Short: "Make a package of a directory",
		Long: `Make a package of a directory, as an oci-archive: OUTPUT, to which .tar is added
where it does not end so; or as a layout directory: oci:DIR[:TAG].

The same files give the same digest, which is printed.`,
		Example: "  ocipkg pack install zstd.tar -t ghcr.io/acme/zstd:1.5",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			desc, err := ocipkg.Pack(cmd.Context(), args[0], args[1], options)
			if err != nil {
				return err
			}
			return a.result(cmd, desc.Digest.String())
		},
	}
	flags.addName(cmd)
	flags.addContent(cmd)
	return cmd
}

func (a *app) composeCommand() *cobra.Command {
	var flags makeFlags
	var output string
	cmd := &cobra.Command{
		Use:   "compose FILE[=DEST]… -o OUTPUT",
		Short: "Make a package of single files",
		Long: `Make a package of single files. Each is put at the top of the package, or, given
as PATH=DEST, at DEST. OUTPUT is as for pack.`,
		Example: "  ocipkg compose libz.a=lib/libz.a zlib.h=include/zlib.h -o zlib.tar -t ghcr.io/acme/zlib:1.3",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			var inputs []ocipkg.Input
			for _, arg := range args {
				in, err := parseInput(arg)
				if err != nil {
					return err
				}
				inputs = append(inputs, in)
			}
			desc, err := ocipkg.Compose(cmd.Context(), inputs, output, options)
			if err != nil {
				return err
			}
			return a.result(cmd, desc.Digest.String())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the package to `OUTPUT`")
	_ = cmd.MarkFlagRequired("output")
	flags.addName(cmd)
	flags.addContent(cmd)
	return cmd
}

// parseInput reads PATH or PATH=DEST, which is split at the last "=" unless
// there is a file of the whole name.
func parseInput(arg string) (ocipkg.Input, error) {
	i := strings.LastIndexByte(arg, '=')
	if i < 0 {
		return ocipkg.Input{Path: arg}, nil
	}
	if _, err := os.Stat(arg); err == nil {
		return ocipkg.Input{Path: arg}, nil
	}
	in := ocipkg.Input{Path: arg[:i], Dest: arg[i+1:]}
	if in.Path == "" || in.Dest == "" {
		return in, errdef.Errorf(errdef.ErrUsage, "%q is neither a file nor PATH=DEST", arg)
	}
	if strings.HasSuffix(in.Dest, "/") {
		return in, errdef.Errorf(errdef.ErrUsage, "%q gives a directory as the destination; write the file's name after it", arg)
	}
	return in, nil
}

func (a *app) runnableCommand() *cobra.Command {
	var flags makeFlags
	var output string
	cmd := &cobra.Command{
		Use:   "runnable EXECUTABLE",
		Short: "Make a container image of a statically linked program",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			if output == "" {
				output = args[0] + ".tar"
			}
			desc, err := ocipkg.Runnable(cmd.Context(), args[0], output, options)
			if err != nil {
				return err
			}
			return a.result(cmd, desc.Digest.String())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the image to `OUTPUT` (default: EXECUTABLE.tar)")
	flags.addName(cmd)
	flags.addAnnotations(cmd)
	return cmd
}
