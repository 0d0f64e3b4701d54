package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// applyAll applies layers to a tree and to a listing, which must agree.
func applyAll(t *testing.T, layers ...[]entry) (*box, error) {
	t.Helper()
	b := newBox(t, limit.Default)
	listing := NewListing(limit.Default)
	for i, entries := range layers {
		raw := archive(t, entries...)
		err, listErr := b.Apply(ctx, bytes.NewReader(raw), None, i), listing.Apply(ctx, bytes.NewReader(raw), None, i)
		if fmt.Sprint(err) != fmt.Sprint(listErr) {
			t.Errorf("unpacking says %v, and listing %v", err, listErr)
		}
		if err != nil {
			return b, err
		}
	}
	if !slices.Equal(b.Files(), listing.Files()) {
		t.Errorf("the tree has %+v\nand the listing %+v", b.Files(), listing.Files())
	}
	b.checkFiles(t)
	must(t, CheckFiles(b.Files(), limit.Default))
	return b, b.Seal()
}

// checkFiles compares what a tree says of itself with what is on disk.
func (b *box) checkFiles(t *testing.T) {
	t.Helper()
	root := filepath.Join(b.dir, "root")
	var want []string
	for _, f := range b.Files() {
		at := filepath.Join(root, f.Path)
		switch {
		case f.IsDir():
			want = append(want, f.Path)
		case f.IsSymlink():
			want = append(want, f.Path+"->"+f.Target)
		default:
			raw, err := os.ReadFile(at)
			must(t, err)
			if int64(len(raw)) != f.Size || digestOf(raw) != f.Digest {
				t.Errorf("%s is said to have %d bytes, and has %d", f.Path, f.Size, len(raw))
			}
			want = append(want, f.Path+"="+string(raw))
		}
	}
	b.check(t, want...)
}

