// Package pushed remembers what was pushed to a repository from a directory: what
// each layer's files were and became, and the manifest that went there. A push
// then packs only what the registry may lack, and reads only what may have
// changed.
//
// It is a memory and no promise: what it says is asked of the registry before it
// is used, and where there is none, or a damaged one, all is read and packed.
package pushed

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Memory is of one directory and one repository. Several goroutines may use one.
type Memory struct {
	store   *store.Store
	options Options
	start   int64
	known   map[string]knownLayer // by the shape of their files
	trusted int64                 // stamps from before that time tell that a file is what it was
	root    digest.Digest

	mu   sync.Mutex
	next []nextLayer
}

// knownLayer is a layer that was pushed, with the records of its files.
type knownLayer struct {
	packedLayer
	files []byte
}

// nextLayer is a layer that goes into the next memory. The files are kept by
// whoever packs them; what is noted of them is made when it is written.
type nextLayer struct {
	packedLayer
	files []*layer.File
}

// Options say what is remembered.
type Options struct {
	Repository string // where to, with its registry
	Dir        string // where from
	// Compression of the layers.
	Compression layer.Compression
	// Reread reads files that look as they did when they were read last.
	Reread bool
}

// header is the first line of a memory as it is kept. Behind it stand, for each
// of the layers' regular files, a [record], and then the SHA-256 of all that: what
// is remembered goes into packages that others get.
type header struct {
	Version    int           `json:"version"`
	Repository string        `json:"repository"`
	Dir        string        `json:"dir"`
	Root       digest.Digest `json:"root"` // the manifest that was pushed
	// Start is when its push began, in nanoseconds since 1970: a file that was
	// changed shortly before may have been changed again, unseen.
	Start  int64         `json:"start"`
	Layers []packedLayer `json:"layers"`
}

const version = 2

type packedLayer struct {
	Shape  string        `json:"shape"`
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Files  int           `json:"files"` // how many regular ones it has
}

// record is what is kept of a file: short, since a package may have very many.
type record struct {
	Sum   [sha256.Size]byte
	Stamp layer.Stamp
}

const recordSize = sha256.Size + 4*8 // bytes

// append writes the record as it is kept.
func (r record) append(to []byte) []byte {
	to = append(to, r.Sum[:]...)
	for _, n := range r.Stamp {
		to = binary.LittleEndian.AppendUint64(to, uint64(n))
	}
	return to
}

func (r record) digest() digest.Digest {
	return digest.NewDigestFromBytes(digest.SHA256, r.Sum[:])
}

// recordAt reads one of several records.
func recordAt(records []byte, i int) (r record) {
	raw := records[i*recordSize:][:recordSize]
	copy(r.Sum[:], raw)
	for n := range r.Stamp {
		r.Stamp[n] = int64(binary.LittleEndian.Uint64(raw[sha256.Size+8*n:]))
	}
	return r
}

const (
	// resolution is what file systems tell times by, at the worst.
	resolution = 2 * time.Second
	// maxDirs is from how many directories a repository is remembered to have
	// been pushed: one for each platform, say.
	maxDirs = 16
)

// Open reads what is remembered. The files must be listed afterwards.
func Open(in *store.Store, options Options) *Memory {
	if real, err := filepath.EvalSymlinks(options.Dir); err == nil {
		options.Dir = real
	}
	if abs, err := filepath.Abs(options.Dir); err == nil {
		options.Dir = abs
	}
	m := &Memory{store: in, options: options, start: time.Now().UnixNano(), known: map[string]knownLayer{}}
	if !m.read(m.path()) {
		m.latest() // a directory of another name each time, as CI has them
	}
	if options.Reread {
		m.trusted = math.MinInt64
	}
	return m
}

func (m *Memory) dir() string { return m.store.Path("pushed", hash(m.options.Repository)) }

func (m *Memory) path() string { return filepath.Join(m.dir(), hash(m.options.Dir)) }

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// read reads a memory, and tells whether it is one.
func (m *Memory) read(path string) bool {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) < sha256.Size {
		return false
	}
	all, end := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if sha256.Sum256(all) != [sha256.Size]byte(end) {
		return false
	}
	line, records, _ := bytes.Cut(all, []byte("\n"))
	var head header
	if json.Unmarshal(line, &head) != nil || head.Version != version {
		return false
	}
	known := map[string]knownLayer{}
	for _, l := range head.Layers {
		if l.Files < 0 || l.Files > len(records)/recordSize {
			return false
		}
		size := l.Files * recordSize
		known[l.Shape] = knownLayer{l, records[:size]}
		records = records[size:]
	}
	// Files that were changed just before may not look so.
	m.known, m.root, m.trusted = known, head.Root, head.Start-int64(resolution)
	return true
}

