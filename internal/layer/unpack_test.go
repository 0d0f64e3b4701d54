package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ocipkg/ocipkg/internal/limit"
)

// listed is what the config of the package says in the tests of Expand.
var listed = []File{
	{Path: "bin/run", Size: 3, Mode: 0o755},
	{Path: "empty/", Mode: 0o755},
	{Path: "lib/a", Size: 5, Mode: 0o644},
	{Path: "lib/l", Mode: 0o777, Target: "a"},
}

// good is the layer that the config describes, one entry a file.
func good() []entry {
	return []entry{
		{name: "bin/run", body: "run", mode: 0o755}, {name: "empty/", kind: tar.TypeDir, mode: 0o755},
		{name: "lib/a", body: "bytes"}, {name: "lib/l", kind: tar.TypeSymlink, link: "a", mode: 0o777},
	}
}

func with(i int, change func(*entry)) []entry {
	entries := good()
	change(&entries[i])
	return entries
}

func TestExpandUnpacksWhatTheConfigLists(t *testing.T) {
	for _, compression := range []Compression{Zstd, Gzip, None} {
		b := newBox(t, limit.Default)
		must(t, b.Expand(ctx, bytes.NewReader(compressed(t, archive(t, good()...), compression)), compression, listed))
		must(t, b.Seal())
		b.check(t, "bin/run=run", "empty/", "lib/a=bytes", "lib/l->a")
		for name, want := range map[string]os.FileMode{"bin/run": 0o555, "lib/a": 0o444, "lib": os.ModeDir | 0o555, "empty": os.ModeDir | 0o555} {
			if info, err := b.root.Lstat(name); err != nil || info.Mode() != want {
				t.Errorf("%s has the mode %v, want %v (%v)", name, info.Mode(), want, err)
			}
		}
		must(t, Remove(filepath.Join(b.dir, "root")))
		must(t, os.Mkdir(filepath.Join(b.dir, "root"), 0o755))
	}
}

func TestExpandAcceptsTheRootItselfAndNamesThatBeginWithADot(t *testing.T) {
	entries := []entry{dirEntry("./")}
	for _, e := range good() {
		e.name = "./" + e.name
		entries = append(entries, e)
	}
	b := newBox(t, limit.Default)
	must(t, b.Expand(ctx, bytes.NewReader(archive(t, entries...)), None, listed))
	b.check(t, "bin/run=run", "empty/", "lib/a=bytes", "lib/l->a")
}

func TestExpandRefusesWhatTheConfigDoesNotSay(t *testing.T) {
	for name, test := range map[string]struct {
		entries []entry
		text    string
	}{
		"an entry more":             {append(good(), file("lib/b", "")), `holds "lib/b", which the package's config does not list`},
		"an entry less":             {good()[1:], `does not hold "bin/run"`},
		"nothing":                   {nil, "does not hold"},
		"one that comes twice":      {append(good(), good()[2]), `holds "lib/a", which`},
		"a directory above":         {append([]entry{dirEntry("lib/")}, good()...), `holds "lib/", which`},
		"a longer file":             {with(2, func(e *entry) { e.body = "bytes!" }), `"lib/a" with 6 bytes and mode 0644, where the package's config lists "lib/a" with 5 bytes`},
		"a shorter file":            {with(2, func(e *entry) { e.body = "byte" }), "with 4 bytes"},
		"another mode":              {with(2, func(e *entry) { e.mode = 0o755 }), "mode 0755, where"},
		"a setuid bit":              {with(0, func(e *entry) { e.mode = 0o4755 }), "mode 4755"},
		"a sticky bit":              {with(0, func(e *entry) { e.mode = 0o1755 }), "mode 1755"},
		"another target":            {with(3, func(e *entry) { e.link = "/etc/passwd" }), `as a link to "/etc/passwd"`},
		"a link for a file":         {with(2, func(e *entry) { e.kind, e.body, e.link = tar.TypeSymlink, "", "x" }), `as a link to "x"`},
		"a file for a link":         {with(3, func(e *entry) { e.kind, e.link = tar.TypeReg, "" }), `as a link to "a"`},
		"a directory for a file":    {with(2, func(e *entry) { e.kind, e.body = tar.TypeDir, "" }), `holds "lib/a", which`},
		"a hard link":               {with(3, func(e *entry) { e.kind = tar.TypeLink }), "hard link"},
		"a device":                  {with(2, func(e *entry) { e.kind, e.body = tar.TypeChar, "" }), "device"},
		"a block device":            {with(2, func(e *entry) { e.kind, e.body = tar.TypeBlock, "" }), "device"},
		"a link to nothing":         {with(3, func(e *entry) { e.link = "" }), "a link to nothing"},
		"a FIFO":                    {with(2, func(e *entry) { e.kind, e.body = tar.TypeFifo, "" }), "FIFO"},
		"a global header":           {append([]entry{{name: "g", kind: tar.TypeXGlobalHeader, pax: map[string]string{"comment": "x"}}}, good()...), "of the type"},
		"an absolute name":          {append(good(), file("/etc/passwd", "")), "does not list"},
		"a name that leads out":     {append(good(), file("../outside/canary", "dead")), "does not list"},
		"a name that leads through": {append(good(), file("lib/../../outside/x", "")), "does not list"},
		"a drive letter":            {append(good(), file("C:/x", "")), "does not list"},
		"a backslash":               {append(good(), file(`..\x`, "")), "does not list"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, limit.Default)
			refuses(t, b.Expand(ctx, bytes.NewReader(archive(t, test.entries...)), None, listed), test.text)
		})
	}
}