func TestLayersAreAppliedOneOnTheOther(t *testing.T) {
	for name, test := range map[string]struct {
		layers [][]entry
		want   []string
	}{
		"files replace files":        {[][]entry{{file("a", "1"), file("b", "1")}, {file("a", "2")}}, []string{"a=2", "b=1"}},
		"also within a layer":        {[][]entry{{file("a", "1"), file("a", "2")}}, []string{"a=2"}},
		"names of every form":        {[][]entry{{file("./a", "1"), file("/b", "2"), file("/../c", "3"), dirEntry("./"), dirEntry("/"), file("d//e", "4"), file("f/./g", "5")}}, []string{"a=1", "b=2", "c=3", "d/e=4", "f/g=5"}},
		"a directory stays":          {[][]entry{{file("d/a", "1")}, {dirEntry("d/"), file("d/b", "2")}}, []string{"d/a=1", "d/b=2"}},
		"empty directories":          {[][]entry{{dirEntry("d/"), dirEntry("e/f/")}}, []string{"d/", "e/f/"}},
		"a file for a directory":     {[][]entry{{file("d/e/a", "1")}, {file("d", "2")}}, []string{"d=2"}},
		"a directory for a file":     {[][]entry{{file("d", "1")}, {dirEntry("d/"), file("d/a", "2")}}, []string{"d/a=2"}},
		"a file below a file":        {[][]entry{{file("d", "1")}, {file("d/a/b", "2")}}, []string{"d/a/b=2"}},
		"a link for a directory":     {[][]entry{{file("d/a", "1"), file("e", "1")}, {symlink("d", "e")}}, []string{"d->e", "e=1"}},
		"a directory for a link":     {[][]entry{{symlink("d", "e"), file("e/a", "1")}, {dirEntry("d/"), file("d/b", "2")}}, []string{"d/b=2", "e/a=1"}},
		"a file for a link":          {[][]entry{{symlink("l", "a"), file("a", "1")}, {file("l", "2")}}, []string{"a=1", "l=2"}},
		"a link for a file":          {[][]entry{{file("l", "1"), file("a", "1")}, {symlink("l", "a")}}, []string{"a=1", "l->a"}},
		"through a link":             {[][]entry{{symlink("lib", "usr/lib"), dirEntry("usr/lib/")}, {file("lib/a", "1"), file("lib/b/c", "2")}}, []string{"lib->usr/lib", "usr/lib/a=1", "usr/lib/b/c=2"}},
		"through links to links":     {[][]entry{{symlink("a", "b"), symlink("b", "c/d"), dirEntry("c/d/"), symlink("c/d/up", "../.."), file("a/up/a/x", "1")}}, []string{"a->b", "b->c/d", "c/d/up->../..", "c/d/x=1"}},
		"through a dangling link":    {[][]entry{{symlink("a", "b/c"), file("a/x", "1")}}, []string{"a->b/c", "b/c/x=1"}},
		"through a link to a file":   {[][]entry{{symlink("a", "f"), file("f", "1"), file("a/x", "2")}}, []string{"a->f", "f/x=2"}},
		"a link through a link":      {[][]entry{{symlink("lib", "usr/lib"), symlink("lib/x", "/etc/y"), file("etc/y", "1")}}, []string{"etc/y=1", "lib->usr/lib", "usr/lib/x->../../etc/y"}},
		"absolute links":             {[][]entry{{symlink("a/b/c", "/d/e"), symlink("f", "/"), symlink("g/h", "/"), symlink("i", "//j/../k")}}, []string{"a/b/c->../../d/e", "f->.", "g/h->..", "i->k"}},
		"global headers are skipped": {[][]entry{{{name: "pax", kind: tar.TypeXGlobalHeader, pax: map[string]string{"comment": "x"}}, file("a", "")}}, []string{"a="}},

		"whiteouts":                         {[][]entry{{file("a", "1"), file("d/b", "1"), file("d/c", "1")}, {file(".wh.a", ""), file("d/.wh.b", "")}}, []string{"d/c=1"}},
		"of a directory":                    {[][]entry{{file("d/e/a", "1"), file("b", "1")}, {file(".wh.d", "")}}, []string{"b=1"}},
		"of a link":                         {[][]entry{{symlink("l", "d"), file("d/a", "1")}, {file(".wh.l", "")}}, []string{"d/a=1"}},
		"of the last file":                  {[][]entry{{file("d/a", "1")}, {file("d/.wh.a", "")}}, []string{"d/"}},
		"of what is not there":              {[][]entry{{file("a", "1")}, {file(".wh.b", ""), file("x/.wh.y", "")}}, []string{"a=1"}},
		"through a link, whiteout":          {[][]entry{{symlink("lib", "usr/lib"), file("usr/lib/a", "1"), file("usr/lib/b", "1")}, {file("lib/.wh.a", "")}}, []string{"lib->usr/lib", "usr/lib/b=1"}},
		"spare the same layer, file first":  {[][]entry{{file("a", "1")}, {file("a", "2"), file(".wh.a", "")}}, []string{"a=2"}},
		"spare the same layer, file last":   {[][]entry{{file("a", "1")}, {file(".wh.a", ""), file("a", "2")}}, []string{"a=2"}},
		"spare the same layer, below":       {[][]entry{{file("d/a", "1")}, {file("d/b", "2"), file(".wh.d", "")}}, []string{"d/b=2"}},
		"opaque":                            {[][]entry{{file("d/a", "1"), file("d/e/b", "1"), dirEntry("d/f/"), file("g", "1")}, {file("d/.wh..wh..opq", ""), file("d/c", "2")}}, []string{"d/c=2", "g=1"}},
		"opaque, after the files":           {[][]entry{{file("d/a", "1"), file("d/e/b", "1")}, {file("d/e/c", "2"), file("d/.wh..wh..opq", "")}}, []string{"d/e/c=2"}},
		"opaque, and nothing else":          {[][]entry{{file("d/e/a", "1")}, {file("d/.wh..wh..opq", "")}}, []string{"d/"}},
		"opaque at the root":                {[][]entry{{file("d/e/a", "1"), file("b", "1")}, {file("d/c", "2"), file(".wh..wh..opq", "")}}, []string{"d/c=2"}},
		"opaque through a link":             {[][]entry{{symlink("l", "d"), file("d/a", "1")}, {file("l/b", "2"), file("l/.wh..wh..opq", "")}}, []string{"d/b=2", "l->d"}},
		"opaque in place of a file":         {[][]entry{{file("d", "1")}, {file("d/.wh..wh..opq", "")}}, []string{"d/"}},
		"metadata of aufs":                  {[][]entry{{file("a", "1"), dirEntry(".wh..wh.plnk/"), file(".wh..wh.aufs", "x")}}, []string{"a=1"}},
		"a whiteout, then a directory":      {[][]entry{{file("d/a", "1")}, {file(".wh.d", ""), dirEntry("d/")}}, []string{"d/"}},
		"a name with a dot is no whiteout":  {[][]entry{{file("a.wh.b", "1"), file(".whx", "1")}}, []string{".whx=1", "a.wh.b=1"}},
		"a layer hides what came back once": {[][]entry{{file("a", "1")}, {file(".wh.a", "")}, {file("a", "3")}}, []string{"a=3"}},

		"hard links":                       {[][]entry{{file("a", "1"), hardlink("d/b", "a"), hardlink("c", "/d/b")}}, []string{"a=1", "c=1", "d/b=1"}},
		"to a file of a layer before":      {[][]entry{{file("a", "1")}, {hardlink("b", "./a")}}, []string{"a=1", "b=1"}},
		"to a file that is replaced later": {[][]entry{{file("a", "1"), hardlink("b", "a"), file("a", "2")}}, []string{"a=2", "b=1"}},
		"to a file that is hidden later":   {[][]entry{{file("a", "1"), hardlink("b", "a")}, {file(".wh.a", "")}}, []string{"b=1"}},
		"to itself":                        {[][]entry{{file("a", "1"), hardlink("a", "a")}}, []string{"a=1"}},
		"to a link":                        {[][]entry{{symlink("l", "a"), hardlink("m", "l"), file("a", "1")}}, []string{"a=1", "l->a", "m->a"}},
		"through a link, hard":             {[][]entry{{symlink("l", "d"), file("d/a", "1"), hardlink("l/b", "l/a")}}, []string{"d/a=1", "d/b=1", "l->d"}},
		"in place of a directory":          {[][]entry{{file("a", "1"), file("d/x", "1"), hardlink("d", "a")}}, []string{"a=1", "d=1"}},

		"long names": {[][]entry{{file(strings.Repeat("d/", 200)+strings.Repeat("n", 200), "1"), symlink("l", strings.Repeat("t", 200))}},
			[]string{"l->" + strings.Repeat("t", 200), strings.Repeat("d/", 200) + strings.Repeat("n", 200) + "=1"}},
		"names beyond ASCII": {[][]entry{{file("Grüße/日本", "1")}}, []string{"Grüße/日本=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := applyAll(t, test.layers...)
			must(t, err)
			b.check(t, test.want...)
		})
	}
}

