package upkeep

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// summary is what the names and packages of a store say, kept in one file so
// that a list need not open each. It is made anew from what it was made of
// whenever it is missing, damaged or behind.
type summary struct {
	dirs     directories
	refs     []refLine           // sorted by name
	packages []Package           // sorted by digest
	indexes  map[string][]string // of those that names stand for, all packages
}

// refLine is what a name stands for.
type refLine struct {
	stamp        stamp
	name, digest string
}

const (
	summaryName   = "summary"
	summaryHeader = "ocipkg summary 1 "
	// summaryFrom is from how many names and packages on a summary is kept.
	summaryFrom = 100
)

// stamp tells one state of a file or directory from another.
type stamp struct{ mtime, size int64 }

func stampOf(info fs.FileInfo) stamp { return stamp{info.ModTime().UnixNano(), info.Size()} }

// same tells whether nothing changed. The zero value is like nothing.
func (s stamp) same(other stamp) bool { return s.mtime != 0 && s == other }

// settling is how long after a change another one may leave the same stamp.
const settling = 2 * time.Second

// settled gives a stamp to keep: none of what changed only now.
func (s stamp) settled() stamp {
	if time.Since(time.Unix(0, s.mtime)) < settling {
		return stamp{}
	}
	return s
}

// directories are the stamps of those in which names, packages and indexes come
// and go. While a directory's is the same, so are the names in it, and all that
// is only ever renamed into it.
type directories struct{ refs, sha256, sha512, blobs256, blobs512 stamp }

func directoriesOf(of *store.Store) directories {
	one := func(name ...string) stamp {
		info, err := os.Stat(of.Path(name...))
		switch {
		case err != nil:
			return stamp{mtime: -1}
		case runtime.GOOS == "windows": // where a directory's time is not to be relied on
			return stamp{}
		}
		s := stampOf(info)
		s.size = 0 // says nothing of a directory
		return s.settled()
	}
	return directories{one("refs"), one("packages", "sha256"), one("packages", "sha512"), one("blobs", "sha256"), one("blobs", "sha512")}
}

func readPackage(in *store.Store, digest string, at stamp) Package {
	var link struct {
		Version  int               `json:"version"`
		Platform platform.Platform `json:"platform"`
		Size     int64             `json:"size"`
	}
	raw, err := os.ReadFile(filepath.Join(in.PackageDir(digest), "link.json"))
	if err != nil || json.Unmarshal(raw, &link) != nil || link.Version != store.LinkVersion || link.Size < 0 {
		return Package{Digest: digest, Platform: &platform.Platform{}, Damaged: true}
	}
	return Package{Digest: digest, Platform: &link.Platform, Size: link.Size, stamp: at.settled()}
}

// equal tells whether there is nothing new to keep.
func (s *summary) equal(other *summary) bool {
	return s.dirs == other.dirs && slices.Equal(s.refs, other.refs) && slices.EqualFunc(s.packages, other.packages, samePackage) &&
		maps.EqualFunc(s.indexes, other.indexes, slices.Equal)
}

func samePackage(a, b Package) bool {
	return a.Digest == b.Digest && a.stamp == b.stamp && a.Damaged == b.Damaged && a.Size == b.Size && *a.Platform == *b.Platform
}

