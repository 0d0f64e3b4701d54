package install

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// What came of a package that did not come whole stands in tmp/NAME.part, under
// the package's lock: in root/ the tree as far as it was unpacked, and under its
// number a layer's compressed bytes, if it is a large one. Nothing of it is
// trusted: files are taken whose digest is the one in the package's config, and
// a layer is verified from its first byte to its last.
const partSuffix = ".part"

// keptFor is how long what came of a package is kept for another try.
const keptFor = 24 * time.Hour

// These are variables for tests.
var (
	// spoolLeast is the size, in bytes, from which on a layer's compressed bytes
	// are kept while they come.
	spoolLeast int64 = 64 << 20
	// keptLeast is how many bytes must have come to be kept: fewer are fetched
	// again.
	keptLeast int64 = 1 << 20
)

// resume is what came of a package earlier, and what is kept for later.
type resume struct {
	dir    string // tmp/NAME.part
	spools bool   // large layers are kept as they come
	full   bool   // they are not, since the disk was full
	before bool   // something is there of an earlier try
	used   bool   // a layer was read from what an earlier try kept of it
	have   []bool // by layer: all its files are in root/

	mu   sync.Mutex
	came int64 // bytes of layers that came whole
}

// root gives where the files of an earlier try are.
func (r *resume) root() string { return filepath.Join(r.dir, "root") }

// old is root, while it is removed.
func (r *resume) old() string { return filepath.Join(r.dir, "old") }

func (r *resume) spool(number int) string { return filepath.Join(r.dir, strconv.Itoa(number)) }

// partial tells whether something in tmp/ is what came of a package that did not
// come whole, and is not there. One with a description was whole, and was being
// removed.
func partial(in *store.Store, entry string) bool {
	name, part := strings.CutSuffix(entry, partSuffix)
	if dir := packageOf(in, name); dir == "" {
		return false
	} else if _, err := os.Lstat(dir); err == nil {
		return false
	}
	if part {
		return true
	}
	_, err := os.Lstat(in.Path("tmp", entry, "root"))
	_, whole := os.Lstat(in.Path("tmp", entry, "link.json"))
	return err == nil && errors.Is(whole, fs.ErrNotExist)
}

// takeUp puts aside what an earlier try left. That which was killed while it took
// up another itself had nothing that is not there.
func (in *installer) takeUp() {
	r := &in.resume
	*r = resume{dir: in.Path("tmp", in.lock.Name()+partSuffix), spools: in.Resume && !r.full, full: r.full}
	staging := in.Path("tmp", in.lock.Name())
	_ = layer.Remove(r.old())
	if !r.found() {
		in.putAside(staging)
	}
	_ = layer.Remove(staging)
	r.before = r.found()
}

// putAside moves the tree of a try to where the next one takes it up.
func (in *installer) putAside(staging string) {
	left := filepath.Join(staging, "root")
	if _, err := os.Lstat(left); err != nil || in.Mkdir("tmp", in.lock.Name()+partSuffix) != nil {
		return
	}
	_ = os.Chmod(left, 0o700) // or it is not moved
	_ = os.Rename(left, in.resume.root())
}

// found tells whether an earlier try left files.
func (r *resume) found() bool {
	_, err := os.Lstat(r.root())
	return err == nil
}

// check finds out which layers an earlier try unpacked. Their files are what the
// config says, to the last byte.
func (in *installer) check(ctx context.Context, layers int, files []layer.File) error {
	root, err := os.OpenRoot(in.resume.root())
	if err != nil {
		return nil
	}
	defer root.Close()
	content := byLayer(layers, files)
	have := make([]bool, layers)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(min(runtime.GOMAXPROCS(0), maxWorkers))
	for i, files := range content {
		workers.Go(func() error {
			have[i] = slices.ContainsFunc(files, layer.File.IsRegular) && !slices.ContainsFunc(files, func(f layer.File) bool {
				return f.IsRegular() && !isFile(ctx, root, f)
			})
			return ctx.Err()
		})
	}
	in.resume.have = have
	return workers.Wait()
}

// isFile tells whether root has a file as it was unpacked.
func isFile(ctx context.Context, root *os.Root, f layer.File) bool {
	name := filepath.FromSlash(f.Path)
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != f.Size || info.Mode() != layer.StoredMode(f.Mode) || f.Digest.Validate() != nil {
		return false
	}
	file, err := root.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	sum := f.Digest.Verifier()
	_, err = io.Copy(sum, layer.Until(ctx, file))
	return err == nil && sum.Verified()
}

// byLayer sorts files by the layer that they are in.
func byLayer(layers int, files []layer.File) [][]layer.File {
	content := make([][]layer.File, layers)
	for _, f := range files {
		content[f.Layer] = append(content[f.Layer], f)
	}
	return content
}

// missing gives a manifest without what need not be asked for: the config, which
// is here when an earlier try is looked at, and the layers that this left.
func (r *resume) missing(manifest ocispec.Manifest) ocispec.Manifest {
	if r.have != nil {
		manifest.Config = ocispec.Descriptor{}
	}
	var layers []ocispec.Descriptor
	for i, desc := range manifest.Layers {
		if _, err := os.Lstat(r.spool(i)); err == nil || r.has(i) {
			continue
		}
		layers = append(layers, desc)
	}
	manifest.Layers = layers
	return manifest
}