// Looking at each file again for each of them would take hours.
func TestADirectoryIsEmptiedOnceForALayer(t *testing.T) {
	var entries []entry
	const files, times = 3000, 30_000
	for i := range files {
		entries = append(entries, file(fmt.Sprint("d/", i), ""))
	}
	for range times {
		entries = append(entries, file("d/.wh..wh..opq", ""))
	}
	b, err := applyAll(t, []entry{file("d/before", "")}, entries)
	must(t, err)
	if n := len(b.Files()); n != files {
		t.Errorf("%d files are left", n)
	}
}

func TestAGlobalHeaderThatSaysWhatFilesAreIsRefused(t *testing.T) {
	for key, refused := range map[string]bool{"path": true, "size": true, "comment": false, "mtime": false} {
		_, err := applyAll(t, []entry{{name: "pax", kind: tar.TypeXGlobalHeader, pax: map[string]string{key: "1"}}, file("a", "")})
		if refused != errors.Is(err, errdef.ErrVerification) || refused && !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestHardLinksOfALayerAreCopiesWhereThereAreNoLinks(t *testing.T) {
	linkWithin = func(*os.Root, string, string) error { return syscall.EPERM }
	t.Cleanup(func() { linkWithin = (*os.Root).Link })
	layers := [][]entry{{{name: "a", body: "1234", mode: 0o755}, hardlink("d/b", "a"), hardlink("c", "/d/b")}, {hardlink("e", "c"), file(".wh.a", "")}}
	b, err := applyAll(t, layers...)
	must(t, err)
	b.check(t, "c=1234", "d/b=1234", "e=1234")
	if info, err := b.root.Lstat("e"); err != nil || info.Mode() != 0o555 {
		t.Errorf("the copy has the mode %v (%v)", info.Mode(), err)
	}
	// Copies take room, and so they count.
	b = newBox(t, limit.Limits{Bytes: 8})
	for i, l := range layers {
		err = b.Apply(ctx, bytes.NewReader(archive(t, l...)), None, i)
		if err != nil {
			break
		}
	}
	if !errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), "more than 8 bytes") {
		t.Errorf("three times four bytes in eight: %v", err)
	}
}