// save keeps the summary for the next time. Where it cannot be kept, or another
// process is at it, that one reads again what this one read.
func (s *summary) save(in *store.Store) {
	var b strings.Builder
	// None of the fields can have a tab or a line's end in it: names and
	// digests were parsed, and JSON writes them otherwise.
	line := func(kind byte, at stamp, fields ...string) {
		b.WriteByte(kind)
		for _, n := range []int64{at.mtime, at.size} {
			b.WriteByte('\t')
			b.WriteString(strconv.FormatInt(n, 10))
		}
		for _, f := range fields {
			b.WriteByte('\t')
			b.WriteString(f)
		}
		b.WriteByte('\n')
	}
	platforms := map[platform.Platform]string{}
	for _, p := range s.packages {
		if platforms[*p.Platform] == "" {
			raw, err := json.Marshal(p.Platform)
			if err != nil {
				return
			}
			platforms[*p.Platform] = strconv.Itoa(len(platforms))
			line('f', stamp{}, platforms[*p.Platform], string(raw))
		}
		line('p', p.stamp, p.Digest, strconv.FormatInt(p.Size, 10), platforms[*p.Platform], strconv.FormatBool(p.Damaged)[:1])
	}
	for _, r := range s.refs {
		line('r', r.stamp, r.digest, r.name)
	}
	for digest, candidates := range s.indexes {
		line('i', stamp{}, digest, strings.Join(candidates, ","))
	}
	for i, at := range s.dirs.all() {
		line('d', *at, strconv.Itoa(i))
	}
	lock, err := in.TryLock(summaryName, false)
	if err != nil {
		return
	}
	defer lock.Release()
	sum := crc32.Checksum([]byte(b.String()), castagnoli)
	_ = in.WriteFile(lock, in.Path(summaryName), fmt.Appendf(nil, "%s%08x\n%s", summaryHeader, sum, b.String()))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (d *directories) all() []*stamp {
	return []*stamp{&d.refs, &d.sha256, &d.sha512, &d.blobs256, &d.blobs512}
}

// loadSummary reads the summary; an empty one when it is not there or not
// whole.
func loadSummary(of *store.Store) *summary {
	text, ok := readSummary(of.Path(summaryName))
	if !ok {
		return &summary{}
	}
	lines := strings.Count(text, "\n")
	s := &summary{refs: make([]refLine, 0, lines/2), packages: make([]Package, 0, lines/2), indexes: map[string][]string{}}
	var platforms []*platform.Platform
	for l := range strings.SplitSeq(text, "\n") {
		if !s.read(l, &platforms) {
			return &summary{}
		}
	}
	return s
}

// readSummary gives the lines of a summary that is whole.
func readSummary(name string) (text string, ok bool) {
	file, err := os.Open(name)
	if err != nil {
		return "", false
	}
	defer file.Close()
	info, err := file.Stat()
	header := make([]byte, len(summaryHeader)+len("00000000\n"))
	if err != nil || info.Size() < int64(len(header)) {
		return "", false
	}
	if _, err := io.ReadFull(file, header); err != nil {
		return "", false
	}
	var b strings.Builder
	b.Grow(int(info.Size()) - len(header))
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(io.MultiWriter(&b, sum), file); err != nil {
		return "", false
	}
	return b.String(), string(header) == fmt.Sprintf("%s%08x\n", summaryHeader, sum.Sum32())
}

// read takes in one line, unless it is of no kind that it knows.
func (s *summary) read(l string, platforms *[]*platform.Platform) bool {
	if l == "" {
		return true // the end
	}
	var f [7]string // kind, time, size, and what the kind has
	n := 0
	for field := range strings.SplitSeq(l, "\t") {
		if n == len(f) {
			return false
		}
		f[n] = field
		n++
	}
	mtime, err1 := strconv.ParseInt(f[1], 10, 64)
	size, err2 := strconv.ParseInt(f[2], 10, 64)
	if err1 != nil || err2 != nil {
		return false
	}
	at := stamp{mtime, size}
	switch f[0] {
	case "f":
		on := &platform.Platform{}
		*platforms = append(*platforms, on)
		return json.Unmarshal([]byte(f[4]), on) == nil
	case "p":
		bytes, err1 := strconv.ParseInt(f[4], 10, 64)
		on, err2 := strconv.Atoi(f[5])
		if err1 != nil || err2 != nil || on < 0 || on >= len(*platforms) {
			return false
		}
		s.packages = append(s.packages, Package{Digest: f[3], Platform: (*platforms)[on], Size: bytes, Damaged: f[6] == "t", stamp: at})
	case "r":
		s.refs = append(s.refs, refLine{stamp: at, digest: f[3], name: f[4]})
	case "i":
		var candidates []string
		if f[4] != "" {
			candidates = strings.Split(f[4], ",")
		}
		s.indexes[f[3]] = candidates
	case "d":
		i, err := strconv.Atoi(f[3])
		if err != nil || i < 0 || i >= len(s.dirs.all()) {
			return false
		}
		*s.dirs.all()[i] = at
	default:
		return false
	}
	return true
}
