package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

func (a *app) cmakeDirCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cmake-dir",
		Short: "Print the directory of the CMake module",
		Long: `Print the directory that has ocipkg.cmake. As a dependency provider it serves a
project's own find_package from [dependencies] of ocipkg.toml; included, it gives
ocipkg_add_package.`,
		Example: "  cmake -B build -DCMAKE_PROJECT_TOP_LEVEL_INCLUDES=$(ocipkg cmake-dir)/ocipkg.cmake",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.client().CMakeDirectory()
			if err != nil {
				return err
			}
			return a.result(cmd, filepath.ToSlash(dir))
		},
	}
}

// cmakeProjectCommand and cmakeConfigCommand are what ocipkg.cmake calls.
func (a *app) cmakeProjectCommand() *cobra.Command {
	var target string
	var defines []string
	cmd := &cobra.Command{
		Use:    "cmake-project",
		Short:  "Print, for ocipkg.cmake, what the project depends on",
		Hidden: true,
		Args:   usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			variables := map[string]string{}
			for _, define := range defines {
				name, value, ok := strings.Cut(define, "=")
				if !ok {
					return errdef.Errorf(errdef.ErrUsage, "--define %q is not VARIABLE=VALUE", define)
				}
				variables[name] = value
			}
			client := a.client()
			defer client.Close()
			text, err := client.CMakeProject(cmd.Context(), target, variables)
			if err != nil {
				return err
			}
			return a.result(cmd, text)
		},
	}
	addPlatform(cmd, &target)
	cmd.Flags().StringArrayVar(&defines, "define", nil, "the value of one of CMake's variables, as `VARIABLE=VALUE`")
	return cmd
}

func (a *app) cmakeConfigCommand() *cobra.Command {
	var options ocipkg.CMakeOptions
	cmd := &cobra.Command{
		Use:    "cmake-config NAME --name PACKAGE --output-dir DIR",
		Short:  "Write, for ocipkg.cmake, what find_package reads",
		Hidden: true,
		Args:   usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			return client.CMake(cmd.Context(), args[0], options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Name, "name", "", "the `PACKAGE` of find_package")
	flags.StringVar(&options.Directory, "output-dir", ".", "the `DIR` to write to")
	flags.BoolVar(&options.Shared, "shared", false, "link shared libraries")
	flags.BoolVar(&options.Static, "static", false, "link static libraries, whatever [dependencies] say")
	flags.StringArrayVar(&options.AllowFlags, "allow-flag", nil, "let packages ask for this very `FLAG`, which is not known to be harmless")
	addPlatform(cmd, &options.Platform)
	_ = cmd.MarkFlagRequired("name")
	cmd.MarkFlagsMutuallyExclusive("shared", "static")
	return cmd
}