func TestApplyRefusesWhatLeadsOutOfTheTree(t *testing.T) {
	deep := symlink("a/b/c/l", "../../../outside")
	for name, test := range map[string]struct {
		layers [][]entry
		text   string
	}{
		"a name":                        {[][]entry{{file("../outside/canary", "dead")}}, "out of the package"},
		"a name below":                  {[][]entry{{file("a/../../outside/x", "dead")}}, "out of the package"},
		"a link":                        {[][]entry{{symlink("l", "../outside")}}, "out of the tree"},
		"a link below":                  {[][]entry{{symlink("a/l", "../../outside")}}, "out of the tree"},
		"a link with a drive":           {[][]entry{{symlink("l", `C:\Windows`)}}, "Windows"},
		"a link with backslashes":       {[][]entry{{symlink("l", `..\outside`)}}, "Windows"},
		"a chain of links":              {[][]entry{{symlink("d/up", ".."), symlink("out", "d/up/../outside")}, {file("out/canary", "dead")}}, "up after it went down"},
		"a chain with a long way round": {[][]entry{{symlink("a", "b/c"), symlink("b/c", "../d"), symlink("d", "."), symlink("e", "a/..")}}, "up after it went down"},
		"a link placed through a link":  {[][]entry{{symlink("deep", "."), symlink("deep/l", "../outside")}}, "out of the tree"},
		"a hard link outside":           {[][]entry{{hardlink("h", "../outside/canary")}}, "out of the package"},
		"a hard link to the system's":   {[][]entry{{hardlink("h", "/etc/passwd")}}, "no such file"},
		"a hard link by an absolute":    {[][]entry{{hardlink("h", "/outside/canary")}}, "no such file"},
		"a link moved up by a hard one": {[][]entry{{deep, hardlink("l", "a/b/c/l")}}, "out of the tree"},
		"a hard link to a directory":    {[][]entry{{dirEntry("d/"), hardlink("h", "d")}}, "no such file"},
		"a hard link to nothing":        {[][]entry{{hardlink("h", "gone")}}, "no such file"},
		"a hard link to what is hidden": {[][]entry{{file("a", "1")}, {file(".wh.a", ""), hardlink("h", "a")}}, "no such file"},
		"a hard link over its file":     {[][]entry{{file("d/a", "1"), hardlink("d", "d/a")}}, "takes the place"},
		"a hard link below its file":    {[][]entry{{file("a", "1"), hardlink("a/b", "a")}}, "takes the place"},
		"a loop of links":               {[][]entry{{symlink("a", "b"), symlink("b", "a"), file("a/x", "1")}}, "more than 40 links"},
		"a link to nothing":             {[][]entry{{symlink("a", "")}}, "a link to nothing"},
		"a whiteout of nothing":         {[][]entry{{file(".wh.", "")}}, "names nothing"},
		"a whiteout of the directory":   {[][]entry{{file("d/.wh..", "")}}, "names nothing"},
		"a whiteout of the parent":      {[][]entry{{file("d/.wh...", "")}}, "names nothing"},
		"a character device":            {[][]entry{{{name: "dev", kind: tar.TypeChar}}}, "device"},
		"a block device":                {[][]entry{{{name: "dev", kind: tar.TypeBlock}}}, "device"},
		"a FIFO":                        {[][]entry{{{name: "fifo", kind: tar.TypeFifo}}}, "FIFO"},
		"a type nobody knows":           {[][]entry{{{name: "x", kind: 'Q'}}}, "unknown type"},
		"a name that is too long":       {[][]entry{{file(strings.Repeat("n", 256), "")}}, "255 bytes"},
		"a path that is too long":       {[][]entry{{file(strings.Repeat("nnn/", 1100)+"n", "")}}, "--limit path="},
		"a path that is too deep":       {[][]entry{{file(strings.Repeat("n/", 256)+"n", "")}}, "--limit depth="},
		"a path made deep by links":     {[][]entry{{symlink("l", strings.Repeat("d/", 200)+"m"), symlink(strings.Repeat("d/", 200)+"m", strings.Repeat("e/", 100)+"e"), file("l/x", "")}}, "--limit depth="},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := applyAll(t, test.layers...)
			refuses(t, err, test.text)
		})
	}
}

