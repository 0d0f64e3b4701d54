package layout

import (
	"archive/tar"
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestAnArchiveThatIsCutShortIsNeverTakenForAWholeOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	archiveAt(t, path, "")
	whole, err := os.ReadFile(path)
	must(t, err)
	end := len(bytes.TrimRight(whole, "\x00"))
	cut := filepath.Join(t.TempDir(), "cut.tar")
	for n := 0; n < end; n += 512 {
		for _, at := range []int{n, min(n+1, end-1), min(n+511, end-1)} {
			must(t, os.WriteFile(cut, whole[:at], 0o644))
			if err := readArchive(cut); !errors.Is(err, errdef.ErrVerification) {
				t.Fatalf("cut to %d of %d bytes, the error is %v", at, len(whole), err)
			}
		}
	}
	must(t, os.WriteFile(cut, whole[:end], 0o644))
	must(t, readArchive(cut)) // every byte of every file is there
}

func TestWhatIsNoArchiveIsRefused(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenArchive(ctx, filepath.Join(dir, "gone.tar"))
	is(t, err, errdef.ErrNotFound, "does not exist")
	_, err = OpenArchive(ctx, dir)
	is(t, err, errdef.ErrUsage, "oci:DIR")
	_, err = OpenArchive(ctx, writeFile(t, nil))
	is(t, err, errdef.ErrVerification, "no index.json")
	_, err = OpenArchive(ctx, writeFile(t, bytes.Repeat([]byte("no archive "), 1000)))
	is(t, err, errdef.ErrVerification, "no tar archive")
	_, err = OpenArchive(ctx, writeFile(t, []byte("short")))
	is(t, err, errdef.ErrVerification, "cut short")
	_, err = OpenDir(ctx, filepath.Join(dir, "gone"))
	is(t, err, errdef.ErrNotFound, "does not exist")
	_, err = OpenDir(ctx, dir)
	is(t, err, errdef.ErrVerification, "no index.json")
}

func TestArchivesOfOtherProgramsAreRead(t *testing.T) {
	files := parts(t)
	for name, change := range map[string]func(string) string{
		"names that begin with a dot": func(name string) string { return "./" + name },
		"names as they are":           func(name string) string { return name },
	} {
		changed := map[string]string{}
		for name, content := range files {
			changed[change(name)] = content
		}
		changed[change("manifest.json")] = "[]" // as docker save adds it
		if err := readArchive(writeTar(t, changed)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAMissingVersionIsAWarning(t *testing.T) {
	files := parts(t)
	delete(files, "oci-layout")
	for name, l := range map[string]func() (*Layout, error){
		"an archive":  func() (*Layout, error) { return OpenArchive(ctx, writeTar(t, files)) },
		"a directory": func() (*Layout, error) { return OpenDir(ctx, writeDir(t, files)) },
	} {
		l, err := l()
		must(t, err)
		defer l.Close()
		if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "oci-layout") {
			t.Errorf("%s: the warnings are %q", name, l.Warnings)
		}
	}
}

func TestASparseFileInAnArchiveIsNamed(t *testing.T) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	records := map[string]string{}
	for _, key := range []string{"major", "minor", "numblocks", "map", "size"} {
		records["XNU.sparse."+key] = "0"
	}
	records["XNU.sparse.map"] = ""
	must(t, w.WriteHeader(&tar.Header{Name: "index.json", Mode: 0o644, Typeflag: tar.TypeReg, PAXRecords: records}))
	must(t, w.Close())
	_, err := OpenArchive(ctx, writeFile(t, bytes.ReplaceAll(out.Bytes(), []byte("XNU."), []byte("GNU."))))
	is(t, err, errdef.ErrVerification, "sparse file")
}

func TestLinksAndDirectoriesInAnArchiveAreNoFiles(t *testing.T) {
	files := parts(t)
	delete(files, "index.json")
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range []tar.Header{{Name: "index.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, {Name: "index.json", Typeflag: tar.TypeLink, Linkname: "x"}, {Name: "index.json/", Typeflag: tar.TypeDir}} {
		must(t, w.WriteHeader(&h))
	}
	must(t, w.Close())
	_, err := OpenArchive(ctx, writeFile(t, out.Bytes()))
	is(t, err, errdef.ErrVerification, "no index.json")
}

func TestALinkInADirectoryLeadsNowhereElse(t *testing.T) {
	files := parts(t)
	outside := writeDir(t, map[string]string{"index.json": files["index.json"]})
	delete(files, "index.json")
	dir := writeDir(t, files)
	must(t, os.Symlink(filepath.Join(outside, "index.json"), filepath.Join(dir, "index.json")))
	if _, err := OpenDir(ctx, dir); err == nil {
		t.Error("the link was followed")
	}
}

func TestAFailedWriteLeavesNothingAndKeepsWhatWasThere(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, w *Writer){
		"nothing was written": func(*testing.T, *Writer) {},
		"a blob was given up": func(t *testing.T, w *Writer) {
			b, err := w.Create()
			must(t, err)
			_, err = b.Write([]byte("half"))
			must(t, err)
			b.Discard()
		},
		"it was not finished": func(t *testing.T, w *Writer) { build(t, w) },
		"a blob went missing": func(t *testing.T, w *Writer) {
			desc := build(t, w)
			must(t, os.Remove(filepath.Join(w.dir, blobName(desc.Digest))))
			if w.Finish(desc, "") == nil {
				t.Error("there was no error")
			}
		},
		"a blob became shorter": func(t *testing.T, w *Writer) {
			desc := build(t, w)
			must(t, os.Truncate(filepath.Join(w.dir, blobName(desc.Digest)), 3))
			if w.Finish(desc, "") == nil {
				t.Error("there was no error")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.tar")
			w, err := CreateArchive(path, false)
			must(t, err)
			fail(t, w)
			must(t, w.Close())
			if got := names(t, dir); len(got) > 0 {
				t.Errorf("%q is left", got)
			}
			must(t, os.WriteFile(path, []byte("old"), 0o644))
			w, err = CreateArchive(path, true)
			must(t, err)
			fail(t, w)
			must(t, w.Close())
			if raw, err := os.ReadFile(path); err != nil || string(raw) != "old" {
				t.Errorf("what was there holds %q, %v", raw, err)
			}
			if got := names(t, dir); !slices.Equal(got, []string{"a.tar"}) {
				t.Errorf("%q is left", got)
			}
		})
	}
}

func TestAnArchiveThatExistsIsReplacedOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	must(t, os.WriteFile(path, []byte("old"), 0o644))
	_, err := CreateArchive(path, false)
	is(t, err, errdef.ErrUsage, "exists already")
	_, err = CreateArchive(t.TempDir(), true)
	is(t, err, errdef.ErrUsage, "is a directory")
	_, err = CreateArchive(filepath.Join(path, "b.tar"), false)
	if err == nil {
		t.Error("a file was taken for a directory")
	}
	_, err = CreateArchive(filepath.Join(t.TempDir(), "gone", "a.tar"), false)
	is(t, err, errdef.ErrNotFound, "make it first")
	w, err := CreateArchive(path, true)
	must(t, err)
	defer w.Close()
	must(t, w.Finish(build(t, w), ""))
	must(t, readArchive(path))
}