func TestALayerMayComeAsSeveralFramesOrMembers(t *testing.T) {
	raw := archive(t, good()...)
	for _, compression := range []Compression{Zstd, Gzip} {
		cut := len(raw) / 3
		split := slices.Concat(compressed(t, raw[:cut], compression), compressed(t, raw[cut:], compression))
		b := newBox(t, limit.Default)
		must(t, b.Expand(ctx, bytes.NewReader(split), compression, listed))
	}
}

func TestWhatFollowsTheArchiveIsRefused(t *testing.T) {
	raw := archive(t, good()...)
	hidden := archive(t, file("hidden", ""))
	for name, test := range map[string]struct {
		bytes       []byte
		compression Compression
		text        string
	}{
		"an archive in the same frame":       {compressed(t, slices.Concat(raw, hidden), Zstd), Zstd, "after the end"},
		"an archive in another frame":        {slices.Concat(compressed(t, raw, Zstd), compressed(t, hidden, Zstd)), Zstd, "after the end"},
		"an archive in another member":       {slices.Concat(compressed(t, raw, Gzip), compressed(t, hidden, Gzip)), Gzip, "after the end"},
		"plain bytes":                        {append(slices.Clone(raw), 1), None, "after the end"},
		"more padding than any tar leaves":   {compressed(t, slices.Concat(raw, make([]byte, 2<<20)), Zstd), Zstd, "padding"},
		"a byte beyond the frames":           {append(compressed(t, raw, Zstd), 'x'), Zstd, ""},
		"a byte beyond the members":          {append(compressed(t, raw, Gzip), 'x'), Gzip, ""},
		"a frame that is cut short":          {compressed(t, raw, Zstd)[:60], Zstd, ""},
		"a frame without its checksum":       {cutEnd(compressed(t, raw, Zstd)), Zstd, ""},
		"a member without its checksum":      {cutEnd(compressed(t, raw, Gzip)), Gzip, ""},
		"an archive cut in the content":      {raw[:600], None, ""},
		"an archive cut in a header":         {raw[:700], None, ""},
		"no bytes where gzip should be":      {nil, Gzip, "gzip"},
		"something else where zstd should":   {[]byte("hello, world"), Zstd, ""},
		"zstd where gzip should be":          {compressed(t, raw, Zstd), Gzip, "gzip"},
		"zeros where an archive should be":   {make([]byte, 1024), None, "does not hold"},
		"something where a header should be": {bytes.Repeat([]byte("x"), 1024), None, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, limit.Default)
			err := b.Expand(ctx, bytes.NewReader(test.bytes), test.compression, listed)
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("the error is %v; it should say %q", err, test.text)
			}
		})
	}
}

func cutEnd(b []byte) []byte { return b[:len(b)-3] }

