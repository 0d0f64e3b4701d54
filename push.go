package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/mirror"
	"github.com/ocipkg/ocipkg/internal/pushed"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// Pushed says what a push sent where.
type Pushed struct {
	// Name is that of the package in the registry, whole.
	Name string `json:"name"`
	// Descriptor is that of the manifest or index.
	Descriptor Descriptor `json:"descriptor"`
	// Sent is the number of bytes of blobs that the registry did not have.
	Sent int64 `json:"sent"`
	// Mounted is that of those that the registry took from another of its
	// repositories.
	Mounted int64 `json:"mounted"`
}

// Push sends the layout that source names, under each of names; with none,
// under the name that it carries. A name that ends in @, and has no tag, is a
// repository, where the package is then found by its digest alone. A source that is a directory of files, and no
// layout, is packed as [Pack] does, and pushed. Blobs that the registry has are
// not sent, and manifests keep their bytes and so their digest.
func (c *Client) Push(ctx context.Context, source string, names []string, options PackOptions) ([]Pushed, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := parseNames(names)
	if err != nil {
		return nil, fmt.Errorf("push %s: %w", source, err)
	}
	if isDir(source) && len(refs) > 0 {
		return c.pushDir(ctx, source, refs, options)
	}
	l, root, err := c.openOrPack(ctx, source, false, options)
	if err != nil {
		return nil, fmt.Errorf("push %s: %w", source, err)
	}
	defer l.Close()
	if len(refs) == 0 {
		name := artifact.PackageName(root)
		if name == "" {
			return nil, errdef.Errorf(errdef.ErrUsage, "push %s: it carries no name; give one: ocipkg push %s NAME", source, source)
		}
		if refs, err = parseNames([]string{name}); err != nil {
			return nil, fmt.Errorf("push %s, by the name it carries: %w", source, err)
		}
	}
	return c.pushAll(ctx, source, l, root, refs, nil, "", false)
}

// pushAll pushes a layout under names, behind what was pushed before. The
// repository whole has all its blobs, which need not be in the layout; asking is
// that of [push].
func (c *Client) pushAll(ctx context.Context, source string, from artifact.Fetcher, root Descriptor, refs []reference.Reference, done []Pushed, whole string, asking bool) ([]Pushed, error) {
	for _, ref := range refs {
		pushed, err := c.pushTo(ctx, from, root, ref, ref.Name() == whole, asking)
		if errors.Is(err, registry.ErrLacks) && ref.Name() != whole { // as in pushDir
			pushed, err = c.pushTo(ctx, from, root, ref, false, true)
		}
		if err != nil {
			return done, fmt.Errorf("push %s to %s: %w", source, ref, err)
		}
		done = append(done, pushed)
	}
	return done, nil
}

func parseNames(names []string) ([]reference.Reference, error) {
	refs := make([]reference.Reference, len(names))
	for i, name := range names {
		ref, err := parseDestination(name)
		if err != nil {
			return nil, err
		}
		refs[i] = ref
	}
	return refs, nil
}

// parseDestination reads where to push. The tag is empty for REPOSITORY@, which
// gives what is pushed no name but its digest.
func parseDestination(name string) (reference.Reference, error) {
	if isLayout(name) {
		return reference.Reference{}, errdef.Errorf(errdef.ErrUsage, "%s is a file or a layout, and stands where a name in a registry is wanted: push takes its sources before the names, and index the name first", name)
	}
	if repository, ok := strings.CutSuffix(name, "@"); ok {
		ref, err := reference.ParseRepository(repository)
		if err == nil && (ref.Tag != "" || ref.Digest != "") {
			err = errdef.Errorf(errdef.ErrUsage, "%s: to push by digest leave the tag out: %s@; to push under a tag leave the @ out", name, ref.Name())
		}
		return ref, err
	}
	ref, err := reference.Parse(name)
	if err == nil && ref.Digest != "" {
		err = errdef.Errorf(errdef.ErrUsage, "%s: a push makes its own digest; leave it out and give a tag, or write %s@", name, ref.Name())
	}
	return ref, err
}

// sourceLayout is a layout that goes with what it was made in.
type sourceLayout struct {
	*layout.Layout
	writer *layout.Writer // nil for a layout that was there before
}