// Another program may make the file while the archive is being written.
func TestAnArchiveThatAppearsMeanwhileIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	w, err := CreateArchive(path, false)
	must(t, err)
	defer w.Close()
	desc := build(t, w)
	must(t, os.WriteFile(path, []byte("another's"), 0o644))
	is(t, w.Finish(desc, ""), errdef.ErrUsage, "exists already")
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "another's" {
		t.Errorf("it holds %q, %v", raw, err)
	}
}

func TestAnArchiveMayHaveTheLongestName(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 251)+".tar")
	archiveAt(t, path, "")
	must(t, readArchive(path))
}

func TestADirectoryThatIsNoLayoutIsNotAddedTo(t *testing.T) {
	dir := writeDir(t, map[string]string{"precious": "x"})
	_, err := CreateDir(dir)
	is(t, err, errdef.ErrVerification, "no index.json")
	if _, err := CreateDir(filepath.Join(dir, "precious")); err == nil {
		t.Error("a file was taken for a directory")
	}
	if got := names(t, dir); !slices.Equal(got, []string{"precious"}) {
		t.Errorf("it holds %q", got)
	}
}

func TestAnIndexThatWasDamagedMeanwhileIsNotLost(t *testing.T) {
	dir := writeDir(t, parts(t))
	w, err := CreateDir(dir)
	must(t, err)
	defer w.Close()
	desc := build(t, w)
	must(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o644))
	if err := w.Finish(desc, ""); !errors.Is(err, errdef.ErrVerification) {
		t.Errorf("the error is %v", err)
	}
}

// FuzzOpenArchive looks for an archive that is read into memory, or that makes
// the reader fail in another way than with an error.
func FuzzOpenArchive(f *testing.F) {
	for _, name := range []string{"rust-0.2.9-pack.tar", "rust-0.4.0-compose.tar"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		must(f, err)
		f.Add(raw)
	}
	files := parts(f)
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasPrefix(name, "blobs/") })
	raw, err := os.ReadFile(writeTar(f, files))
	must(f, err)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = readArchive(writeFile(t, raw))
	})
}