func TestPaddingAndSkippableFramesAreAccepted(t *testing.T) {
	raw := archive(t, good()...)
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'}
	for name, layer := range map[string][]byte{
		"padding":          compressed(t, slices.Concat(raw, make([]byte, 10<<10)), Zstd),
		"skippable frames": slices.Concat(skippable, compressed(t, raw, Zstd), skippable),
	} {
		b := newBox(t, limit.Default)
		if err := b.Expand(ctx, bytes.NewReader(layer), Zstd, listed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExpandReadsTheLayerToItsEnd(t *testing.T) {
	r := bytes.NewReader(compressed(t, archive(t, good()...), Zstd))
	must(t, newBox(t, limit.Default).Expand(ctx, r, Zstd, listed))
	if r.Len() != 0 {
		t.Errorf("%d bytes are left", r.Len())
	}
}

func TestAWindowThatIsTooLargeIsNamed(t *testing.T) {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false))
	must(t, err)
	_, err = w.Write(slices.Concat(archive(t, good()...), make([]byte, 256)))
	must(t, err)
	must(t, w.Flush())
	must(t, w.Close())
	err = newBox(t, limit.Default).Expand(ctx, &out, Zstd, listed)
	refuses(t, err, "a window of more than 67108864 bytes")
}

func TestBombsAreRefusedByTheBoundTheyHit(t *testing.T) {
	many := make([]entry, 20)
	var files []File
	for i := range many {
		many[i] = file(string(rune('a'+i)), "12345")
		files = append(files, File{Path: many[i].name, Size: 5, Mode: 0o644})
	}
	for name, test := range map[string]struct {
		entries []entry
		files   []File
		limits  limit.Limits
		text    string
	}{
		"entries": {many, files, limit.Limits{Entries: 19}, "more than 19 entries"},
		"bytes":   {many, files, limit.Limits{Bytes: 99}, "more than 99 bytes"},
	} {
		layer := compressed(t, archive(t, test.entries...), Zstd)
		t.Run(name+" listed", func(t *testing.T) {
			refuses(t, newBox(t, test.limits).Expand(ctx, bytes.NewReader(layer), Zstd, test.files), test.text)
		})
		t.Run(name+" foreign", func(t *testing.T) {
			refuses(t, newBox(t, test.limits).Apply(ctx, bytes.NewReader(layer), Zstd, 0), test.text)
		})
	}
	at := limit.Limits{Entries: 20, Bytes: 100, Ratio: 1000}
	must(t, newBox(t, at).Expand(ctx, bytes.NewReader(compressed(t, archive(t, many...), Zstd)), Zstd, files))
}

// useUnrated has a test do with fewer bytes than a package may have beyond the
// ratio.
func useUnrated(t *testing.T, bytes int64) {
	before := unrated
	unrated = bytes
	t.Cleanup(func() { unrated = before })
}

// zeros gives an archive of files without anything in them, compressed.
func zeros(t *testing.T, files, size int) (layer []byte, listed []File) {
	t.Helper()
	var out bytes.Buffer
	compressor, err := Zstd.compressor(&out)
	must(t, err)
	w := tar.NewWriter(compressor)
	nothing := make([]byte, size)
	for i := range files {
		f := File{Path: fmt.Sprintf("f%d", i), Size: int64(size), Mode: 0o644}
		must(t, w.WriteHeader(&tar.Header{Name: f.Path, Typeflag: tar.TypeReg, Size: f.Size, Mode: 0o644}))
		_, err := w.Write(nothing)
		must(t, err)
		listed = append(listed, f)
	}
	must(t, w.Close())
	must(t, compressor.Close())
	return out.Bytes(), listed
}

func TestWhatUnpacksToFarMoreThanItIsIsRefused(t *testing.T) {
	useUnrated(t, 1<<20)
	const text = "more than 100 bytes for each compressed one, and 1MiB beside, beyond the limit of 100; if that is as it should be, raise it with --limit ratio="
	limits := limit.Limits{Ratio: 100}
	// Two layers of 700 KiB: each may be, both together not. And 300 empty files.
	half, listed := zeros(t, 10, 70<<10)
	empty, names := zeros(t, 300, 0)

	list := NewListing(limits)
	must(t, list.Apply(ctx, bytes.NewReader(half), Zstd, 0))
	refuses(t, list.Apply(ctx, bytes.NewReader(half), Zstd, 1), text)
	refuses(t, NewListing(limits).Apply(ctx, bytes.NewReader(empty), Zstd, 0), text)
	list = NewListing(limits)
	must(t, list.Expand(ctx, bytes.NewReader(half), Zstd, listed))
	refuses(t, list.Expand(ctx, bytes.NewReader(half), Zstd, listed), text)
	must(t, NewListing(limit.Limits{Ratio: 1 << 20}).Apply(ctx, bytes.NewReader(empty), Zstd, 0))

	// What a config lists is known before.
	both := slices.Clone(listed)
	for _, f := range listed {
		f.Path, f.Layer = "second/"+f.Path, 1
		both = append(both, f)
	}
	sizes := []int64{int64(len(half)), int64(len(half))}
	must(t, NewListing(limits).Expect(listed, sizes))
	refuses(t, NewListing(limits).Expect(both, sizes), text)
	refuses(t, NewListing(limits).Expect(names, sizes), text)
	must(t, NewListing(limits).Expect(both, []int64{1, 3 << 12}))
	refuses(t, NewListing(limit.Limits{Bytes: 1400<<10 - 1}).Expect(both, sizes), "more than 1433599 bytes")
	refuses(t, NewListing(limit.Limits{Entries: 19}).Expect(both, sizes), "20 entries, beyond the limit of 19; if that is as it should be, raise it with --limit entries=")
}

// What two layers are beyond the ratio on the way does not add up otherwise when
// they are unpacked at the same time.
func TestWhetherABombIsRefusedDoesNotDependOnTheOrderOfLayers(t *testing.T) {
	useUnrated(t, 1<<20)
	half, _ := zeros(t, 10, 70<<10)
	for _, first := range [][]byte{half, nil} {
		list := NewListing(limit.Limits{Ratio: 100})
		if first != nil {
			must(t, list.Apply(ctx, bytes.NewReader(first), Zstd, 0))
		}
		must(t, list.AddFile("random", 4<<20, bytes.NewReader(make([]byte, 4<<20)), 1))
		if first == nil {
			must(t, list.Apply(ctx, bytes.NewReader(half), Zstd, 2))
		}
		refuses(t, list.Apply(ctx, bytes.NewReader(half), Zstd, 3), "--limit ratio=")
	}
}

func TestTheBoundsHoldForAllLayersTogether(t *testing.T) {
	b := newBox(t, limit.Limits{Bytes: 8})
	must(t, b.Apply(ctx, bytes.NewReader(archive(t, file("a", "12345"))), None, 0))
	refuses(t, b.Apply(ctx, bytes.NewReader(archive(t, file("b", "12345"))), None, 1), "more than 8 bytes")
	refuses(t, b.AddFile("c", 5, strings.NewReader("12345"), 2), "more than 8 bytes")
	b = newBox(t, limit.Limits{Entries: 3})
	refuses(t, b.Apply(ctx, bytes.NewReader(archive(t, file("a", ""), hardlink("b", "a"), hardlink("c", "a"), hardlink("d", "a"))), None, 0), "more than 3 entries")
}

func TestSparseFilesAreRefused(t *testing.T) {
	for name, raw := range map[string][]byte{"PAX": sparse(t, true), "GNU": sparse(t, false)} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, limit.Limits{})
			refuses(t, b.Apply(ctx, bytes.NewReader(raw), None, 0), "sparse file")
			refuses(t, b.Expand(ctx, bytes.NewReader(raw), None, []File{{Path: "sparse", Size: 1 << 40, Mode: 0o644}}), "sparse file")
			b.check(t)
		})
	}
}

