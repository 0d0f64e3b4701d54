// Command bench measures ocipkg beside the tools that do the same job, and
// writes docs/benchmarks.md. See README.md beside it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
	"github.com/ocipkg/ocipkg/bench/internal/peer"
	"github.com/ocipkg/ocipkg/bench/internal/workload"
)

const usage = `Usage: go run . [flags] [SECTION…]

Sections, all of them when none is given:
  compare   push and pull of a directory, by us and by others
  change    what a changed library costs, and doing the same again
  startup   how long commands take that start a build
  memory    peak memory of each command by the size of the package
  scale     many files, many packages in the store, and many tags
  far       a registry behind a long way: round trips, and parts of large blobs
Further:
  report    only write the document anew
  level     what the fastest level of zstd would bring, by the line
  profile   write CPU profiles of push and get of the set that -set names
  grouping  what layers of other sizes would cost after a change of one file

Flags:
`

// The registries, by the names that the document has for them.
const (
	distribution   = "distribution"
	dockerRegistry = "docker-registry"
)

// bench is one run of this program.
type bench struct {
	quick   bool
	rounds  int
	root    string // of the project's checkout
	cache   string // what is kept between runs
	work    string // what is not
	bin     string // the peers
	ours    string // our programs
	results string // what was measured, a file for each section
	only    struct{ sets, tools string }
}

type section struct {
	name string
	run  func(*bench, context.Context) error
}

var sections = []section{
	{"compare", (*bench).compare}, {"change", (*bench).change}, {"startup", (*bench).startup},
	{"memory", (*bench).memory}, {"scale", (*bench).scale}, {"far", (*bench).far},
}

func main() {
	measure.Helper()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	b := &bench{}
	flag.BoolVar(&b.quick, "quick", false, "a tenth of the files, or a twentieth of their bytes; the document goes into the cache")
	flag.IntVar(&b.rounds, "rounds", 0, "how often each tool runs (default 5, quick 3)")
	install := flag.Bool("install", os.Getenv("INSTALL") == "1", "install what is missing from Debian's packages")
	work := flag.String("work", "", "directory for what a run writes and removes (default: in the cache)")
	set := flag.String("set", "big", "the set of files to profile")
	flag.StringVar(&b.only.sets, "sets", "", "compare with these sets alone, as small,many,big; the document goes into the cache")
	flag.StringVar(&b.only.tools, "tools", "", "compare these tools alone, as ocipkg,pipeline; the document goes into the cache")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage); flag.PrintDefaults() }
	flag.Parse()
	if b.rounds == 0 {
		b.rounds = 5
		if b.quick {
			b.rounds = 3
		}
	}
	if err := b.place(*work); err != nil {
		return err
	}
	for _, name := range strings.Split(b.only.tools, ",") {
		if name != "" && !slices.ContainsFunc(tools, func(t tool) bool { return t.Name == name }) {
			return fmt.Errorf("there is no tool %q", name)
		}
	}
	names := flag.Args()
	switch {
	case slices.Equal(names, []string{"report"}):
		return b.report(ctx)
	case slices.Equal(names, []string{"grouping"}):
		return b.grouping(ctx)
	}
	var err error
	if b.bin, err = peer.Prepare(ctx, b.cache, *install); err != nil {
		return err
	}
	// A run that was killed has left this. Two at once would measure each other.
	if err := errors.Join(removeAll(b.work), os.MkdirAll(b.work, 0o755), os.MkdirAll(b.results, 0o755)); err != nil {
		return err
	}
	defer removeAll(b.work)
	if err := b.build(ctx); err != nil {
		return err
	}
	if slices.Equal(names, []string{"level"}) {
		return b.level(ctx)
	}
	if slices.Equal(names, []string{"profile"}) {
		return b.profile(ctx, *set)
	}
	if err := b.describe(ctx); err != nil {
		return err
	}
	for _, s := range sections {
		// A quick run is quick: what waits most is left out of it.
		if len(names) > 0 && !slices.Contains(names, s.name) || len(names) == 0 && b.quick && s.name == "far" {
			continue
		}
		if err := errors.Join(s.run(b, ctx), removeAll(b.work), os.MkdirAll(b.work, 0o755)); err != nil {
			return err
		}
	}
	return b.report(ctx)
}

