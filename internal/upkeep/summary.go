package upkeep

import (
	"encoding/json"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// summary is what the names and packages of a store say, kept in one file so
// that a list need not open each. It is made anew from what it was made of
// whenever it is missing, damaged or behind.
type summary struct {
	dirs     directories
	refs     map[string]refLine     // by the name of the file
	packages map[string]packageLine // by digest
	indexes  map[string][]string    // of those that names stand for, all packages
}

// refLine is what a name stands for.
type refLine struct {
	stamp        stamp
	name, digest string
}

// packageLine is what a list says of a package.
type packageLine struct {
	stamp    stamp // of link.json
	bytes    int64 // of its files; -1 for a package that is damaged
	platform platform.Platform
}

const (
	summaryName   = "summary"
	summaryHeader = "ocipkg summary 1"
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

func readPackage(in *store.Store, digest string, at stamp) packageLine {
	var link struct {
		Version  int               `json:"version"`
		Platform platform.Platform `json:"platform"`
		Size     int64             `json:"size"`
	}
	raw, err := os.ReadFile(filepath.Join(in.PackageDir(digest), "link.json"))
	if err != nil || json.Unmarshal(raw, &link) != nil || link.Version != store.LinkVersion || link.Size < 0 {
		return packageLine{bytes: -1}
	}
	return packageLine{stamp: at.settled(), bytes: link.Size, platform: link.Platform}
}

// equal tells whether there is nothing new to keep.
func (s *summary) equal(other *summary) bool {
	return s.dirs == other.dirs && maps.Equal(s.refs, other.refs) && maps.Equal(s.packages, other.packages) &&
		maps.EqualFunc(s.indexes, other.indexes, slices.Equal)
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
	for file, r := range s.refs {
		line('r', r.stamp, file, r.digest, r.name)
	}
	platforms := map[platform.Platform]string{}
	for digest, p := range s.packages {
		if platforms[p.platform] == "" {
			raw, err := json.Marshal(p.platform)
			if err != nil {
				return
			}
			platforms[p.platform] = string(raw)
		}
		line('p', p.stamp, digest, strconv.FormatInt(p.bytes, 10), platforms[p.platform])
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
	text := summaryHeader + "\n" + b.String()
	_ = in.WriteFile(lock, in.Path(summaryName), []byte(text+checksum(text)))
}

func (d *directories) all() []*stamp {
	return []*stamp{&d.refs, &d.sha256, &d.sha512, &d.blobs256, &d.blobs512}
}

func checksum(text string) string {
	return "sum\t" + strconv.FormatUint(uint64(crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))), 16) + "\n"
}

// loadSummary reads the summary; an empty one when it is not there or not
// whole.
func loadSummary(of *store.Store) *summary {
	s := &summary{refs: map[string]refLine{}, packages: map[string]packageLine{}, indexes: map[string][]string{}}
	raw, err := os.ReadFile(of.Path(summaryName))
	if err != nil {
		return s
	}
	text := string(raw)
	end := strings.LastIndex(text, "sum\t")
	if end < 0 || !strings.HasPrefix(text, summaryHeader+"\n") || text[end:] != checksum(text[:end]) {
		return s
	}
	lines := strings.Count(text, "\n")
	s.refs, s.packages = make(map[string]refLine, lines/2), make(map[string]packageLine, lines/2)
	platforms := map[string]platform.Platform{}
	for l := range strings.SplitSeq(text[len(summaryHeader)+1:end], "\n") {
		s.read(l, platforms)
	}
	return s
}

// read takes in one line; one that it does not know is left out.
func (s *summary) read(l string, platforms map[string]platform.Platform) {
	var f [6]string // kind, time, size, and what the kind has
	n := 0
	for field := range strings.SplitSeq(l, "\t") {
		if n == len(f) {
			return
		}
		f[n] = field
		n++
	}
	if n < 4 {
		return
	}
	mtime, err1 := strconv.ParseInt(f[1], 10, 64)
	size, err2 := strconv.ParseInt(f[2], 10, 64)
	if err1 != nil || err2 != nil {
		return
	}
	at := stamp{mtime, size}
	switch f[0] {
	case "r":
		s.refs[f[3]] = refLine{stamp: at, digest: f[4], name: f[5]}
	case "p":
		bytes, err := strconv.ParseInt(f[4], 10, 64)
		if err != nil {
			return
		}
		on, ok := platforms[f[5]]
		if !ok {
			if json.Unmarshal([]byte(f[5]), &on) != nil {
				return
			}
			platforms[f[5]] = on
		}
		s.packages[f[3]] = packageLine{stamp: at, bytes: bytes, platform: on}
	case "i":
		var candidates []string
		for d := range strings.SplitSeq(f[4], ",") {
			if _, _, ok := reference.SplitDigest(d); ok {
				candidates = append(candidates, d)
			}
		}
		s.indexes[f[3]] = slices.Clip(candidates)
	case "d":
		if i, err := strconv.Atoi(f[3]); err == nil && i >= 0 && i < len(s.dirs.all()) {
			*s.dirs.all()[i] = at
		}
	}
}
