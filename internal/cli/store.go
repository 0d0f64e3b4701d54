package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/upkeep"
)

func (a *app) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Look after the store: remove, prune, check",
		Args:  unknownCommand,
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.storeRemoveCommand(), a.storePruneCommand(), a.storeFsckCommand())
	return cmd
}

func (a *app) storeRemoveCommand() *cobra.Command {
	var options ocipkg.RemoveOptions
	cmd := &cobra.Command{
		Use:   "remove NAME…",
		Short: "Remove packages from the store",
		Long: `Remove names from the store, with the packages that they stand for and no other
name does. NAME may also be the digest of a package or an index: it goes with the
names that stand for nothing more. What a project's lock file names is refused
without --force. What was removed is printed, with the bytes that are free.`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			removed, err := a.client().RemoveFromStore(cmd.Context(), args, options)
			return a.removed(cmd, removed, err)
		},
	}
	cmd.Flags().BoolVarP(&options.Force, "force", "f", false, "remove also what a project's lock file names")
	a.addJSON(cmd)
	return cmd
}

func (a *app) storePruneCommand() *cobra.Command {
	var options ocipkg.PruneOptions
	var all bool
	age := ageValue{&options.OlderThan, "30d"}
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove from the store what nobody used for a while",
		Long: `Remove the packages that nobody used for 30 days, or as long as --older-than says,
and what else is there for packages that are gone. What was used within the last
24 hours stays whatever is asked for, since a build may still be at it; so does
what the lock file of a project names. Builds may run meanwhile.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if all {
				options.OlderThan = upkeep.Grace
			}
			removed, err := a.client().Prune(cmd.Context(), options)
			if err == nil && options.DryRun {
				a.note("nothing was removed: this is what would be")
			}
			return a.removed(cmd, removed, err)
		},
	}
	cmd.Flags().Var(age, "older-than", "remove what was not used for this `TIME`: 30d, 2w, 36h; at least 24h")
	cmd.Flags().BoolVar(&all, "all", false, "remove whatever was not used within 24 hours")
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "remove nothing, and print what would be")
	cmd.MarkFlagsMutuallyExclusive("all", "older-than")
	a.addJSON(cmd)
	return cmd
}

// ageValue is a flag that takes a length of time.
type ageValue struct {
	to   *time.Duration
	text string // as it is by default
}

func (v ageValue) String() string { return v.text }
func (v ageValue) Type() string   { return "time" }

func (v ageValue) Set(text string) (err error) {
	age, err := upkeep.ParseAge(text)
	*v.to = max(age, upkeep.Grace)
	return err
}

// removed prints what was removed, also when the rest could not be.
func (a *app) removed(cmd *cobra.Command, r *ocipkg.Removed, err error) error {
	if r == nil || err != nil && len(r.Packages)+len(r.Names)+r.Blobs+r.Notes+r.Leftovers == 0 {
		return err
	}
	if a.json {
		return firstOf(err, a.resultJSON(cmd, r))
	}
	var lines []string
	for _, p := range r.Packages {
		lines = append(lines, fmt.Sprintf("package %s  %s  %s", p.Digest, cmp.Or(strings.Join(p.Names, " "), "-"), byteSize(p.Size)))
	}
	for _, name := range r.Names {
		lines = append(lines, "name    "+name)
	}
	lines = append(lines, fmt.Sprintf("%s and %s, %s and %s: %s free",
		count(len(r.Packages), "package", "packages"), count(len(r.Names), "name", "names"),
		count(r.Blobs+r.Notes, "other file", "other files"), count(r.Leftovers, "leftover", "leftovers"), byteSize(r.Freed)))
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return firstOf(err, a.result(cmd, strings.Join(lines, "\n")))
}

func firstOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func (a *app) storeFsckCommand() *cobra.Command {
	var options ocipkg.FsckOptions
	cmd := &cobra.Command{
		Use:   "fsck [NAME…]",
		Short: "Check the store, and repair it",
		Long: `Read every file of the packages that names stand for, or of all in the store, and
print each that is not what it was when it came. NAME may also be a digest. With
--repair what is damaged is fetched again, by its digest, from where its name
leads to. The exit code is 5 when something is still damaged.`,
		Args: usage(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			report, err := client.Fsck(cmd.Context(), args, options)
			if err != nil {
				return err
			}
			return a.checked(cmd, report, options.Repair)
		},
	}
	cmd.Flags().BoolVar(&options.Repair, "repair", false, "fetch again what is damaged")
	a.addJSON(cmd)
	return cmd
}

// checked prints what a check found, and fails when something is damaged.
func (a *app) checked(cmd *cobra.Command, report *ocipkg.Fsck, repair bool) error {
	if a.json {
		if err := a.resultJSON(cmd, report); err != nil {
			return err
		}
	} else if lines := findings(report); len(lines) > 0 {
		if err := a.result(cmd, strings.Join(lines, "\n")); err != nil {
			return err
		}
	}
	a.note(fmt.Sprintf("checked %s of %s: %d damaged, %d repaired",
		count(report.Packages, "package", "packages"), byteSize(report.Bytes), len(report.Repaired)+len(report.Unrepaired), len(report.Repaired)))
	left := report.Unrepaired
	switch {
	case len(left) == 0:
		return nil
	case !repair:
		return errdef.Errorf(errdef.ErrVerification, "%s damaged; to fetch again what is, run: ocipkg store fsck --repair", count(len(left), "part of the store is", "parts of the store are"))
	}
	var advice string
	for _, u := range left {
		if u.Digest != "" && strings.HasPrefix(u.Path, "packages/") {
			advice = "; to do without it, run: ocipkg store remove " + string(u.Digest)
			break
		}
	}
	return errdef.Errorf(errdef.ErrVerification, "%s still damaged, the first since %s%s", count(len(left), "part of the store is", "parts of the store are"), left[0].Reason, advice)
}

// findings gives a line for each thing that is or was damaged.
func findings(report *ocipkg.Fsck) []string {
	var lines []string
	for _, d := range report.Damage {
		line := d.Path + ": " + d.Problem
		if d.Package != "" {
			line = nameOf(d.Package, d.Names) + ": " + line
		}
		lines = append(lines, "damaged   "+line)
	}
	for _, path := range report.Repaired {
		lines = append(lines, "repaired  "+path)
	}
	for _, u := range report.Unrepaired {
		if u.Reason != "" {
			lines = append(lines, "not repaired  "+u.Path+": "+strings.ReplaceAll(u.Reason, "\n", "; "))
		}
	}
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return lines
}

func nameOf(digest digest.Digest, names []string) string {
	if len(names) == 0 {
		return string(digest)
	}
	return names[0] + " (" + short(digest) + ")"
}
