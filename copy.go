package ocipkg

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// CopyOptions say what is copied. The zero value copies all that there is.
type CopyOptions struct {
	// Platforms are targets, as in [GetOptions]. With any, of an index only the
	// packages that serve them are taken, and what arrives is another index,
	// also when it has but one package: a name goes on to stand for an index,
	// which more can be added to. Of all packages of the index, it is the same.
	Platforms []string
	// NoReferrers leaves out what refers to the package, such as signatures.
	NoReferrers bool
	// Force replaces an archive that is there.
	Force bool
}

// Copied says what a copy brought where. The name is that of a layout as it
// would be written as a source, or whole that in a registry.
type Copied struct {
	Pushed
	// Source is what was copied. It differs from Descriptor when only some
	// platforms were.
	Source Descriptor `json:"source"`
	// Referrers is how many manifests that refer to the package, or to a part of
	// it, were copied with it.
	Referrers int `json:"referrers"`
	// Lost are the digests of those that could not be read, and were not copied.
	Lost []string `json:"lost,omitempty"`
}

// Copy copies a package, or an index with all its packages, byte for byte, so
// that its digest stays the same, with the signatures and whatever else refers to
// it or to a part of it. Where some of these cannot be read, the rest is copied, and
// there is an error beside the result. Source and destination are each a name in a registry, an
// archive or a layout directory. What the destination has is not sent again, and
// between two repositories of one registry nothing is: the registry takes it over.
//
// A destination that is a mirror of the source is not read from: copying again
// brings it up to date.
//
// In a layout the package gets the name that it has in the registry, or noted in
// the layout that it comes from, unless the destination is written oci:DIR:TAG.
// In a registry a destination is written as for [Client.Push].
func (c *Client) Copy(ctx context.Context, source, destination string, options CopyOptions) (Copied, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return Copied{}, err
	}
	copied, err := c.copy(ctx, source, destination, options)
	if err != nil {
		err = fmt.Errorf("copy %s to %s: %w", source, destination, err)
	}
	return copied, err
}

func (c *Client) copy(ctx context.Context, source, destination string, options CopyOptions) (Copied, error) {
	ref, at, err := copyDestination(destination)
	if err != nil {
		return Copied{}, err
	}
	// A mirror that is the destination is what is to be brought up to date.
	from, err := c.openPackage(ctx, source, func(layout string, repo *registry.Repository) bool {
		if at != nil {
			return layout != "" && isSameFile(layout, at.path)
		}
		return repo != nil && repo == c.registry.Repository(ref)
	})
	if err != nil {
		return Copied{}, err
	}
	defer from.close()
	if at != nil && at.archive && len(options.Platforms) == 0 && isSameFile(from.path, at.path) {
		return Copied{Pushed: Pushed{Name: at.String(), Descriptor: bare(from.root)}, Source: bare(from.root)}, nil
	}
	if at == nil && len(options.Platforms) == 0 && from.ref.Name() == ref.Name() && (ref.Tag == "" || from.ref.Tag == ref.Tag && from.ref.Digest == "") {
		return Copied{Pushed: c.pushInto(ref).pushed(ref, from.root), Source: bare(from.root)}, nil // onto itself
	}
	if at != nil {
		return c.copyToLayout(ctx, from, *at, options)
	}
	p := c.pushInto(ref)
	root, referrers, err := p.planCopy(ctx, from, options)
	if err != nil {
		return Copied{}, err
	}
	if len(referrers) > 0 && ref.Tag != "" {
		p.add(root.desc, root.raw) // under its tag once all that refers to it is there
	}
	if err := p.send(ctx, ref.Tag); err != nil {
		return Copied{}, err
	}
	return p.copied(p.pushed(ref, root.desc), from, referrers)
}

// copied says what was copied. The error is that of what refers to the package and
// stayed behind.
func (p *push) copied(pushed Pushed, from *opened, referrers []Descriptor) (Copied, error) {
	copied := Copied{Pushed: pushed, Source: bare(from.root), Referrers: len(p.brought(referrers))}
	for _, l := range p.referring.lost {
		copied.Lost = append(copied.Lost, l.digest.String())
	}
	return copied, p.referring.err()
}

// brought leaves out of what refers to the package what stayed behind.
func (p *push) brought(referrers []Descriptor) []Descriptor {
	return slices.DeleteFunc(slices.Clone(referrers), func(desc Descriptor) bool { return p.referring.leaves(desc.Digest) })
}

func (c *Client) copyToLayout(ctx context.Context, from *opened, at place, options CopyOptions) (Copied, error) {
	w, err := at.create(options.Force)
	if err != nil {
		return Copied{}, err
	}
	defer w.Close()
	p := &push{client: c, to: layoutDestination{w}}
	root, referrers, err := p.planCopy(ctx, from, options)
	if err != nil {
		return Copied{}, err
	}
	if err := p.send(ctx, ""); err != nil {
		return Copied{}, err
	}
	name := from.name
	if at.tag != "" {
		name = at.tag
	}
	if err := w.Finish(bare(root.desc), name, p.brought(referrers)...); err != nil {
		return Copied{}, err
	}
	return p.copied(Pushed{Name: at.String(), Descriptor: bare(root.desc), Sent: p.sent.Load()}, from, referrers)
}