// partial tells whether some of the comparison is left out, so that what is
// measured is not for the document.
func (b *bench) partial() bool { return b.only.sets != "" || b.only.tools != "" }

// place finds the directories of the checkout, from any directory in it.
func (b *bench) place(work string) error {
	text, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return err
	}
	module := filepath.Dir(strings.TrimSpace(string(text)))
	if filepath.Base(module) != "bench" {
		return fmt.Errorf("run it in the directory bench of the checkout")
	}
	b.root = filepath.Dir(module)
	b.cache = filepath.Join(module, ".cache")
	b.ours = filepath.Join(b.cache, "ocipkg")
	b.results = filepath.Join(b.cache, "results")
	switch {
	case b.partial():
		b.results = filepath.Join(b.cache, "part")
	case b.quick:
		b.results = filepath.Join(b.cache, "quick")
	}
	if b.work = filepath.Join(b.cache, "work"); work != "" {
		b.work = filepath.Join(work, "ocipkg-bench")
	}
	return nil
}

// build makes our programs from the checkout.
func (b *bench) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.ours+string(filepath.Separator), "./cmd/...")
	cmd.Dir = b.root
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, output)
	}
	return nil
}

// shapes are the sets of files.
var shapes = []workload.Shape{
	{Name: "big", Files: 40, Bytes: 1005e6, Largest: 200e6, Binary: true},
	{Name: "many", Files: 5000, Bytes: 95e6, Largest: 1e6},
	{Name: "change", Files: 275, Bytes: 1000e6, Largest: 100e6, Binary: true},
	{Name: "middle", Files: 60, Bytes: 40e6, Largest: 8e6, Binary: true},
	{Name: "small", Files: 12, Bytes: 400e3, Largest: 200e3},
	{Name: "huge", Files: 100, Bytes: 1000e6, Largest: 200e6, Binary: true, Times: 4},
	{Name: "little", Files: 12, Bytes: 1e6, Largest: 400e3, Binary: true},
}

// set makes a set of files, in a quick run with less of them or smaller ones.
func (b *bench) set(ctx context.Context, name string) (*workload.Set, error) {
	i := slices.IndexFunc(shapes, func(s workload.Shape) bool { return s.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no set %q", name)
	}
	shape := shapes[i]
	switch {
	case !b.quick || shape.Bytes < 10e6:
	case shape.Binary:
		shape.Bytes, shape.Largest = shape.Bytes/20, shape.Largest/20
	default:
		shape.Bytes, shape.Files = shape.Bytes/10, shape.Files/10
	}
	return workload.Make(ctx, filepath.Join(b.cache, "sets"), shape)
}

// chosen tells whether a list that was given, if any, has a name.
func chosen(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

// env is the environment of what is measured: no more than it needs.
func (b *bench) env(home string, more ...string) []string {
	return append([]string{
		"PATH=" + b.ours + ":" + b.bin + ":" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "LC_ALL=C.UTF-8",
		// Not /run/containers, which an earlier run of skopeo may have left to root.
		"XDG_RUNTIME_DIR=" + home,
	}, more...)
}

// server gives the program of a registry.
func (b *bench) server(name string) string {
	if name == distribution {
		return filepath.Join(b.bin, "registry")
	}
	return name
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// save keeps what a section measured, for the document.
func (b *bench) save(section string, result any) error {
	raw, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.results, section+".json"), raw, 0o644)
}

// load reads what a section measured, and tells whether it did.
func (b *bench) load(section string, result any) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(b.results, section+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(raw, result)
}

// removeAll removes a directory although what is in it is read-only, as stores
// are.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = os.Chmod(name, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
