package cli

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/platform"
)

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
// in target, as the API takes it, before the command runs.
func addPlatform(cmd *cobra.Command, target *string) {
	var libc string
	cmd.Flags().StringVar(target, "platform", "", "the target: `os/arch` or a triple (default: OCIPKG_TARGET, GOOS/GOARCH, CC, the host)")
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
	words, err := libcWords(libc)
	if err != nil {
		return "", err
	}
	p.Libc, p.LibcVersion = "", ""
	name := p.String() + words
	_, err = platform.Parse(name)
	return name, err
}

// libcWords gives the value of --libc as it stands after a platform.
func libcWords(libc string) (string, error) {
	name, version, versioned := strings.Cut(libc, ":")
	if name != "glibc" && name != "musl" || versioned && !platform.IsVersion(version) {
		return "", errdef.Errorf(errdef.ErrUsage, "--libc %q is not known: write glibc, musl, or one of them with a version, as in glibc:2.28", libc)
	}
	return strings.TrimRight(" "+name+" "+version, " "), nil
}
