package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
)

func (a *app) addCommand() *cobra.Command {
	var options ocipkg.AddOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a package to what the project links",
		Long: `Add a package to [dependencies] in ocipkg.toml, and to ocipkg.lock with all that it
requires. An ocipkg.toml that is not there is made here. An alias that the project
has stands for the new tag from then on. The alias is printed, and on standard error
the names that the package answers to in builds of the project.`,
		Example: "  ocipkg add ghcr.io/acme/zstd:1.5\n  ocipkg add --as png ghcr.io/acme/libpng:1.6",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			added, err := client.Add(cmd.Context(), args[0], options)
			switch {
			case err != nil:
				return err
			case a.json:
				return a.resultJSON(cmd, added)
			}
			a.note(fmt.Sprintf("%s is %s in %s", added.Alias, added.Name, added.File))
			a.note(added.Alias + ": " + shortList(added.Names))
			a.noteChanges(added.Changes)
			return a.result(cmd, added.Alias)
		},
	}
	cmd.Flags().StringVar(&options.Alias, "as", "", "the `ALIAS` in the project (default: the last part of the repository's name)")
	a.addJSON(cmd)
	return cmd
}

// shortList joins names, of many the first ten.
func shortList(names []string) string {
	const most = 10
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += fmt.Sprintf(", … (%d names)", len(names))
	}
	return printable(text)
}

func (a *app) removeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove ALIAS",
		Short: "Take a package from what the project links",
		Long: `Take a package from [dependencies] in ocipkg.toml, and from ocipkg.lock what nothing
else requires. The store keeps it; see: ocipkg store --help.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			changes, err := client.Remove(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.lockChanged(cmd, changes)
		},
	}
	a.addJSON(cmd)
	return cmd
}

func (a *app) lockCommand() *cobra.Command {
	var options ocipkg.LockOptions
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Note which packages the project links, to the byte",
		Long: `Write ocipkg.lock beside ocipkg.toml: which package each name under [dependencies]
stands for, and each that those require, with all that is fetched of them, for all
platforms that there are or for those that are named. What the lock has already
stays as it is; ocipkg update moves it. What changed is printed.

With --locked nothing is written: the command fails, with 6, when the lock is
missing or does not go with ocipkg.toml.`,
		Example: "  ocipkg lock\n  ocipkg lock --platform linux/amd64,linux/arm64\n  ocipkg lock --locked",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := a.client()
			defer client.Close()
			changes, err := client.Lock(cmd.Context(), options)
			if err != nil {
				return err
			}
			return a.lockChanged(cmd, changes)
		},
	}
	cmd.Flags().StringSliceVar(&options.Platforms, "platform", nil, "the targets that are served: `os/arch` or a triple, with commas between; all for every one (default: as before)")
	a.addJSON(cmd)
	return cmd
}

func (a *app) updateCommand() *cobra.Command {
	var options ocipkg.UpdateOptions
	cmd := &cobra.Command{
		Use:   "update [NAME…]",
		Short: "Look up anew what the names in the lock stand for",
		Long: `Look up anew what the project's packages stand for, those that are named or all, and
write that into ocipkg.lock. NAME is an alias, or a package of the lock with or
without its tag. What changed is printed: the name, and the digests before and
after.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			changes, err := client.Update(cmd.Context(), args, options)
			if err != nil && len(changes) == 0 { // and nothing that a check found
				return err
			}
			return errors.Join(a.lockChanged(cmd, changes), err)
		},
	}
	cmd.Flags().BoolVar(&options.Check, "check", false, "change nothing; exit with 6 when a name stands for something else by now")
	a.addJSON(cmd)
	return cmd
}

// lockChanged prints what changed in a lock.
func (a *app) lockChanged(cmd *cobra.Command, changes []ocipkg.LockChange) error {
	if a.json {
		return a.resultJSON(cmd, append([]ocipkg.LockChange{}, changes...)) // [] and not null
	}
	if len(changes) == 0 {
		a.note("nothing moved in the lock")
		return nil
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, changeLine(c))
	}
	return a.result(cmd, strings.Join(lines, "\n"))
}

