package layer

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/limit"
)

// entriesOf reads a layer as a fuzzer can write one, in which random bytes would
// have no checksum that is right: a line is the type of an entry, as tar has it,
// its name, its target where it is a link, and its content.
func entriesOf(text string) (entries []entry) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) < 2 || len(fields[0]) != 1 || len(fields) > 4 {
			continue
		}
		fields = append(fields, "", "")
		e := entry{kind: fields[0][0], name: fields[1], link: fields[2], body: fields[3]}
		if e.kind == tar.TypeDir {
			e.mode = 0o755
		}
		entries = append(entries, e)
	}
	return entries
}

// FuzzExpand looks for a layer that is unpacked and leaves something else than
// what its package lists, or reaches out of the tree. The list is what the
// layer's own headers say, so that nothing is refused for not being listed.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{
		"0\tlib/a\t\t1\n2\tlib/b\ta\n5\tempty/\n0\tc\n", "2\tlib\t/etc\n0\tlib/passwd\t\t1\n", "5\td/\n2\td\t..\n", "0\t../a\t\t1\n",
		"0\ta\t\t1\n0\ta/b\t\t2\n", "0\tcon\n0\tA\t\t1\n0\ta\t\t2\n", "2\ta\tb\n2\tb\ta\n0\ta/x\n", "1\ta\t/etc/passwd\n", "0\t./a\n0\ta//b\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := tryArchive(entriesOf(text))
		if err != nil {
			return
		}
		limits := limit.Limits{Bytes: 1 << 20, Entries: 1000}
		var files []File
		listed := map[string]bool{}
		if NewListing(limits).readEntries(ctx, bytes.NewReader(raw), None, func(header *tar.Header, _ io.Reader) error {
			file, err := entryOf(header)
			if err == nil && !file.IsRoot() && !listed[file.Path] {
				listed[file.Path] = true
				files = append(files, file)
			}
			return err
		}) != nil || CheckFiles(files, limits) != nil {
			return
		}
		b := newBox(t, limits)
		if b.Expand(ctx, bytes.NewReader(raw), None, files) != nil {
			return
		}
		onDisk := map[string]bool{}
		for _, line := range contents(t, filepath.Join(b.dir, "root")) {
			onDisk[line] = true
		}
		for _, file := range files {
			switch {
			case file.IsDir() && !onDisk[file.Path]: // not empty
			case file.IsDir():
				delete(onDisk, file.Path)
			case file.IsSymlink():
				if line := file.Path + "->" + file.Target; !onDisk[line] {
					t.Errorf("the link %q is not there", line)
				} else {
					delete(onDisk, line)
				}
			default:
				content, err := os.ReadFile(filepath.Join(b.dir, "root", file.Path))
				if must(t, err); int64(len(content)) != file.Size {
					t.Errorf("%q has %d bytes, and is listed with %d", file.Path, len(content), file.Size)
				}
				delete(onDisk, file.Path+"="+string(content))
			}
		}
		for line := range onDisk {
			t.Errorf("%.60q was unpacked, and is not listed", line)
		}
		must(t, b.Seal())
		must(t, Remove(filepath.Join(b.dir, "root")))
	})
}