// latest reads what was pushed to the repository last, from wherever.
func (m *Memory) latest() {
	if all := m.all(); len(all) > 0 {
		m.read(all[0])
	}
}

// all lists what is remembered of the repository, the latest first.
func (m *Memory) all() []string {
	entries, err := os.ReadDir(m.dir())
	if err != nil {
		return nil
	}
	at := map[string]time.Time{}
	var all []string
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			path := filepath.Join(m.dir(), entry.Name())
			at[path] = info.ModTime()
			all = append(all, path)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(at[b].Compare(at[a]), cmp.Compare(a, b)) })
	return all
}

// Root gives the manifest that was pushed last; empty when that is not known.
func (m *Memory) Root() digest.Digest { return m.root }

// Recall gives what files became as a layer, and sets their digests. What of them
// may have changed is read. When they are not what they were, or cannot be read,
// or were not packed before, it tells nothing.
func (m *Memory) Recall(ctx context.Context, files []*layer.File) (layer.Packed, bool) {
	known, ok := m.known[m.shape(files)]
	regular := regularOf(files)
	if !ok || len(regular) != known.Files {
		return layer.Packed{}, false
	}
	for i, f := range regular {
		was := recordAt(known.files, i)
		if f.Stamp() == was.Stamp && was.Stamp.Before(m.trusted) {
			continue
		}
		if ctx.Err() != nil {
			return layer.Packed{}, false
		}
		if sum, err := f.Sum(ctx); err != nil || sum != was.digest() {
			return layer.Packed{}, false
		}
	}
	for i, f := range regular {
		f.Digest = recordAt(known.files, i).digest()
	}
	return layer.Packed{Digest: known.Digest, Size: known.Size}, true
}

// Remember notes what files, which have their digests, became. They are to stay
// as they are until all is saved.
func (m *Memory) Remember(files []*layer.File, packed layer.Packed) {
	l := nextLayer{packedLayer{Digest: packed.Digest, Size: packed.Size}, files}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next = append(m.next, l)
}

func regularOf(files []*layer.File) []*layer.File {
	return slices.DeleteFunc(slices.Clone(files), func(f *layer.File) bool { return !f.IsRegular() })
}

// shape gives what decides on a layer besides the bytes of its files: what they
// are called, their sizes, modes and targets, and the program that packs them.
func (m *Memory) shape(files []*layer.File) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", program(), m.options.Compression)
	var line []byte
	for _, f := range files {
		line = append(strconv.AppendQuote(line[:0], f.Path), ' ')
		line = append(strconv.AppendInt(line, f.Size, 10), ' ')
		line = append(strconv.AppendUint(line, uint64(f.Mode), 8), ' ')
		line = append(strconv.AppendQuote(line, f.Target), '\n')
		sum.Write(line)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// program tells the programs apart that may pack the same files to other bytes.
var program = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return runtime.Version()
	}
	said := runtime.Version() + " " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
			said += " " + s.Value
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/klauspost/compress" {
			said += " " + dep.Version
		}
	}
	return said
})

// Save keeps what was remembered, for the manifest that it was pushed as. A store
// that cannot be written to keeps nothing.
func (m *Memory) Save(ctx context.Context, root digest.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	raw, err := m.marshal(root)
	if err != nil {
		return err
	}
	lock, err := m.store.Lock(ctx, "pushed-"+hash(m.options.Repository), false)
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := m.store.WriteFile(lock, m.path(), raw); err != nil {
		return err
	}
	if all := m.all(); len(all) > maxDirs {
		for _, old := range all[maxDirs:] {
			_ = os.Remove(old)
		}
	}
	return nil
}

// marshal writes what was remembered as it is kept.
func (m *Memory) marshal(root digest.Digest) ([]byte, error) {
	head := header{Version: version, Repository: m.options.Repository, Dir: m.options.Dir, Root: root, Start: m.start}
	records := 0
	for _, l := range m.next {
		l.Shape, l.Files = m.shape(l.files), len(regularOf(l.files))
		head.Layers = append(head.Layers, l.packedLayer)
		records += l.Files
	}
	line, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, len(line)+1+records*recordSize+sha256.Size)
	raw = append(append(raw, line...), '\n')
	for _, l := range m.next {
		for _, f := range regularOf(l.files) {
			r := record{Stamp: f.Stamp()}
			sum, err := hex.DecodeString(strings.TrimPrefix(string(f.Digest), "sha256:"))
			if copy(r.Sum[:], sum) != len(sum) || len(sum) != len(r.Sum) || err != nil {
				return nil, fmt.Errorf("%s has the digest %q", f.Path, f.Digest)
			}
			raw = r.append(raw)
		}
	}
	sum := sha256.Sum256(raw)
	return append(raw, sum[:]...), nil
}