func TestModesOfForeignFilesAreReducedToTwo(t *testing.T) {
	b, err := applyAll(t, []entry{{name: "plain", mode: 0o600}, {name: "setuid", mode: 0o6711}, {name: "odd", mode: 0o001}, {name: "none", mode: 0o1000}})
	must(t, err)
	for name, want := range map[string]os.FileMode{"plain": 0o444, "setuid": 0o555, "odd": 0o555, "none": 0o444} {
		if info, err := b.root.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestAFileIsWhatTheLayerSays(t *testing.T) {
	b := newBox(t, limit.Default)
	listing := NewListing(limit.Default)
	for name, content := range map[string]string{"libfoo.a": "bytes", "include/foo.h": "text", "a//b": "1"} {
		must(t, b.AddFile(name, int64(len(content)), strings.NewReader(content), 0))
		must(t, listing.AddFile(name, int64(len(content)), strings.NewReader(content), 0))
	}
	b.checkFiles(t)
	b.check(t, "a/b=1", "include/foo.h=text", "libfoo.a=bytes")
	if !slices.Equal(b.Files(), listing.Files()) {
		t.Error("the listing is another")
	}
	refuses(t, b.AddFile("short", 5, strings.NewReader("1234"), 1), "has 4 bytes, not 5")
	refuses(t, b.AddFile("../outside/x", 1, strings.NewReader("1"), 1), "out of the package")
	refuses(t, b.AddFile("/abs", 1, strings.NewReader("1"), 1), "absolute")
	refuses(t, b.AddFile("", 1, strings.NewReader("1"), 1), "empty")
	b.check(t, "a/b=1", "include/foo.h=text", "libfoo.a=bytes")
}

// A file system that takes two names for one is seen at the directory that is
// there already.
func TestTwoNamesThatAFileSystemTakesForOneAreRefused(t *testing.T) {
	b := newBox(t, limit.Default)
	must(t, b.root.Symlink("elsewhere", "lib"))
	err := b.Expand(ctx, bytes.NewReader(archive(t, file("lib/a", "1"))), None, []File{{Path: "lib/a", Size: 1, Mode: 0o644}})
	refuses(t, err, "a directory and a file at once")
	b.check(t, "lib->elsewhere")
}

func TestManyWhiteoutsOfManyFilesTakeLittleTime(t *testing.T) {
	const n = 20000
	var files, whiteouts []entry
	for i := range n {
		files = append(files, file(fmt.Sprintf("d%d/f", i), ""))
		whiteouts = append(whiteouts, file(fmt.Sprintf(".wh.d%d", i), ""))
	}
	listing := NewListing(limit.Default)
	must(t, listing.Apply(ctx, bytes.NewReader(archive(t, files...)), None, 0))
	must(t, listing.Apply(ctx, bytes.NewReader(archive(t, whiteouts...)), None, 1))
	if left := listing.Files(); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

// FuzzApply looks for an archive that reaches out of the tree, or of which the
// tree says something else than what is there.
func FuzzApply(f *testing.F) {
	for _, entries := range [][]entry{
		good(), {symlink("a", "b"), file("a/x", "1"), hardlink("c", "b/x")}, {symlink("d/up", ".."), file("d/up/../../x", "1")},
		{file("d/a", "1"), file("d/.wh..wh..opq", ""), file(".wh.d", "")}, {file("Grüße", "1"), hardlink("x", "/etc/passwd")},
	} {
		f.Add(archive(f, entries...), archive(f, file("d/a", "2"), file(".wh.a", "")))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		b := newBox(t, limit.Limits{Bytes: 1 << 20, Entries: 1000})
		for i, raw := range [][]byte{first, second} {
			if b.Apply(ctx, bytes.NewReader(raw), None, i) != nil {
				return
			}
		}
		b.checkFiles(t)
		must(t, CheckFiles(b.Files(), limit.Default))
		must(t, b.Seal())
		must(t, Remove(filepath.Join(b.dir, "root")))
	})
}
