package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/publish"
	"github.com/ocipkg/ocipkg/platform"
)

func newCargoRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "cargo-ocipkg",
		Short: "Build a Rust crate's native libraries, and pack or publish them",
		Annotations: map[string]string{
			cobra.CommandDisplayNameAnnotation: "cargo ocipkg",
		},
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	a.addGlobalFlags(root)
	root.AddCommand(a.cargoBuildCommand(), a.cargoPublishCommand(), a.versionCommand())
	return root
}

// cargoFlags are those of cargo that matter to what is built.
type cargoFlags struct {
	publish.CargoOptions
	compression string
	checks
}

func (f *cargoFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.Release, "release", "r", false, "build with optimizations")
	flags.StringVar(&f.Profile, "profile", "", "build with the profile `NAME`")
	flags.StringVarP(&f.Package, "package", "p", "", "the `PACKAGE` of the workspace to build")
	flags.StringVar(&f.Package, "package-name", "", "the same as --package")
	flags.StringVar(&f.ManifestPath, "manifest-path", "", "`PATH` of Cargo.toml")
	flags.StringVar(&f.Target, "target", "", "build for the target `TRIPLE`")
	flags.StringVar(&f.TargetDir, "target-dir", "", "`DIRECTORY` for what cargo makes")
	flags.StringSliceVarP(&f.Features, "features", "F", nil, "`FEATURES` to turn on, separated by commas")
	flags.BoolVar(&f.AllFeatures, "all-features", false, "turn on all features")
	flags.BoolVar(&f.NoDefaultFeatures, "no-default-features", false, "do not turn on the default features")
	flags.BoolVar(&f.Locked, "locked", false, "stop if Cargo.lock would change")
	flags.BoolVar(&f.Offline, "offline", false, "let cargo use no network")
	flags.BoolVar(&f.Frozen, "frozen", false, "--locked and --offline")
	flags.StringVarP(&f.Tag, "tag", "t", "", "`NAME` of the package (default: package.metadata.ocipkg.registry with the git commit as the tag)")
	flags.StringVar(&f.compression, "compression", "zstd", "`METHOD` of compression: zstd or gzip; the Rust ocipkg reads gzip only")
	f.checks.add(cmd)
	_ = flags.MarkHidden("package-name") // as the Rust program has it
}

func (a *app) cargoBuildCommand() *cobra.Command {
	var flags cargoFlags
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the static and shared libraries of a crate and pack them",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, archive, err := a.cargoBuild(cmd, flags)
			if err != nil {
				return err
			}
			return a.result(cmd, archive)
		},
	}
	flags.add(cmd)
	return cmd
}

func (a *app) cargoPublishCommand() *cobra.Command {
	var flags cargoFlags
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Build a crate as build does, and push the package",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			output, archive, err := a.cargoBuild(cmd, flags)
			if err != nil {
				return err
			}
			a.note(fmt.Sprintf("  Publishing %s", output.Name))
			client := a.client()
			defer client.Close()
			pushed, err := client.Push(cmd.Context(), archive, nil, ocipkg.PackOptions{})
			if err != nil {
				return err
			}
			return a.result(cmd, pushed[0].Descriptor.Digest.String())
		},
	}
	flags.add(cmd)
	return cmd
}

// cargoBuild builds and packs a crate, and gives where the archive is.
func (a *app) cargoBuild(cmd *cobra.Command, flags cargoFlags) (*publish.Output, string, error) {
	flags.Stderr = os.Stderr
	output, err := publish.Cargo(cmd.Context(), flags.CargoOptions)
	if err != nil {
		return nil, "", err
	}
	var inputs []ocipkg.Input
	native := map[string][]string{}
	for _, f := range output.Files {
		inputs = append(inputs, ocipkg.Input{Path: f.Path, Dest: f.Dest})
		if name, ok := staticLibraryName(f.Dest); ok && len(output.NativeStaticLibs) > 0 {
			native[name] = output.NativeStaticLibs
		}
	}
	a.note(fmt.Sprintf("    Creating oci-archive (%s)", output.Archive))
	target := output.Target
	if _, err := platform.Parse(target); err != nil {
		target = "" // one of the user's own making: the files say what they are for
	}
	_, err = ocipkg.Compose(cmd.Context(), inputs, output.Archive, ocipkg.PackOptions{
		Name: output.Name, Annotations: output.Annotations, Compression: flags.compression,
		Platform: target, NativeStaticLibs: native, MaxGlibc: flags.maxGlibc, Strict: flags.strict, Force: true, Warn: a.warn,
	})
	return output, output.Archive, err
}

// staticLibraryName gives the name that a static library is linked by.
func staticLibraryName(file string) (string, bool) {
	base := filepath.Base(file)
	if name, ok := strings.CutSuffix(base, ".a"); ok {
		return strings.TrimPrefix(name, "lib"), true
	}
	return strings.CutSuffix(base, ".lib")
}