// copyDestination reads where to copy to: a place for a layout, or, with nil for
// that, a name in a registry.
func copyDestination(destination string) (reference.Reference, *place, error) {
	written := strings.HasPrefix(destination, "oci:") || strings.HasPrefix(destination, "oci-archive:")
	switch {
	case written, strings.HasSuffix(destination, ".tar") && !isDir(destination) && !isLayoutDir(destination):
		at, err := parseOutput(destination)
		return reference.Reference{}, &at, err
	case isLayoutDir(destination):
		return reference.Reference{}, &place{path: destination}, nil
	case isDir(destination):
		return reference.Reference{}, nil, errdef.Errorf(errdef.ErrUsage, "%s is a directory, and no layout; to make one there write oci:%s", destination, destination)
	case isLayout(destination):
		return reference.Reference{}, nil, errdef.Errorf(errdef.ErrUsage, "%s does not say what it is to be; write FILE.tar for an archive, or oci:DIR for a layout directory", destination)
	}
	ref, err := parseDestination(destination)
	return ref, nil, err
}

func isLayoutDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && isLayout(path)
}

func isSameFile(a, b string) bool {
	one, errA := os.Stat(a)
	other, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(one, other)
}

// planCopy plans to send what is copied, and gives what its name is to stand for,
// and what refers to it.
func (p *push) planCopy(ctx context.Context, from *opened, options CopyOptions) (root document, referrers []Descriptor, err error) {
	p.nested = true
	raw, err := artifact.ReadManifest(ctx, from, from.root)
	if err != nil {
		return root, nil, err
	}
	if root, err = selectPlatforms(ctx, from, document{from.root, raw}, options.Platforms); err != nil {
		return root, nil, err
	}
	if err := p.planDocument(ctx, from.reader, root); err != nil || options.NoReferrers {
		return root, nil, err
	}
	if root.desc.Digest != from.root.Digest {
		left, err := from.Referrers(ctx, from.root)
		if err != nil {
			return root, nil, err
		}
		if len(left) > 0 {
			p.client.warn(fmt.Sprintf("%d manifests that refer to the whole index %s, such as signatures, are left out: they are not about the one that is made of it", len(left), from.root.Digest))
		}
	}
	referrers, err = p.planReferrers(ctx, from.reader)
	return root, referrers, err
}

// selectPlatforms gives of an index one of those packages alone that serve the
// platforms, and of a package itself, if it serves them.
func selectPlatforms(ctx context.Context, from artifact.Fetcher, root document, platforms []string) (document, error) {
	targets, err := parsePlatforms(platforms)
	if err != nil || len(targets) == 0 {
		return root, err
	}
	if !artifact.IsIndex(root.desc) {
		return root, checkFits(ctx, from, root, targets)
	}
	index, err := artifact.ParseIndex(ctx, root.raw)
	if err == nil {
		_, err = artifact.Complete(ctx, from, &index)
	}
	if err != nil {
		return root, fmt.Errorf("index %s: %w", root.desc.Digest, err)
	}
	wanted := map[digest.Digest]bool{}
	for _, target := range targets {
		desc, err := artifact.Select(index, target)
		if err != nil {
			return root, err
		}
		wanted[desc.Digest] = true
	}
	keep := make([]bool, len(index.Manifests))
	for i, desc := range index.Manifests {
		// Attestations are entries beside the package that they are about.
		keep[i] = wanted[desc.Digest] || wanted[digest.Digest(desc.Annotations["vnd.docker.reference.digest"])]
	}
	if !slices.Contains(keep, false) {
		return root, nil
	}
	raw, err := filterIndex(root.raw, keep)
	root.desc.Digest, root.desc.Size = digest.FromBytes(raw), int64(len(raw))
	return document{root.desc, raw}, err
}

// filterIndex leaves out of an index the entries that are not kept. All else
// stays as it is written, also what is not known here.
func filterIndex(raw []byte, keep []bool) ([]byte, error) {
	var doc map[string]json.RawMessage
	var manifests []json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(doc["manifests"], &manifests); err != nil {
		return nil, err
	}
	kept := []json.RawMessage{}
	for i, entry := range manifests {
		if keep[i] {
			kept = append(kept, entry)
		}
	}
	var err error
	if doc["manifests"], err = json.Marshal(kept); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

// checkFits tells whether a package that is in no index serves all targets.
func checkFits(ctx context.Context, from artifact.Fetcher, root document, targets []Platform) error {
	pkg, err := artifact.OpenManifest(ctx, from, root.desc, root.raw)
	if err != nil {
		return err
	}
	of := pkg.Config.Platform
	if of.IsZero() {
		of = pkg.ImagePlatform()
	}
	for _, target := range targets {
		if reason, ok := of.Fits(target); !ok {
			return errdef.Errorf(errdef.ErrPlatform, "the package is for %s, and not for %s: %s", of, target, reason)
		}
	}
	return nil
}

// layoutDestination is a layout in the making as a [destination].
type layoutDestination struct{ *layout.Writer }

func (d layoutDestination) PushBlob(ctx context.Context, desc Descriptor, _ *registry.Repository, open func() (io.ReadCloser, error)) (registry.Arrival, error) {
	if d.Has(desc) {
		return registry.Had, nil
	}
	content, err := open()
	if err != nil {
		return registry.Had, err
	}
	defer content.Close()
	return registry.Sent, d.put(ctx, desc, content)
}

// PushManifest ignores tags: the layout is named when it is finished.
func (d layoutDestination) PushManifest(ctx context.Context, desc Descriptor, raw []byte, _ ...string) error {
	return d.put(ctx, desc, bytes.NewReader(raw))
}

func (d layoutDestination) put(ctx context.Context, desc Descriptor, content io.Reader) error {
	blob, err := d.Create()
	if err != nil {
		return err
	}
	defer blob.Discard()
	if _, err := io.Copy(blob, &interruptible{ctx, content}); err != nil {
		return fmt.Errorf("write %s: %w", desc.Digest, err)
	}
	return blob.Commit(desc)
}

// interruptible ends with its context: files do not by themselves.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
