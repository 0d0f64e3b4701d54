package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
	"github.com/ocipkg/ocipkg/bench/internal/plot"
)

// document is the text in the making, with its pictures.
type document struct {
	bytes.Buffer
	bench *bench
	dir   string // where the pictures go
}

// report writes docs/benchmarks.md of what was measured last. A quick run, and
// one whose page would lack sections that are there now, writes it into the cache.
func (b *bench) report(context.Context) error {
	docs := filepath.Join(b.root, "docs")
	if missing := b.missing(); b.quick || b.partial() {
		docs = b.results
	} else if len(missing) > 0 {
		docs = b.results
		b.say("not measured here yet, so docs/benchmarks.md stays: %s", strings.Join(missing, ", "))
	}
	d := &document{bench: b, dir: filepath.Join(docs, "benchmarks")}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	for _, part := range []func(*document) error{
		(*document).head, (*document).comparisons, (*document).change, (*document).startup, (*document).memory, (*document).scale, (*document).far,
	} {
		if err := part(d); err != nil {
			return err
		}
	}
	file := filepath.Join(docs, "benchmarks.md")
	b.say("write %s", file)
	return os.WriteFile(file, d.Bytes(), 0o644)
}

// missing gives the sections of which the cache has no results.
func (b *bench) missing() (names []string) {
	for _, s := range sections {
		if _, err := os.Stat(filepath.Join(b.results, s.name+".json")); err != nil {
			names = append(names, s.name)
		}
	}
	return names
}

func (d *document) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

// picture writes a plot and shows it.
func (d *document) picture(name, about string, svg []byte) error {
	d.printf("![%s](benchmarks/%s.svg)\n\n", about, name)
	return os.WriteFile(filepath.Join(d.dir, name+".svg"), svg, 0o644)
}