func (a *app) noteChanges(changes []ocipkg.LockChange) {
	for _, c := range changes {
		a.note(changeLine(c))
	}
}

func changeLine(c ocipkg.LockChange) string {
	switch {
	case c.Before == "":
		return fmt.Sprintf("+ %s %s", c.Name, c.After)
	case c.After == "":
		return fmt.Sprintf("- %s %s", c.Name, c.Before)
	case c.Before == c.After:
		return fmt.Sprintf("~ %s %s, other builds", c.Name, c.After)
	}
	return fmt.Sprintf("~ %s %s → %s", c.Name, c.Before, c.After)
}

func (a *app) treeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tree",
		Short: "Show the packages that the project links, with all that they require",
		Long: `Show the packages that the project links and all that these require, as the lock has
them: the name, the digest, and for each platform the size of what is fetched. What
is marked with (*) is shown above with what it requires.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			roots, err := a.client().Tree()
			switch {
			case err != nil:
				return err
			case a.json:
				return a.resultJSON(cmd, append([]*ocipkg.TreeNode{}, roots...))
			case len(roots) == 0:
				a.note("the project has no dependencies")
				return nil
			}
			var b strings.Builder
			for _, root := range roots {
				b.WriteString(printable(root.Alias) + " = ")
				writeNode(&b, root, "")
			}
			return a.result(cmd, strings.TrimSuffix(b.String(), "\n"))
		},
	}
	a.addJSON(cmd)
	return cmd
}

func writeNode(b *strings.Builder, n *ocipkg.TreeNode, indent string) {
	if n.Seen {
		fmt.Fprintf(b, "%s (*)\n", n.Name)
		return
	}
	fmt.Fprintf(b, "%s  %.19s\n", n.Name, n.Digest)
	below := indent + "   "
	if len(n.Requires) > 0 {
		below = indent + "│  "
	}
	for _, build := range n.Builds {
		fmt.Fprintf(b, "%s%s  %s\n", below, build.Platform, byteSize(build.Size))
	}
	for i, child := range n.Requires {
		branch, next := "├─ ", "│  "
		if i == len(n.Requires)-1 {
			branch, next = "└─ ", "   "
		}
		b.WriteString(indent + branch)
		writeNode(b, child, indent+next)
	}
}

func (a *app) vendorCommand() *cobra.Command {
	var options ocipkg.VendorOptions
	cmd := &cobra.Command{
		Use:   "vendor DIR [PACKAGES…]",
		Short: "Write all that a build links into a layout directory",
		Long: `Write into DIR, as an OCI layout, all packages that a build here links, for all
platforms of the lock or those that are named: what ocipkg.toml names, and the #cgo
pkg-config directives of Go packages (PACKAGES, as for the go command; the default is
./... in a Go module), with all that these require. With OCIPKG_MIRROR=oci:DIR a build
needs no registry. What DIR has from the last time and is not needed any more is
removed. The packages are printed.`,
		Example: "  ocipkg vendor third_party/packages\n  OCIPKG_MIRROR=oci:third_party/packages,off ocipkg restore --offline",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			vendored, err := client.Vendor(cmd.Context(), args[0], args[1:], options)
			switch {
			case err != nil:
				return err
			case a.json:
				return a.resultJSON(cmd, vendored)
			}
			var lines []string
			for _, v := range vendored {
				lines = append(lines, fmt.Sprintf("%s %s %s, %s", v.Name, v.Digest, count(len(v.Platforms), "platform", "platforms"), byteSize(v.Size)))
			}
			return a.result(cmd, strings.Join(lines, "\n"))
		},
	}
	cmd.Flags().StringSliceVar(&options.Platforms, "platform", nil, "only what these targets take: `os/arch` or a triple, with commas between")
	cmd.Flags().StringVar(&options.Tags, "tags", "", "build tags of Go, with commas between")
	a.addJSON(cmd)
	return cmd
}
