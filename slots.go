package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// slots are how writers of one index tell each other what there is: for each
// platform a tag on the manifest of its package. Registries cannot write an
// index on the condition that it is still the one that was read, but a tag of
// one's own nobody else overwrites.
type slots struct {
	client *Client
	repo   *registry.Repository
	tag    string // of the index
	own    filled
	taken  bool                              // own is in its slots
	known  map[digest.Digest]artifact.Member // what was read, by the manifest's digest
}

// filled is what there is for each slot; see [artifact.Member.Slot].
type filled map[string]artifact.Member

// digests gives what decides on the index.
func (f filled) digests() map[string]digest.Digest {
	digests := map[string]digest.Digest{}
	for slot, m := range f {
		digests[slot] = m.Descriptor.Digest
	}
	return digests
}

// put fills a slot, which must be free or have the same package.
func (f filled) put(m artifact.Member) error {
	slot, err := m.Slot()
	if err != nil {
		return err
	}
	if other, twice := f[slot]; twice && other.Descriptor.Digest != m.Descriptor.Digest {
		return errdef.Errorf(errdef.ErrUsage, "%s (%s) and %s (%s) are for the same platform, %s, and to what is added each platform has one package; for several run: ocipkg index create",
			other, other.Platform, m, m.Platform, slot)
	}
	f[slot] = m
	return nil
}

// slotMark stands in a tag between that of the index and the slot.
const slotMark = "--"

const maxTag = 128 // characters, of the distribution specification

// newSlots makes the slots of an index for a writer of these packages.
func newSlots(c *Client, repo *registry.Repository, tag string, own []artifact.Member) (*slots, error) {
	s := &slots{client: c, repo: repo, tag: tag, own: filled{}, known: map[digest.Digest]artifact.Member{}}
	for _, m := range own {
		if m.Foreign {
			return nil, errdef.Errorf(errdef.ErrUsage, "%s does not say itself what it is for (%s): only the index that it is in does, and other writers would not know; use: ocipkg index create", m, m.Platform)
		}
		if err := s.own.put(m); err != nil {
			return nil, err
		}
		s.known[m.Descriptor.Digest] = m
	}
	for slot := range s.own {
		if tag := s.tagOf(slot); len(tag) > maxTag {
			return nil, errdef.Errorf(errdef.ErrUsage, "the tag %s, by which others that add to the index find the package, would have more than %d characters; choose a shorter one", tag, maxTag)
		}
	}
	return s, nil
}

func (s *slots) tagOf(slot string) string { return s.tag + slotMark + slot }

// maxRounds bounds how often the index is written. Each time but the first takes
// another writer that has come in between.
const maxRounds = 1000

// add puts this writer's packages, which the repository has, into their slots,
// and writes the index of all slots until none has changed meanwhile.
//
// So none is lost: each package is in its slot before its writer reads the
// slots. Of the writer that writes last, what it read before and after were the
// same; what was put into a slot later has a writer that has yet to write.
func (s *slots) add(ctx context.Context) (Descriptor, error) {
	ctx = s.repo.Writing(ctx)
	before, err := s.read(ctx)
	if err != nil {
		return Descriptor{}, err
	}
	for _, slot := range slices.Sorted(maps.Keys(s.own)) {
		m := s.own[slot]
		if other, ok := before[slot]; ok && other.Descriptor.Digest != m.Descriptor.Digest {
			s.client.warn(fmt.Sprintf("%s takes the place of %s, which was there for %s", m.Descriptor.Digest, other.Descriptor.Digest, other.Platform))
		}
		raw, err := artifact.ReadManifest(ctx, s.repo, m.Descriptor)
		if err != nil {
			return Descriptor{}, err
		}
		if err := s.repo.PushManifest(ctx, m.Descriptor, raw, s.tagOf(slot)); err != nil {
			return Descriptor{}, err
		}
	}
	s.taken = true
	if before, err = s.read(ctx); err != nil {
		return Descriptor{}, err
	}
	for range maxRounds {
		desc, err := s.write(ctx, before)
		if err != nil {
			return desc, err
		}
		after, err := s.read(ctx)
		if err != nil {
			return desc, err
		}
		current, err := s.repo.Resolve(ctx, s.tag)
		if err != nil {
			return desc, err
		}
		if current.Digest == desc.Digest && maps.Equal(before.digests(), after.digests()) {
			return desc, nil
		}
		before = after
	}
	return Descriptor{}, errdef.Errorf(errdef.ErrNetwork, "others have changed it %d times meanwhile; try again later", maxRounds)
}

