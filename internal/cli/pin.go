package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
)

func (a *app) pinCommand() *cobra.Command {
	var options ocipkg.PinOptions
	cmd := &cobra.Command{
		Use:   "pin [PACKAGES…]",
		Short: "Write into Go files the digests of the packages that they link",
		Long: `Write into the #cgo pkg-config directives of Go files the digest of each package
that they name by a tag: ghcr.io/acme/zstd:1.5 becomes
ghcr.io/acme/zstd:1.5@sha256:…, good for all platforms. Go's cache, go.sum and
vendor directories then tell one build of the package from the next. PACKAGES are
directories, or ./... (the default) for all below. Aliases from ocipkg.toml stay.

A name gets the digest that ocipkg.lock has for it, else the one that it has
elsewhere in these files, else the store's, else the registry's. The names that were pinned are printed.`,
		Example: "  ocipkg pin ./...\n  ocipkg pin --update ./zstd\n  ocipkg pin --check",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"./..."}
			}
			client := a.client()
			defer client.Close()
			pins, err := client.Pin(cmd.Context(), args, options)
			if err != nil && !errors.Is(err, ocipkg.ErrLock) {
				return err
			}
			return errors.Join(a.pinned(cmd, pins), err)
		},
	}
	cmd.Flags().BoolVar(&options.Update, "update", false, "look all tags up anew, and move the pins that are behind")
	cmd.Flags().BoolVar(&options.Check, "check", false, "change nothing; exit with 6 when a name is not pinned, or with --update, when a pin is behind")
	a.addJSON(cmd)
	return cmd
}

// pinned prints the names that are not what they were, or should be something
// else.
func (a *app) pinned(cmd *cobra.Command, pins []ocipkg.Pin) error {
	if a.json {
		return a.resultJSON(cmd, append([]ocipkg.Pin{}, pins...)) // [] and not null
	}
	changed := 0
	for _, p := range pins {
		if !p.Changed() {
			continue
		}
		changed++
		name := p.Pinned
		if name == "" {
			name = p.Name
		}
		if err := a.result(cmd, fmt.Sprintf("%s:%d: %s", p.File, p.Line, name)); err != nil {
			return err
		}
	}
	switch {
	case len(pins) == 0:
		a.note("no #cgo pkg-config directive names a package of a registry")
	case changed == 0:
		a.note(fmt.Sprintf("%s pinned", count(len(pins), "name is", "names are")))
	}
	return nil
}

func (a *app) restoreCommand() *cobra.Command {
	var options ocipkg.RestoreOptions
	cmd := &cobra.Command{
		Use:   "restore [PACKAGES…]",
		Short: "Fetch what a build links, before it is built",
		Long: `Fetch what the store lacks of the packages that a build links: those under
[dependencies] in ocipkg.toml, and those that the #cgo pkg-config directives of
Go packages name, in this module (PACKAGES, as for the go command; the default is
./...) and in all that it imports. Run it before a build with a Go cache that has
come from elsewhere: Go does not ask for a package again that its cache has
built. What was fetched is printed; what the store has is not looked up.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			restored, err := client.Restore(cmd.Context(), args, options)
			if err != nil {
				return err
			}
			return a.restored(cmd, restored)
		},
	}
	cmd.Flags().StringVar(&options.Tags, "tags", "", "build tags of Go, with commas between")
	addPlatform(cmd, &options.Platform)
	a.addJSON(cmd)
	return cmd
}

// restored prints the packages that were fetched.
func (a *app) restored(cmd *cobra.Command, packages []ocipkg.Restored) error {
	if a.json {
		return a.resultJSON(cmd, append([]ocipkg.Restored{}, packages...)) // [] and not null
	}
	fetched := 0
	for _, p := range packages {
		if !p.Fetched {
			continue
		}
		fetched++
		if err := a.result(cmd, fmt.Sprintf("%s %s %s", p.Name, p.Digest, byteSize(p.Size))); err != nil {
			return err
		}
	}
	if len(packages) == 0 {
		a.note("nothing to restore: neither ocipkg.toml nor a Go package here names a package of a registry")
		return nil
	}
	a.note(fmt.Sprintf("%s in the store; %d fetched", count(len(packages), "package is", "packages are"), fetched))
	return nil
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