// table writes a table; all columns but the first are numbers.
func (d *document) table(head []string, rows [][]string) {
	d.printf("| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-1))
	for _, row := range rows {
		d.printf("| %s |\n", strings.Join(row, " | "))
	}
	d.printf("\n")
}

func (d *document) head() error {
	var e environment
	if ok, err := d.bench.load("environment", &e); err != nil || !ok {
		return fmt.Errorf("nothing was measured yet: run make bench first (%w)", err)
	}
	d.printf(`# Benchmarks

`+"`make bench`"+` measures all of this and writes this page; how, and how to look closer, is in
[bench/README.md](../bench/README.md). All tools take turns, round after round, with a new registry on this machine's
loopback and empty directories each time. Times are medians of the wall time in seconds; CPU is that of the tool with all the
programs it starts, without the registry's; memory is the peak of its largest process, in MB. After each pull all files
were compared with those that were pushed.

Measured on %s, commit %s, on %d cores of %s with %s GB of memory, %s, %s.

`, e.Date, e.Commit, e.Cores, e.CPU, plot.Number(float64(e.Memory)/1e9), e.System, e.Go)
	if d.bench.quick {
		d.printf("This is a quick run, with sets of a tenth or a twentieth of the bytes that `make bench` takes: what a command costs to start counts for more.\n\n")
	}
	var versions []string
	for _, v := range e.Versions {
		versions = append(versions, v.Program+" "+v.Version)
	}
	d.printf("Beside it: %s.\n\n", strings.Join(versions, ", "))
	return nil
}

func (d *document) comparisons() error {
	var all []comparison
	if ok, err := d.bench.load("compare", &all); err != nil || !ok {
		return err
	}
	d.printf(`## A directory into a registry, and back

The pipeline is the best that ready tools do for the same job: tar, zstd -3 with two threads and openssl for the digest, then
the file as one blob by curl; back with the digest checked while tar unpacks. The column *ratio* compares with it within each
round, and gives the median. *tar.zst* means that tar and zstd made the archive first, and unpacked it afterwards. *A ready
blob* is the registry's own cost: one file, made before, that nothing unpacks. What each tool runs is in
[bench/tools.go](../bench/tools.go).

`)
	// A set whose first round was not finished has nothing to show.
	all = slices.DeleteFunc(all, func(c comparison) bool { return len(c.Rows[len(c.Rows)-1].Pull) == 0 })
	slices.SortStableFunc(all, func(a, b comparison) int { return cmp.Compare(b.Bytes, a.Bytes) })
	d.short(all)
	for _, c := range all {
		if c.Registry == distribution {
			if err := d.comparison(c); err != nil {
				return err
			}
		}
	}
	d.printf(`regctl does not bring executable bits back; all others do.

The Rust ocipkg cannot be built here. Measured before on another machine, with its own sets of the same sizes, version 0.2.9
took 48.0 s to push 1,005 MB and 3.8 s to get them, and 4.0 s and 1.0 s for 5,000 files; it verifies nothing.

`)
	d.second(all)
	return nil
}

// short says in a table how we stand.
func (d *document) short(all []comparison) {
	d.printf("In short, the time that ocipkg takes as a part of that of others:\n\n")
	head := []string{"ocipkg to"}
	cells := map[string][]string{}
	for _, c := range all {
		if c.Registry != distribution {
			continue
		}
		head = append(head, setTitle(c)+": push", "pull")
		ours := c.find("ocipkg")
		if ours == nil {
			continue
		}
		for _, r := range c.Rows {
			cells[r.Tool] = append(cells[r.Tool], ratio(ours.Push.Ratio(r.Push)), ratio(ours.Pull.Ratio(r.Pull)))
		}
	}
	var rows [][]string
	for _, t := range tools[1:] {
		if cells[t.Name] == nil {
			continue
		}
		rows = append(rows, append([]string{t.Name}, cells[t.Name]...))
	}
	d.table(head, rows)
}

// comparison writes one set's tables and picture.
func (d *document) comparison(c comparison) error {
	d.printf("### %s\n\nIn %d rounds.\n\n", setTitle(c), len(c.Rows[0].Push))
	var rows []plot.Row
	for _, r := range c.Rows {
		rows = append(rows, plot.Row{Label: r.Tool, Bold: r.Tool == "ocipkg", Spans: []plot.Span{span(r.Push), span(r.Pull)}})
	}
	title := setTitle(c) + ": push and pull"
	if err := d.picture("compare-"+c.Set, title, plot.Dots(title, "seconds, median and spread", []string{"push", "pull"}, rows)); err != nil {
		return err
	}
	against := c.find(reference)
	var push, pull [][]string
	for _, r := range c.Rows {
		push = append(push, append(costCells(r.Tool, r.Push, against.Push), megabytes(r.Stored), megabytes(r.PushTraffic.Sent), fmt.Sprint(r.PushTraffic.Requests)))
		pull = append(pull, append(costCells(r.Tool, r.Pull, against.Pull), megabytes(r.PullTraffic.Received), fmt.Sprint(r.PullTraffic.Requests)))
	}
	d.table([]string{"push", "s", "spread", "ratio", "CPU", "memory", "stored MB", "sent MB", "requests"}, push)
	d.table([]string{"pull", "s", "spread", "ratio", "CPU", "memory", "received MB", "requests"}, pull)
	return nil
}

func setTitle(c comparison) string {
	return fmt.Sprintf("%s files, %s MB", plot.Count(int64(c.Files)), megabytes(c.Bytes))
}

// costCells are the cells of one tool up to its memory.
func costCells(name string, costs, against measure.Costs) []string {
	s := span(costs)
	if name == "ocipkg" {
		name = "**ocipkg**"
	}
	return []string{
		name, seconds(s.Median), seconds(s.Low) + " – " + seconds(s.High),
		ratio(costs.Ratio(against)), seconds(costs.CPU()), megabytes(costs.Peak()),
	}
}

// second writes the table of the other registry.
func (d *document) second(all []comparison) {
	d.printf("### With Debian's docker-registry\n\n")
	var rows [][]string
	for _, c := range all {
		if c.Registry != dockerRegistry {
			continue
		}
		against := c.find(reference)
		for _, r := range c.Rows {
			rows = append(rows, []string{
				setTitle(c) + ": " + r.Tool, seconds(span(r.Push).Median), ratio(r.Push.Ratio(against.Push)),
				seconds(span(r.Pull).Median), ratio(r.Pull.Ratio(against.Pull)),
			})
		}
	}
	d.table([]string{"", "push s", "ratio", "pull s", "ratio"}, rows)
}

func (d *document) change() error {
	var c change
	if ok, err := d.bench.load("change", &c); err != nil || !ok {
		return err
	}
	d.printf(`## One library changed, and nothing changed

A package of %d files and %s MB, of which one library of %s MB has 64 KiB of other bytes in the next version; zstd -3 makes
%s bytes of that library. *Ratio* is to the cold command. A push remembers in the store what it packed; the last one has an empty
store, as a CI job may that starts from nothing.

`, c.Files, megabytes(c.Bytes), megabytes(c.Library), plot.Count(c.Compressed))
	var rows [][]string
	cold := map[bool]measure.Costs{}
	for _, s := range c.Steps {
		push := strings.HasPrefix(s.Name, "push")
		if cold[push] == nil {
			cold[push] = s.Costs // the first of its kind
		}
		of := span(s.Costs)
		rows = append(rows, []string{
			s.Name, seconds(of.Median), seconds(of.Low) + " – " + seconds(of.High), ratio(s.Costs.Ratio(cold[push])), seconds(s.Costs.CPU()),
			plot.Count(s.Traffic.Sent), plot.Count(s.Traffic.Received), fmt.Sprint(s.Traffic.Requests),
		})
	}
	d.table([]string{"", "s", "spread", "ratio", "CPU", "bytes sent", "bytes received", "requests"}, rows)
	return nil
}

func (d *document) startup() error {
	var all []startup
	if ok, err := d.bench.load("startup", &all); err != nil || !ok {
		return err
	}
	d.printf("## Start-up\n\nFrom start to end, in milliseconds, of %d runs in turn; the spread is that of the middle nine tenths. *Warm* means that the package is in the store.\n\n", len(all[0].Costs))
	var rows []plot.Row
	var cells [][]string
	for _, s := range all {
		walls := slices.Sorted(slices.Values(s.Costs.Walls()))
		of := plot.Span{
			Low: 1e3 * walls[len(walls)/20], Median: 1e3 * measure.Median(walls), High: 1e3 * walls[len(walls)-1-len(walls)/20],
		}
		rows = append(rows, plot.Row{Label: s.Command, Bold: strings.HasPrefix(s.Command, "ocipkg"), Spans: []plot.Span{of}})
		cells = append(cells, []string{
			s.Command, plot.Number(of.Median), plot.Number(of.Low) + " – " + plot.Number(of.High), plot.Number(1e3 * s.Costs.CPU()),
		})
	}
	if err := d.picture("startup", "Start-up", plot.Dots("Start-up", "milliseconds, median and nine tenths", []string{"wall"}, rows)); err != nil {
		return err
	}
	d.table([]string{"", "ms", "nine tenths", "CPU"}, cells)
	return nil
}

func (d *document) memory() error {
	var all []memory
	if ok, err := d.bench.load("memory", &all); err != nil || !ok {
		return err
	}
	d.printf("## Memory\n\nPeak memory in MB by the size of the package, and in parentheses the seconds; each command ran once, *load* and *get* into an empty store.\n\n")
	head := []string{""}
	rows := make([][]string, len(all[0].Commands))
	var lines []plot.Line
	for i, c := range all[0].Commands {
		if !slices.Contains([]string{"push DIR", "push FILE", "get", "pack", "load", "copy"}, c.Command) {
			continue // those that do not read the files
		}
		line := plot.Line{Label: c.Command}
		for _, m := range all {
			line.Points = append(line.Points, plot.Point{X: float64(m.Bytes) / 1e6, Y: float64(m.Commands[i].Cost.Peak) / 1e6})
		}
		lines = append(lines, line)
	}
	for _, m := range all {
		head = append(head, fmt.Sprintf("%s MB, %s files", megabytes(m.Bytes), plot.Count(int64(m.Files))))
		for i, c := range m.Commands {
			if rows[i] == nil {
				rows[i] = []string{c.Command}
			}
			rows[i] = append(rows[i], fmt.Sprintf("%s (%s)", megabytes(c.Cost.Peak), seconds(c.Cost.Wall)))
		}
	}
	if err := d.picture("memory", "Peak memory by the size of the package", plot.Lines("Peak memory by the size of the package", "MB of files", "MB of memory", lines)); err != nil {
		return err
	}
	d.table(head, rows)
	return nil
}

func (d *document) scale() error {
	var s scale
	if ok, err := d.bench.load("scale", &s); err != nil || !ok {
		return err
	}
	d.printf("## Scale\n\nSeconds, and in parentheses the peak memory in MB.\n\n")
	if err := d.scaled("files", "files in a package", "Files of some hundred bytes in one package", s.Files); err != nil {
		return err
	}
	if err := d.scaled("packages", "packages in the store", "Packages in the store; prune finds all but one unused", s.Packages); err != nil {
		return err
	}
	return d.scaled("tags", "tags", "Tags of a repository", s.Tags)
}

func (d *document) scaled(name, unit, title string, all []scaled) error {
	if len(all) == 0 { // of a run before there was such a row
		return nil
	}
	head := []string{unit}
	rows := make([][]string, len(all[0].Commands))
	lines := make([]plot.Line, len(rows))
	for _, s := range all {
		head = append(head, plot.Count(int64(s.Number)))
		for i, c := range s.Commands {
			if rows[i] == nil {
				rows[i] = []string{c.Command}
			}
			median := span(c.Costs).Median
			lines[i].Label = c.Command
			lines[i].Points = append(lines[i].Points, plot.Point{X: float64(s.Number), Y: median})
			rows[i] = append(rows[i], fmt.Sprintf("%s (%s)", seconds(median), megabytes(c.Costs.Peak())))
		}
	}
	d.printf("### %s\n\n", title)
	if err := d.picture("scale-"+name, title, plot.Lines(title, unit, "seconds", lines)); err != nil {
		return err
	}
	d.table(head, rows)
	return nil
}

// span gives the median of the wall times and what it lies between.
func span(costs measure.Costs) plot.Span {
	walls := costs.Walls()
	if len(walls) == 0 {
		return plot.Span{}
	}
	return plot.Span{Low: slices.Min(walls), Median: measure.Median(walls), High: slices.Max(walls)}
}

func seconds(s float64) string { return plot.Number(s) }

func ratio(r float64) string { return fmt.Sprintf("%.2f", r) }

func megabytes(n int64) string { return plot.Number(float64(n) / 1e6) }