func (s *sourceLayout) Close() error {
	err := s.Layout.Close()
	if s.writer != nil {
		s.writer.Close()
	}
	return err
}

// openOrPack opens a layout, or makes a temporary one of a directory.
func (c *Client) openOrPack(ctx context.Context, source string, named bool, options PackOptions) (*sourceLayout, Descriptor, error) {
	if !isDir(source) {
		l, root, err := openLayout(ctx, source, c.warn)
		return &sourceLayout{Layout: l}, root, err
	}
	if !named {
		return nil, Descriptor{}, errdef.Errorf(errdef.ErrUsage, "it is a directory of files; say what the package is called: ocipkg push %s NAME", source)
	}
	spec, err := options.describeDir(source)
	if err != nil {
		return nil, Descriptor{}, err
	}
	w, err := layout.CreateTemp()
	if err != nil {
		return nil, Descriptor{}, err
	}
	l, root, err := packInto(ctx, w, spec, func(Descriptor) {})
	if err != nil {
		w.Close()
	}
	return l, root, err
}

func (c *Client) pushTo(ctx context.Context, from artifact.Fetcher, root Descriptor, ref reference.Reference, whole, asking bool) (Pushed, error) {
	p := c.pushInto(ref)
	p.asking = asking
	if p.standing(ctx, ref.Tag).root.Digest == root.Digest {
		return p.pushed(ref, root), nil // it is there with all that it consists of
	}
	if err := p.plan(ctx, from, root); err != nil {
		return Pushed{}, err
	}
	for _, desc := range p.blobs {
		if whole || p.standing(ctx, ref.Tag).has[desc.Digest] {
			p.arrived[desc.Digest] = true
		}
	}
	if err := p.send(ctx, ref.Tag); err != nil {
		return Pushed{}, err
	}
	return p.pushed(ref, root), nil
}

// destination is where packages go: a repository, or a layout in the making.
type destination interface {
	// PushBlob brings a blob there unless it is, and tells how it came; from,
	// where it is not nil, is a repository that has it.
	PushBlob(ctx context.Context, desc Descriptor, from *registry.Repository, open func() (io.ReadCloser, error)) (registry.Arrival, error)
	// PushManifest brings a manifest or index there as the bytes it is, under
	// each of tags.
	PushManifest(ctx context.Context, desc Descriptor, raw []byte, tags ...string) error
}

// push is one transfer to a repository or a layout, from one place or several.
type push struct {
	client    *Client
	to        destination
	repo      *registry.Repository // that to is; nil for a layout
	nested    bool                 // indexes may name indexes
	referring referring            // of what is planned
	manifests []document           // those that others name before those that name them
	planned   map[digest.Digest]bool
	held      int // bytes of the manifests
	blobs     []Descriptor
	from      map[digest.Digest]artifact.Fetcher // where each blob is
	mu        sync.Mutex                         // while blobs are made
	arrived   map[digest.Digest]bool             // blobs that were sent while they were made, or known to be there
	memory    *pushed.Memory                     // of what is pushed; nil for none
	asking    bool                               // for each blob, whatever is there
	once      sync.Once
	before    standing
	meter     *meter
	sent      atomic.Int64 // bytes of the blobs that the destination did not have
	mounted   atomic.Int64 // bytes of the blobs that it took from another repository
}

// pushInto starts a push to the repository of ref.
func (c *Client) pushInto(ref reference.Reference) *push {
	repo := c.registry.Repository(ref)
	return &push{client: c, to: repo, repo: repo, arrived: map[digest.Digest]bool{}}
}

// uploads is how many blobs are sent at once.
func (p *push) uploads() int {
	if p.repo == nil {
		return 4
	}
	return p.repo.Uploads()
}

// standing is what a tag stands for before something is pushed to it.
type standing struct {
	root Descriptor // the zero value when that is nothing, or not known
	has  map[digest.Digest]bool
}

// standing asks once what a tag stands for, and which blobs belong to that, and
// to what was pushed last: a registry keeps them while it has the manifest, so
// that nobody need ask for each. When the registry does not say, the push will
// find out why.
func (p *push) standing(ctx context.Context, tag string) standing {
	p.once.Do(func() {
		p.before.has = map[digest.Digest]bool{}
		if tag != "" {
			p.before.root = p.blobsOf(ctx, tag)
		}
		if p.memory != nil && p.memory.Root() != "" && p.memory.Root() != p.before.root.Digest {
			p.blobsOf(ctx, p.memory.Root().String())
		}
	})
	return p.before
}