// read gives what there is: what is in the slots, and of what the tag stands for
// now, since it was published otherwise, that for which there is no slot.
func (s *slots) read(ctx context.Context) (filled, error) {
	tags, err := s.repo.Tags(ctx)
	if err != nil && (s.taken || !errors.Is(err, errdef.ErrNotFound)) { // without a tag there is no list of them
		return nil, err
	}
	for slot := range s.own { // a list of tags may lag behind
		tags = append(tags, s.tagOf(slot))
	}
	slices.Sort(tags)
	all, err := s.published(ctx)
	if err != nil {
		return nil, err
	}
	for _, tag := range slices.Compact(tags) {
		slot, m, err := s.tagged(ctx, tag)
		if err != nil {
			return nil, err
		}
		if slot != "" {
			all[slot] = m
		}
	}
	return all, nil
}

// tagged gives the slot that a tag is, and the package in it; the slot is empty
// when the tag is none, or is retired.
func (s *slots) tagged(ctx context.Context, tag string) (slot string, m artifact.Member, err error) {
	slot, ok := strings.CutPrefix(tag, s.tag+slotMark)
	if !ok {
		return "", m, nil
	}
	desc, err := s.repo.Resolve(ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) || err == nil && artifact.IsIndex(desc) {
		return "", m, nil // removed meanwhile, or retired
	}
	if err != nil {
		return "", m, err
	}
	if m, err = s.member(ctx, desc); err != nil {
		return "", m, err
	}
	if is, err := m.Slot(); err != nil || is != slot {
		return "", m, nil // a name of somebody's own
	}
	return slot, m, nil
}

// retireSlots empties the slots of root, an index under a tag, before something
// else, of the digest next, is published under that: what they have is not to come
// back when somebody adds to it. Registries may refuse to delete a tag, so that an
// empty index takes the package's place. It asks nothing when root is no index.
func (c *Client) retireSlots(ctx context.Context, repo *registry.Repository, tag string, root Descriptor, next digest.Digest) error {
	ctx = repo.Writing(ctx)
	if !artifact.IsIndex(root) || root.Digest == next {
		return nil
	}
	s := &slots{client: c, repo: repo, tag: tag, known: map[digest.Digest]artifact.Member{}}
	tags, err := repo.Tags(ctx)
	if err != nil {
		return ctx.Err() // without a list of tags nobody could have added to it
	}
	desc, raw, err := artifact.BuildIndex(nil)
	if err != nil {
		return err
	}
	for _, name := range tags {
		slot, _, err := s.tagged(ctx, name)
		if err != nil {
			return err
		}
		if slot == "" {
			continue
		}
		if err := repo.PushManifest(ctx, desc, raw, name); err != nil {
			return err
		}
	}
	return nil
}

// published gives what the tag of the index stands for now.
func (s *slots) published(ctx context.Context) (filled, error) {
	all := filled{}
	root, raw, err := s.repo.Manifest(ctx, s.tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	descs := []Descriptor{root}
	if artifact.IsIndex(root) {
		var others int
		if descs, others, err = packagesOf(ctx, root, raw); err != nil {
			return nil, err
		}
		if !s.taken { // the first time that it is read
			s.client.warnOfOthers(root, others)
		}
	}
	for _, desc := range descs {
		m, err := s.member(ctx, desc)
		if err != nil {
			return nil, err
		}
		if err := all.put(m); err != nil {
			return nil, fmt.Errorf("what is there, %s: %w", root.Digest, err)
		}
	}
	return all, nil
}

// member reads the package that desc names: an entry of an index, or a bare
// manifest.
func (s *slots) member(ctx context.Context, desc Descriptor) (artifact.Member, error) {
	if m, ok := s.known[desc.Digest]; ok {
		return m, nil
	}
	pkg, err := artifact.Open(ctx, s.repo, desc)
	if err != nil {
		return artifact.Member{}, err
	}
	m := artifact.MemberOf(pkg, desc)
	s.known[desc.Digest] = m
	return m, nil
}

// write writes the index, unless it is what the tag stands for.
func (s *slots) write(ctx context.Context, all filled) (Descriptor, error) {
	desc, raw, err := artifact.BuildIndex(slices.Collect(maps.Values(all)))
	if err != nil {
		return desc, err
	}
	if current, err := s.repo.Resolve(ctx, s.tag); err == nil && current.Digest == desc.Digest {
		return desc, nil
	}
	return desc, s.repo.PushManifest(ctx, desc, raw, s.tag)
}
