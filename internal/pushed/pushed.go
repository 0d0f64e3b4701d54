// Package pushed remembers what was pushed to a repository from a directory: what
// each layer's files were and became, and the manifest that went there. A push
// then packs only what the registry may lack, and reads only what may have
// changed.
//
// It is a memory and no promise: what it says is asked of the registry before it
// is used, and where there is none, or a damaged one, all is read and packed.
package pushed

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
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
	known   map[string]packedLayer // by the shape of their files
	root    digest.Digest

	mu   sync.Mutex
	next []packedLayer
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

// document is a memory as it is kept.
type document struct {
	Version    int           `json:"version"`
	Repository string        `json:"repository"`
	Dir        string        `json:"dir"`
	Root       digest.Digest `json:"root"` // the manifest that was pushed
	// Start is when its push began, in nanoseconds since 1970: a file that was
	// changed shortly before may have been changed again, unseen.
	Start  int64         `json:"start"`
	Layers []packedLayer `json:"layers"`
	// Sum is the digest of all of this without it: what is remembered goes into
	// packages that others get.
	Sum digest.Digest `json:"sum,omitempty"`
}

// sum gives the digest of a document without its own.
func (d document) sum() digest.Digest {
	d.Sum = ""
	raw, err := json.Marshal(d)
	if err != nil {
		return ""
	}
	return digest.FromBytes(raw)
}

const version = 1

type packedLayer struct {
	Shape  string        `json:"shape"`
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Files  []readFile    `json:"files"` // the regular ones
}

type readFile struct {
	Digest digest.Digest `json:"digest"`
	Stamp  layer.Stamp   `json:"stamp"`
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
	m := &Memory{store: in, options: options, start: time.Now().UnixNano(), known: map[string]packedLayer{}}
	doc, ok := read(m.path())
	if !ok {
		doc = m.latest() // a directory of another name each time, as CI has them
	}
	m.root = doc.Root
	for _, l := range doc.Layers {
		// Files that were changed just before may not look so.
		for i, f := range l.Files {
			if options.Reread || !f.Stamp.Before(doc.Start-int64(resolution)) {
				l.Files[i].Stamp = layer.Stamp{}
			}
		}
		m.known[l.Shape] = l
	}
	return m
}

func (m *Memory) dir() string { return m.store.Path("pushed", hash(m.options.Repository)) }

func (m *Memory) path() string { return filepath.Join(m.dir(), hash(m.options.Dir)) }

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// read reads a memory; what is not one counts as none.
func read(path string) (doc document, ok bool) {
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &doc) != nil || doc.Version != version || doc.Sum == "" || doc.Sum != doc.sum() {
		return document{}, false
	}
	return doc, true
}

// latest gives what was pushed to the repository last, from wherever.
func (m *Memory) latest() document {
	if all := m.all(); len(all) > 0 {
		doc, _ := read(all[0])
		return doc
	}
	return document{}
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
	if !ok || len(regular) != len(known.Files) {
		return layer.Packed{}, false
	}
	for i, f := range regular {
		if was := known.Files[i]; f.Stamp() == was.Stamp && was.Stamp != (layer.Stamp{}) {
			continue
		}
		if ctx.Err() != nil {
			return layer.Packed{}, false
		}
		if sum, err := f.Sum(ctx); err != nil || sum != known.Files[i].Digest {
			return layer.Packed{}, false
		}
	}
	for i, f := range regular {
		f.Digest = known.Files[i].Digest
	}
	return layer.Packed{Digest: known.Digest, Size: known.Size}, true
}

// Remember notes what files, which have their digests, became.
func (m *Memory) Remember(files []*layer.File, packed layer.Packed) {
	l := packedLayer{Shape: m.shape(files), Digest: packed.Digest, Size: packed.Size}
	for _, f := range regularOf(files) {
		l.Files = append(l.Files, readFile{f.Digest, f.Stamp()})
	}
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
	for _, f := range files {
		fmt.Fprintf(sum, "%q %d %o %q\n", f.Path, f.Size, f.Mode, f.Target)
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
	doc := document{Version: version, Repository: m.options.Repository, Dir: m.options.Dir, Root: root, Start: m.start, Layers: m.next}
	doc.Sum = doc.sum()
	raw, err := json.Marshal(doc)
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