// sparse makes an archive with a file of 1 TiB without data, as GNU tar does
// with --format=pax and --format=gnu. Package archive/tar writes none.
func sparse(t *testing.T, pax bool) []byte {
	t.Helper()
	raw := archive(t, entry{name: "sparse", pax: map[string]string{"path": "sparse", "XNU.sparse.major": "0", "XNU.sparse.minor": "1", "XNU.sparse.numblocks": "0", "XNU.sparse.map": "", "XNU.sparse.size": "1099511627776", "XNU.sparse.name": "sparse"}})
	if pax {
		return bytes.ReplaceAll(raw, []byte("XNU.sparse."), []byte("GNU.sparse."))
	}
	raw = archive(t, file("sparse", ""))
	raw[156] = tar.TypeGNUSparse
	copy(raw[257:], "ustar  \x00")                    // the magic of GNU tar
	copy(raw[386:], "00000000000\x0000000000000\x00") // one empty range
	raw[483] = 0x80                                   // the real size, in base 256: 1<<40
	copy(raw[484:495], []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0})
	sum := 8 * int(' ')
	for i, b := range raw[:512] {
		if i < 148 || i >= 156 {
			sum += int(b)
		}
	}
	copy(raw[148:], []byte(strings.Repeat("0", 6)+"\x00 "))
	for i := 153; sum > 0; i-- {
		raw[i] = byte('0' + sum%8)
		sum /= 8
	}
	return raw
}

func TestACancelledUnpackingStops(t *testing.T) {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	err := newBox(t, limit.Default).Expand(cancelled, bytes.NewReader(archive(t, good()...)), None, listed)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestPackAndExpandAreInverse(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	dir := t.TempDir()
	want := []string{}
	for i := range 60 {
		name := strings.Repeat(string(rune('a'+random.IntN(4)))+"/", random.IntN(4)) + "f" + string(rune('0'+i))
		content := strings.Repeat(name, random.IntN(200))
		write(t, dir, map[string]string{name: content})
		want = append(want, name+"="+content)
	}
	files := scan(t, dir)
	b := newBox(t, limit.Default)
	for _, group := range Group(files) {
		var in []*File
		var out []File
		for _, i := range group {
			in = append(in, &files[i])
		}
		var layer bytes.Buffer
		_, err := Pack(ctx, &layer, nil, in, Zstd)
		must(t, err)
		for _, f := range in {
			out = append(out, *f)
		}
		must(t, b.Expand(ctx, &layer, Zstd, out))
	}
	b.check(t, want...)
}

func TestALayerThatFailsToComeIsThatError(t *testing.T) {
	broken := errors.New("connection reset")
	raw := compressed(t, archive(t, good()...), Zstd)
	err := newBox(t, limit.Default).Expand(ctx, io.MultiReader(bytes.NewReader(raw[:40]), failing{broken}), Zstd, listed)
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