// blobsOf notes that the repository has the blobs of a manifest, if it has that.
func (p *push) blobsOf(ctx context.Context, tagOrDigest string) (root Descriptor) {
	root, raw, err := p.repo.Find(p.repo.Writing(ctx), tagOrDigest)
	if err != nil {
		return Descriptor{}
	}
	manifest, err := artifact.ParseManifest(raw)
	if artifact.IsIndex(root) || err != nil || p.asking {
		return root
	}
	for _, desc := range append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...) {
		p.before.has[desc.Digest] = true
	}
	return root
}

// document is a manifest or an index with its bytes.
type document struct {
	desc Descriptor
	raw  []byte
}

// pushed says what was pushed under a name, or, where ref has no tag, under its
// digest.
func (p *push) pushed(ref reference.Reference, root Descriptor) Pushed {
	if ref.Tag == "" {
		ref.Digest = root.Digest.String()
	}
	root.Annotations, root.Platform = nil, nil // those of the index that had it
	return Pushed{Name: ref.String(), Descriptor: root, Sent: p.sent.Load(), Mounted: p.mounted.Load()}
}

// send sends all that was planned, blobs first. What was planned last is the
// root, and goes under the tag, if there is one: a tag never names what is not
// whole.
func (p *push) send(ctx context.Context, tag string) error {
	if err := p.sendBlobs(ctx); err != nil {
		return err
	}
	for i, m := range p.manifests {
		if p.referring.leaves(m.desc.Digest) {
			continue
		}
		var tags []string
		if tag != "" && i == len(p.manifests)-1 {
			tags = []string{tag}
		}
		if tags != nil && p.repo != nil {
			if err := p.client.retireSlots(ctx, p.repo, tag, p.standing(ctx, tag).root, m.desc.Digest); err != nil {
				return err
			}
		}
		if err := p.to.PushManifest(ctx, m.desc, m.raw, tags...); err != nil {
			return err
		}
	}
	return nil
}

// What one transfer takes along, below an index and by reference: more than
// anybody has, and little enough to be held in memory.
const (
	maxManifests = 10_000
	maxHeld      = 256 << 20 // bytes of manifests and indexes
)

// plan reads and verifies the manifests below desc and lists their blobs. What
// has been planned before is not again.
func (p *push) plan(ctx context.Context, from artifact.Fetcher, desc Descriptor) error {
	if p.planned[desc.Digest] {
		return nil
	}
	if len(p.manifests) >= maxManifests {
		return errdef.Errorf(errdef.ErrVerification, "more than %d manifests belong to it, the most that are taken along", maxManifests)
	}
	raw, err := artifact.ReadManifest(ctx, from, desc)
	if err != nil {
		return err
	}
	return p.planDocument(ctx, from, document{desc, raw})
}

// planDocument is plan for a manifest or index whose bytes are at hand.
func (p *push) planDocument(ctx context.Context, from artifact.Fetcher, doc document) error {
	desc, raw := doc.desc, doc.raw
	if p.held += len(raw); p.held > maxHeld {
		return errdef.Errorf(errdef.ErrVerification, "the manifests that belong to it have more than %d bytes together, the most that are taken along", maxHeld)
	}
	if artifact.IsIndex(desc) {
		index, err := artifact.ParseIndex(ctx, raw)
		if err != nil {
			return fmt.Errorf("index %s: %w", desc.Digest, err)
		}
		for _, child := range index.Manifests {
			if artifact.IsIndex(child) && !p.nested {
				return errdef.Errorf(errdef.ErrVerification, "index %s names another index, which is not pushed", desc.Digest)
			}
			if err := p.plan(ctx, from, child); err != nil {
				return err
			}
		}
	} else {
		manifest, err := artifact.ParseManifest(raw)
		if err != nil {
			return fmt.Errorf("manifest %s: %w", desc.Digest, err)
		}
		p.addBlobs(from, append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...))
	}
	p.add(desc, raw)
	return nil
}

