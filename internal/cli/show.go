package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/artifact"
)

func (a *app) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.json, "json", false, "print the result as JSON")
}

func (a *app) resultJSON(cmd *cobra.Command, result any) error {
	a.progress.clear()
	encoder := json.NewEncoder(cmd.OutOrStdout()) // fewer copies of a long list than from MarshalIndent
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the packages in the store",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			packages, err := a.client().List()
			if err != nil {
				return err
			}
			if a.json {
				return a.resultJSON(cmd, append([]ocipkg.Package{}, packages...)) // [] and not null
			}
			if len(packages) == 0 {
				a.note("the store has no packages")
				return nil
			}
			rows := make([][5]string, 0, 1+len(packages))
			rows = append(rows, [5]string{"NAME", "DIGEST", "PLATFORM", "SIZE", "LAST USED"})
			for i := range packages {
				p := &packages[i]
				rows = append(rows, [5]string{cmp.Or(shortName(p.Name), "-"), short(p.Digest), p.Platform.String(), byteSize(p.Size), day(p.LastUsed)})
			}
			return writeTable(cmd.OutOrStdout(), rows)
		},
	}
	a.addJSON(cmd)
	return cmd
}

// short gives as much of a digest as tells it from others at a glance.
func short(d digest.Digest) string { return string(d[:min(19, len(d))]) }

// shortName gives a name with as much of its digest.
func shortName(name string) string {
	before, d, pinned := strings.Cut(name, "@")
	if !pinned {
		return name
	}
	return before + "@" + short(digest.Digest(d))
}

// writeTable writes rows in columns. Parts of them may be a package's own words.
func writeTable(to io.Writer, rows [][5]string) error {
	var widths [5]int
	for r := range rows {
		for i := range rows[r] {
			cell := &rows[r][i]
			if !isPlain(*cell) {
				*cell = strings.ReplaceAll(printable(*cell), "\t", "\uFFFD")
			}
			widths[i] = max(widths[i], width(*cell))
		}
	}
	w := bufio.NewWriterSize(to, 64<<10)
	for r := range rows {
		for i, cell := range rows[r] {
			_, _ = w.WriteString(cell) // an error comes again from Flush
			for fill := widths[i] + 2 - width(cell); i < len(widths)-1 && fill > 0; fill-- {
				_ = w.WriteByte(' ')
			}
		}
		_ = w.WriteByte('\n')
	}
	return w.Flush()
}

