package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// write makes the files of a map from path to content below dir. A path that
// ends in a slash is a directory; a content that begins with "-> " a link.
func write(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(at, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			must(t, os.Symlink(target, at))
			continue
		}
		must(t, os.WriteFile(at, []byte(content), 0o644))
	}
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entry is one of an archive that a test makes. The zero kind is a file.
type entry struct {
	name string
	kind byte
	body string
	link string
	mode int64 // 0644 when zero
	pax  map[string]string
}

func file(name, body string) entry   { return entry{name: name, body: body} }
func dirEntry(name string) entry     { return entry{name: name, kind: tar.TypeDir, mode: 0o755} }
func symlink(name, to string) entry  { return entry{name: name, kind: tar.TypeSymlink, link: to} }
func hardlink(name, to string) entry { return entry{name: name, kind: tar.TypeLink, link: to} }

// archive gives entries as a tar archive.
func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	raw, err := tryArchive(entries)
	must(t, err)
	return raw
}

func tryArchive(entries []entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: e.mode, PAXRecords: e.pax, Size: int64(len(e.body))}
		if e.kind == 0 {
			header.Typeflag = tar.TypeReg
		}
		if e.mode == 0 {
			header.Mode = 0o644
		}
		if e.kind == tar.TypeXGlobalHeader {
			header = &tar.Header{Typeflag: e.kind, PAXRecords: e.pax}
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// box is a directory with a tree to fill and, beside it, a canary that nothing
// may touch.
type box struct {
	*Tree
	dir  string
	root *os.Root
}

func newBox(t testing.TB, limits limit.Limits) *box {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{"root/": "", "outside/canary": "alive", "outside/dir/": ""})
	root, err := os.OpenRoot(filepath.Join(dir, "root"))
	must(t, err)
	b := &box{Tree: NewTree(root, limits), dir: dir, root: root}
	t.Cleanup(func() {
		b.checkCanary(t)
		root.Close()
		must(t, Remove(filepath.Join(dir, "root"))) // which may be read-only
	})
	return b
}

func (b *box) checkCanary(t testing.TB) {
	t.Helper()
	want := []string{"outside/canary=alive", "outside/dir/"}
	got := slices.DeleteFunc(contents(t, b.dir), func(line string) bool { return strings.HasPrefix(line, "root/") })
	if !slices.Equal(got, want) {
		t.Errorf("outside of the tree there is %q, want %q", got, want)
	}
	if info, err := os.Lstat(filepath.Join(b.dir, "outside/canary")); err != nil || info.Mode() != 0o644 {
		t.Errorf("the canary's mode is %v (%v)", info.Mode(), err)
	}
}

// contents lists what is in a directory: files as path=content, links as
// path->target, empty directories as path/.
func contents(t testing.TB, dir string) []string {
	t.Helper()
	lines := []string{}
	must(t, filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		must(t, err)
		rel = filepath.ToSlash(rel)
		switch {
		case entry.IsDir():
			names, err := os.ReadDir(at)
			must(t, err)
			if len(names) == 0 {
				lines = append(lines, rel+"/")
			}
		case entry.Type() == fs.ModeSymlink:
			target, err := os.Readlink(at)
			must(t, err)
			lines = append(lines, rel+"->"+target)
		case entry.Type().IsRegular():
			content, err := os.ReadFile(at)
			must(t, err)
			lines = append(lines, rel+"="+string(content))
		default:
			lines = append(lines, fmt.Sprintf("%s is a %v", rel, entry.Type()))
		}
		return nil
	}))
	slices.Sort(lines)
	return lines
}

// check compares what is in the tree on disk.
func (b *box) check(t testing.TB, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := contents(t, filepath.Join(b.dir, "root")); !slices.Equal(got, want) {
		t.Errorf("the tree holds %q\n            want %q", got, want)
	}
}

// refuses checks that err is one of verification that says what text does.
func refuses(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there was no error; want one about %q", text)
	}
	if !errors.Is(err, errdef.ErrVerification) {
		t.Errorf("the error %q is not one of verification", err)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %q; it should say %q", err, text)
	}
}

// compressed gives raw compressed.
func compressed(t testing.TB, raw []byte, compression Compression) []byte {
	t.Helper()
	if compression == None {
		return raw
	}
	var out bytes.Buffer
	w, err := compression.compressor(&out)
	must(t, err)
	_, err = w.Write(raw)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}

var ctx = context.Background()
