package ocipkg

import (
	"context"
	"fmt"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// PushIndex publishes under name one image index over the packages that sources
// hold, each for a platform of its own, and sends what of them the registry does
// not have. A source is a layout, a directory of files, which is packed as
// [Pack] does, or a name in a registry; of one that is an index all packages are
// taken. Two packages for the same platform are an error of kind [ErrUsage].
//
// What the name stood for before is replaced. See [Client.AddToIndex] for adding
// to it.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
func (c *Client) PushIndex(ctx context.Context, name string, sources []string, options PackOptions) (Pushed, error) {
	pushed, err := c.pushIndex(ctx, name, sources, options)
	if err != nil {
		return Pushed{}, fmt.Errorf("push an index to %s: %w", name, err)
	}
	return pushed, nil
}

func (c *Client) pushIndex(ctx context.Context, name string, sources []string, options PackOptions) (Pushed, error) {
	t, err := c.gather(ctx, name, sources, options)
	if err != nil {
		return Pushed{}, err
	}
	defer t.close()
	desc, raw, err := artifact.BuildIndex(t.members)
	if err != nil {
		return Pushed{}, err
	}
	t.add(desc, raw)
	if err := t.send(ctx, t.ref.Tag); err != nil {
		return Pushed{}, err
	}
	return t.pushed(t.ref, desc), nil
}

// AddToIndex adds the packages that sources hold, as for [Client.PushIndex], to
// the index that name stands for; one that is there for the same platform is
// replaced. The index is made when there is none.
//
// Several may add to one index at the same time, and none is lost, though
// registries cannot write on a condition: each package also gets a tag of its
// own, TAG--OS-ARCHITECTURE[-LIBC], and each writer writes the index of all that
// have one, until no more have come. After one that failed, or was killed, add
// again: what it wrote may lack what came in meanwhile, until the next one writes.
func (c *Client) AddToIndex(ctx context.Context, name string, sources []string, options PackOptions) (Pushed, error) {
	pushed, err := c.addToIndex(ctx, name, sources, options)
	if err != nil {
		return Pushed{}, fmt.Errorf("add to the index %s: %w", name, err)
	}
	return pushed, nil
}

func (c *Client) addToIndex(ctx context.Context, name string, sources []string, options PackOptions) (Pushed, error) {
	t, err := c.gather(ctx, name, sources, options)
	if err != nil {
		return Pushed{}, err
	}
	defer t.close()
	if t.ref.Tag == "" {
		return Pushed{}, errdef.Errorf(errdef.ErrUsage, "an index is added to under a tag; give one")
	}
	s, err := newSlots(c, t.repo, t.ref.Tag, t.members)
	if err != nil {
		return Pushed{}, err
	}
	if err := t.send(ctx, ""); err != nil {
		return Pushed{}, err
	}
	desc, err := s.add(ctx)
	if err != nil {
		return Pushed{}, err
	}
	return t.pushed(t.ref, desc), nil
}

// gathering is the packages that go into an index, and the push that sends them.
type gathering struct {
	*push
	ref     reference.Reference
	members []artifact.Member
	closers []func() error
}

func (g *gathering) close() {
	for _, c := range g.closers {
		c()
	}
}

// gather opens sources, and plans to send their packages to where name is.
func (c *Client) gather(ctx context.Context, name string, sources []string, options PackOptions) (_ *gathering, err error) {
	ctx, err = c.begin(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := parseDestination(name)
	if err != nil {
		return nil, err
	}
	g := &gathering{ref: ref, push: c.pushInto(ref)}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	for _, source := range sources {
		if err := g.gather(ctx, source, options); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
	}
	return g, nil
}

func (g *gathering) gather(ctx context.Context, source string, options PackOptions) error {
	from, root, err := g.openSource(ctx, source, options)
	if err != nil {
		return err
	}
	root.Annotations, root.Platform = nil, nil // a layout's, and no index's of packages
	descs := []Descriptor{root}
	if artifact.IsIndex(root) {
		raw, err := artifact.ReadManifest(ctx, from, root)
		if err != nil {
			return err
		}
		var others int
		if descs, others, err = packagesOf(ctx, root, raw); err != nil {
			return err
		}
		g.client.warnOfOthers(root, others)
		if len(descs) == 0 {
			return errdef.Errorf(errdef.ErrPlatform, "the index has no packages in it")
		}
	}
	for _, desc := range descs {
		pkg, err := artifact.Open(ctx, from, desc)
		if err != nil {
			return err
		}
		m := artifact.MemberOf(pkg, desc)
		if m.Source = source; artifact.IsIndex(root) {
			m.Source += " (" + desc.Digest.String() + ")"
		}
		g.members = append(g.members, m)
		// What is in the repository already is whole there.
		if from != artifact.Fetcher(g.repo) {
			if err := g.plan(ctx, from, desc); err != nil {
				return err
			}
		}
	}
	return nil
}

// packagesOf gives the entries of an index that are packages, and how many others
// there are. One that is an index is an error.
func packagesOf(ctx context.Context, root Descriptor, raw []byte) (descs []Descriptor, others int, err error) {
	index, err := artifact.ParseIndex(ctx, raw)
	if err != nil {
		return nil, 0, fmt.Errorf("index %s: %w", root.Digest, err)
	}
	for _, desc := range index.Manifests {
		if artifact.IsIndex(desc) {
			return nil, 0, errdef.Errorf(errdef.ErrUsage, "index %s names another index, %s, which cannot be part of one", root.Digest, desc.Digest)
		}
	}
	for _, candidate := range artifact.Candidates(index) {
		descs = append(descs, candidate.Descriptor)
	}
	return descs, len(index.Manifests) - len(descs), nil
}

// warnOfOthers tells of what is not taken along from an index: what is about its
// packages as they were there, such as attestations.
func (c *Client) warnOfOthers(root Descriptor, others int) {
	if others > 0 {
		c.warn(fmt.Sprintf("of the index %s, %d entries that are no packages, such as attestations, are left out", root.Digest, others))
	}
}

// openSource opens a source of any kind.
func (g *gathering) openSource(ctx context.Context, source string, options PackOptions) (artifact.Fetcher, Descriptor, error) {
	if IsSource(source) {
		l, root, err := g.client.openOrPack(ctx, source, true, options)
		if err == nil {
			g.closers = append(g.closers, l.Close)
		}
		return l, root, err
	}
	ref, err := g.client.named(source)
	if err != nil {
		return nil, Descriptor{}, err
	}
	if ref.Name() == g.ref.Name() { // of what is to be there already, mirrors say nothing
		root, _, err := g.repo.Manifest(ctx, ref.Target())
		return g.repo, root, err
	}
	from, err := g.client.source(ref)
	if err != nil {
		return nil, Descriptor{}, err
	}
	root, _, err := from.Manifest(ctx, ref.Target())
	return from, root, err
}