// add plans to send a manifest or index last.
func (p *push) add(desc Descriptor, raw []byte) {
	if p.planned == nil {
		p.planned = map[digest.Digest]bool{}
	}
	p.planned[desc.Digest] = true
	if p.referring.planning != "" {
		p.referring.of[desc.Digest] = p.referring.planning
	}
	p.manifests = append(p.manifests, document{desc, raw})
}

func (p *push) addBlobs(from artifact.Fetcher, descs []Descriptor) {
	if p.from == nil {
		p.from = map[digest.Digest]artifact.Fetcher{}
	}
	for _, desc := range descs {
		known := p.from[desc.Digest] != nil
		if !known {
			p.from[desc.Digest] = from
			p.blobs = append(p.blobs, desc)
		}
		if of := p.referring.blobs[desc.Digest]; p.referring.planning != "" && (!known || of != nil) {
			p.referring.blobs[desc.Digest] = append(of, p.referring.planning)
		}
	}
}

// origin gives the repository that what from gives is of, whoever serves it; nil
// for what is in no registry.
func origin(from artifact.Fetcher) *registry.Repository {
	switch from := from.(type) {
	case *registry.Repository:
		return from
	case *mirror.Source:
		return from.Origin()
	}
	return nil
}

// sendBlobs sends what the registry does not have, several at once.
func (p *push) sendBlobs(ctx context.Context) error {
	left := slices.DeleteFunc(slices.Clone(p.blobs), func(desc Descriptor) bool { return p.arrived[desc.Digest] })
	p.meter = newMeter(p.client.Progress, left)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(p.uploads())
	for _, desc := range left {
		workers.Go(func() error { return p.sendBlob(ctx, desc) })
	}
	return workers.Wait()
}

// sendBlob sends a blob, unless it is there or can be taken from another
// repository. A mirror that gives it with other bytes than it has is left out.
func (p *push) sendBlob(ctx context.Context, desc Descriptor) error {
	for {
		err := p.sendOnce(ctx, desc, origin(p.from[desc.Digest]), func() (io.ReadCloser, *metered, error) { return p.open(ctx, desc) })
		from, ok := p.from[desc.Digest].(*mirror.Source)
		switch {
		case errors.Is(err, ErrVerification) && ok && from.Distrust(err): // and once more
		case err != nil && ctx.Err() == nil && p.loseBlob(desc.Digest, err):
			return nil
		default:
			return err
		}
	}
}

// sendOnce sends a blob that open gives, unless the registry has it, or can take
// it from the repository from, where that is not nil.
func (p *push) sendOnce(ctx context.Context, desc Descriptor, from *registry.Repository, open func() (io.ReadCloser, *metered, error)) error {
	var last *metered
	how, err := p.to.PushBlob(ctx, desc, from, func() (io.ReadCloser, error) {
		if last != nil { // the upload starts again, and so does its count
			p.meter.add(-last.n)
		}
		blob, r, err := open()
		last = r
		return blob, err
	})
	if err != nil {
		return err
	}
	switch how {
	case registry.Sent:
		p.sent.Add(desc.Size)
		return nil
	case registry.Mounted:
		p.mounted.Add(desc.Size)
	}
	p.meter.add(desc.Size)
	return nil
}

// readCloser closes what is below what it reads.
type readCloser struct {
	io.Reader
	io.Closer
}

// open gives a blob that verifies itself while it is sent, so that a damaged
// archive is called that, and not a faulty registry.
func (p *push) open(ctx context.Context, desc Descriptor) (io.ReadCloser, *metered, error) {
	blob, err := p.from[desc.Digest].Fetch(ctx, desc)
	if err != nil {
		return nil, nil, &sourceError{err}
	}
	r, verify := artifact.Verified(blob, desc)
	counted := p.meter.reader(r)
	return &verifying{Reader: counted, Closer: blob, left: desc.Size, verify: verify}, counted, nil
}

// verifying is a reader that ends in an error when its bytes were not the right
// ones. The last byte is held back until that is known: a sender that knows
// the size may never ask for what comes after it.
type verifying struct {
	io.Reader
	io.Closer
	left   int64
	verify func() error
}

func (v *verifying) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
	v.left -= int64(n)
	if err == io.EOF || err == nil && v.left <= 0 {
		if verifyErr := v.verify(); verifyErr != nil {
			return 0, &sourceError{verifyErr}
		}
	}
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}