func (r *resume) has(number int) bool { return number < len(r.have) && r.have[number] }

// adopt takes the files of an earlier try into the tree, and removes the rest of
// it. What is not taken is fetched.
func (r *resume) adopt(tree *layer.Tree, content [][]layer.File) {
	for i, files := range content {
		if r.has(i) {
			r.have[i] = tree.Adopt(files, r.root()) == nil
		}
	}
	if os.Rename(r.root(), r.old()) == nil { // or, killed here, it would stand for all that there is
		_ = layer.Remove(r.old())
	}
}

// arrived notes that a layer came whole, and is unpacked.
func (r *resume) arrived(number int, bytes int64) {
	if r.spools && bytes >= spoolLeast {
		_ = os.Remove(r.spool(number))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.came += bytes
}

// kept gives a fetcher for a layer, which keeps what comes of a large one.
func (in *installer) kept(from artifact.Fetcher, number int, desc ocispec.Descriptor) artifact.Fetcher {
	if !in.resume.spools || desc.Size < spoolLeast {
		return from
	}
	return &spooled{Fetcher: from, in: in, path: in.resume.spool(number)}
}

// spooled is a fetcher that keeps a layer's bytes in a file while they come, and
// begins with those that are there.
type spooled struct {
	artifact.Fetcher
	in   *installer
	path string
}

func (s *spooled) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	r := &spoolReader{ctx: ctx, from: s.Fetcher, desc: desc}
	err := s.in.Mkdir("tmp", filepath.Base(s.in.resume.dir))
	if err == nil {
		r.file, err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = r.file.Stat(); err == nil && info.Size() <= desc.Size {
			r.have = info.Size()
		} else if err == nil {
			err = r.file.Truncate(0)
		}
	}
	if err != nil {
		r.giveUp() // it comes without being kept
	}
	if r.have > 0 {
		s.in.resume.mu.Lock()
		s.in.resume.used = true
		s.in.resume.mu.Unlock()
		return r, nil
	}
	r.rest, err = s.Fetcher.Fetch(ctx, desc)
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// spoolReader reads a layer from its file as far as that goes, and then from
// where it is fetched, which goes into the file.
type spoolReader struct {
	ctx  context.Context
	from artifact.Fetcher
	desc ocispec.Descriptor
	file *os.File // nil when it is not kept
	have int64    // bytes that were in it
	at   int64
	rest io.ReadCloser
	err  error
}

func (r *spoolReader) Read(p []byte) (int, error) {
	if r.at < r.have {
		n, err := r.file.ReadAt(p[:min(int64(len(p)), r.have-r.at)], r.at)
		r.at += int64(n)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			r.have = r.at // what cannot be read is fetched
		}
	}
	if r.rest == nil && r.err == nil {
		if r.at == r.desc.Size {
			r.err = io.EOF
		} else {
			r.rest, r.err = artifact.FetchFrom(r.ctx, r.from, r.desc, r.at)
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.rest.Read(p)
	if n > 0 && r.file != nil {
		if _, err := r.file.WriteAt(p[:n], r.at); err != nil {
			r.giveUp()
		}
	}
	r.at += int64(n)
	return n, err
}

// giveUp keeps no more, and not what was kept: it may be the disk that is full.
func (r *spoolReader) giveUp() {
	if r.file != nil {
		_ = r.file.Truncate(0)
		r.file.Close()
		_ = os.Remove(r.file.Name())
		r.file, r.have = nil, 0
	}
}

func (r *spoolReader) Close() error {
	if r.file != nil {
		r.file.Close()
		r.file = nil
		r.have = 0
	}
	if r.rest != nil {
		return r.rest.Close()
	}
	return nil
}

// again tells whether a try that failed is worth another without what may have
// been why.
func (in *installer) again(err error) bool {
	r := &in.resume
	switch {
	case errors.Is(err, errdef.ErrVerification):
		differs := artifact.InOneStream(in.from) || r.used
		r.dropSpools()
		return differs
	case (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && r.dropSpools():
		r.full = true
		return true
	}
	return false
}

// dropSpools removes what is kept of layers, and tells whether there was any.
func (r *resume) dropSpools() (any bool) {
	entries, _ := os.ReadDir(r.dir)
	for _, entry := range entries {
		if !entry.IsDir() {
			any = os.Remove(filepath.Join(r.dir, entry.Name())) == nil || any
		}
	}
	return any
}

// finish removes what is left of a try that ended with err, or keeps it where
// another may go on with it: when the network failed, or the user stopped it.
func (in *installer) finish(ctx context.Context, err error) {
	if in.Resume && err != nil && (ctx.Err() != nil || errors.Is(err, errdef.ErrNetwork) || errors.Is(err, errdef.ErrUnauthorized) || errors.Is(err, errdef.ErrNotFound)) && in.resume.worth() {
		return
	}
	_ = layer.Remove(in.resume.dir)
}

// worth tells whether what came is worth keeping.
func (r *resume) worth() bool {
	if r.before || r.used || r.came >= keptLeast {
		return true
	}
	entries, _ := os.ReadDir(r.dir)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && !entry.IsDir() && r.came+info.Size() >= keptLeast {
			return true
		}
	}
	return false
}