// isPlain tells a text that every terminal shows as it is, a byte a column.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func width(text string) int { return utf8.RuneCountInString(text) }

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func (a *app) inspectCommand() *cobra.Command {
	var options ocipkg.InspectOptions
	var cps bool
	cmd := &cobra.Command{
		Use:   "inspect SOURCE",
		Short: "Show what a package holds",
		Long: `Show what an archive, a layout directory or a name in a registry holds: digest,
platform, annotations, and the files with their sizes. Nothing is stored.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			in, err := client.Inspect(cmd.Context(), args[0], options)
			switch {
			case err != nil:
				return err
			case a.json:
				a.progress.clear()
				return writeInspection(cmd.OutOrStdout(), in)
			case cps:
				return a.resultJSON(cmd, in.CPS)
			}
			return a.result(cmd, strings.TrimSuffix(describe(in), "\n"))
		},
	}
	cmd.Flags().StringVar(&options.Platform, "platform", "", "of several packages, show the one that fits this target: `os/arch` or a triple")
	cmd.Flags().BoolVar(&options.Verify, "verify", false, "read all layers and check them")
	cmd.Flags().BoolVar(&cps, "cps", false, "print how the package is linked, as a CPS document")
	a.addJSON(cmd)
	cmd.MarkFlagsMutuallyExclusive("json", "cps")
	return cmd
}

// describe writes an inspection for a reader.
// writeInspection writes what resultJSON does, one file at a time: as a whole the
// list of very many would be in memory several times over.
func writeInspection(w io.Writer, in *ocipkg.Inspection) error {
	out := bufio.NewWriter(w)
	rest := *in
	rest.Files, rest.CPS = nil, nil
	write := func(before string, value any, indent string) error {
		raw, err := json.MarshalIndent(value, indent, "  ")
		if err != nil {
			return err
		}
		out.WriteString(before)
		_, err = out.Write(raw)
		return err
	}
	raw, err := json.MarshalIndent(rest, "", "  ")
	if err != nil {
		return err
	}
	out.Write(bytes.TrimSuffix(raw, []byte("\n}"))) // there is always a source
	before := ",\n  \"files\": [\n    "
	for _, f := range in.Files {
		if err := write(before, f, "    "); err != nil {
			return err
		}
		before = ",\n    "
	}
	if len(in.Files) > 0 {
		out.WriteString("\n  ]")
	}
	if len(in.CPS) > 0 {
		if err := write(",\n  \"cps\": ", in.CPS, "  "); err != nil {
			return err
		}
	}
	out.WriteString("\n}\n")
	return out.Flush()
}

func describe(in *ocipkg.Inspection) string {
	var b strings.Builder
	name := in.Name
	if name == "" {
		name = in.Source
	}
	fmt.Fprintf(&b, "%s\ndigest    %s\n", name, in.Descriptor.Digest)
	if !artifact.IsIndex(in.Descriptor) {
		fmt.Fprintf(&b, "platform  %s\nlayers    %d, %s\n", in.Platform, len(in.Layers), byteSize(in.Size))
	}
	for _, key := range slices.Sorted(maps.Keys(in.Annotations)) {
		fmt.Fprintf(&b, "%s = %s\n", printable(key), printable(strings.Join(strings.Fields(in.Annotations[key]), " ")))
	}
	if artifact.IsIndex(in.Descriptor) {
		writePlatforms(&b, in.Packages)
	}
	writeTree(&b, newTree(in.Files), "")
	return b.String()
}

// writePlatforms writes the table of an index.
func writePlatforms(b *strings.Builder, packages []ocipkg.IndexEntry) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLATFORM\tLIBC\tC++\tSIZE\tDIGEST")
	for _, p := range packages {
		of := p.Platform
		libc := strings.TrimSpace(of.Libc + " " + of.LibcVersion)
		if of.LibcEstimated {
			libc += " (estimated)"
		}
		cxx := strings.TrimSpace(of.Cxx + " " + of.CxxVersion)
		of.Libc, of.LibcVersion, of.LibcEstimated, of.Cxx, of.CxxVersion = "", "", false, "", ""
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", of, cmp.Or(libc, "-"), cmp.Or(cxx, "-"), byteSize(p.Size), p.Digest)
	}
	_ = w.Flush() // into memory
}

// tree is a directory of a package.
type tree struct {
	dirs  map[string]*tree
	files map[string]ocipkg.FileInfo
}

func newTree(files []ocipkg.FileInfo) *tree {
	top := &tree{dirs: map[string]*tree{}, files: map[string]ocipkg.FileInfo{}}
	for _, f := range files {
		at := top
		parts := strings.Split(f.Path, "/")
		for _, dir := range parts[:len(parts)-1] {
			if at.dirs[dir] == nil {
				at.dirs[dir] = &tree{dirs: map[string]*tree{}, files: map[string]ocipkg.FileInfo{}}
			}
			at = at.dirs[dir]
		}
		if last := parts[len(parts)-1]; last != "" {
			at.files[last] = f
		}
	}
	return top
}

func writeTree(b *strings.Builder, t *tree, indent string) {
	names := slices.Concat(slices.Collect(maps.Keys(t.dirs)), slices.Collect(maps.Keys(t.files)))
	slices.Sort(names)
	for i, name := range names {
		branch, below := "├─ ", "│  "
		if i == len(names)-1 {
			branch, below = "└─ ", "   "
		}
		if dir := t.dirs[name]; dir != nil {
			fmt.Fprintf(b, "%s%s%s/\n", indent, branch, name)
			writeTree(b, dir, indent+below)
			continue
		}
		switch f := t.files[name]; {
		case f.Target != "":
			fmt.Fprintf(b, "%s%s%s -> %s\n", indent, branch, name, f.Target)
		default:
			fmt.Fprintf(b, "%s%s%s  %s\n", indent, branch, name, byteSize(f.Size))
		}
	}
}

func (a *app) tagsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tags REPOSITORY",
		Short: "List the tags of a repository",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			tags, err := client.Tags(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.resultJSON(cmd, append([]string{}, tags...))
			}
			if len(tags) == 0 {
				a.note("the repository has no tags")
				return nil
			}
			return a.result(cmd, strings.Join(tags, "\n"))
		},
	}
	a.addJSON(cmd)
	return cmd
}
