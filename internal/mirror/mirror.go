package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// Mirrors reads packages by the user's rules. Make one for a process, and share
// it: what cannot be reached is asked once.
type Mirrors struct {
	rules      Rules
	registries *registry.Client
	offline    bool
	warn       func(line string)

	mu   sync.Mutex
	said map[string]bool
	// down is why mirrors are not asked any more: by their names those that could not be reached, and by Source.door
	// those that did not let the user in to a repository, which says nothing of others.
	down map[string]error
}

// New makes the mirrors of some rules, for packages and mirrors in registries.
// Offline, registries are not asked. What goes wrong with a mirror is told to
// warn, once.
func New(rules Rules, registries *registry.Client, offline bool, warn func(line string)) *Mirrors {
	return &Mirrors{rules: rules, registries: registries, offline: offline, warn: warn, said: map[string]bool{}, down: map[string]error{}}
}

// repository is what a repository is in one place.
type repository interface {
	artifact.Fetcher
	Resolve(ctx context.Context, tag string) (ocispec.Descriptor, error)
	Find(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, []byte, error)
	Referrers(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error)
}

// Source reads one repository from its mirrors, and from itself. It is an
// [artifact.Resumer].
type Source struct {
	mirrors *Mirrors
	rule    Rule
	ref     reference.Reference
	origin  *registry.Repository

	mu     sync.Mutex
	places []mirrored // in the order in which they are asked
	had    string     // the name of the mirror that had the manifest; empty for the origin
	used   map[string]bool
}

// mirrored is a mirror of a repository.
type mirrored struct {
	repository
	name string
}

// Source gives the source of a repository. Mirrors that skip names, by the path of
// a layout or the repository of a registry, are left out; nil is none.
func (m *Mirrors) Source(ref reference.Reference, skip func(layout string, repo *registry.Repository) bool) *Source {
	s := &Source{mirrors: m, rule: m.rules.For(ref), ref: ref, origin: m.registries.Repository(ref), used: map[string]bool{}}
	for _, at := range s.rule.At {
		if at.Layout != "" && skip != nil && skip(at.Layout, nil) {
			continue
		}
		if at.Layout != "" {
			s.places = append(s.places, mirrored{&layoutPlace{at, ref}, at.String()})
			continue
		}
		if m.offline {
			continue
		}
		name, err := s.rule.name(at, ref)
		if err != nil {
			m.tell(at.String(), err)
			continue
		}
		if repo := m.registries.Repository(name); skip == nil || !skip("", repo) {
			s.places = append(s.places, mirrored{repo, at.String()})
		}
	}
	return s
}

// Origin gives the repository itself, whoever serves what is in it.
func (s *Source) Origin() *registry.Repository { return s.origin }

// tell warns of a mirror, once.
func (m *Mirrors) tell(mirror string, err error) {
	m.mu.Lock()
	again := m.said[mirror]
	m.said[mirror] = true
	m.mu.Unlock()
	if !again {
		m.warn(fmt.Sprintf("the mirror %s is passed over: %v", mirror, err))
	}
}

// isDown returns why a mirror is not asked; nil when it is.
func (s *Source) isDown(p mirrored) error {
	s.mirrors.mu.Lock()
	defer s.mirrors.mu.Unlock()
	return cmp.Or(s.mirrors.down[p.name], s.mirrors.down[s.door(p)])
}

// door names this repository in a mirror.
func (s *Source) door(p mirrored) string { return p.name + " " + s.ref.Name() }

// failed notes what went wrong with a mirror, and tells whether another place is
// to be asked. That a mirror does not have something is nothing wrong.
func (s *Source) failed(ctx context.Context, p mirrored, err error) (next bool) {
	if ctx.Err() != nil {
		return false
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return true
	}
	s.mirrors.mu.Lock()
	switch {
	case errors.Is(err, errdef.ErrNetwork):
		s.mirrors.down[p.name] = err
	case errors.Is(err, errdef.ErrUnauthorized):
		s.mirrors.down[s.door(p)] = err
	}
	s.mirrors.mu.Unlock()
	s.mirrors.tell(p.name, err)
	return true
}

// ask asks the mirrors, that which had the manifest first, and then the origin,
// until one has what is wanted. Doing says what that is, for the error.
func (s *Source) ask(ctx context.Context, doing string, ask func(p repository) error) error {
	var kinds []error
	for _, p := range s.order() {
		if down := s.isDown(p); down != nil {
			kinds = append(kinds, down)
			continue
		}
		err := ask(p.repository)
		if err == nil {
			s.mu.Lock()
			s.used[p.name] = true
			s.mu.Unlock()
			return nil
		}
		if !s.failed(ctx, p, err) {
			return err
		}
		kinds = append(kinds, err)
	}
	if s.rule.Fallback {
		err := ask(s.origin)
		if s.mirrors.offline && len(kinds) > 0 && errors.Is(err, errdef.ErrNetwork) {
			return fmt.Errorf("%w (the mirrors, %s, do not have it)", err, s.names())
		}
		return err
	}
	if s.mirrors.offline && len(kinds) < len(s.rule.At) {
		kinds = append(kinds, errdef.ErrNetwork)
	}
	kind, why := errdef.ErrNotFound, "do not have it"
	for _, err := range kinds {
		switch {
		case errors.Is(err, errdef.ErrNotFound):
		case !errors.Is(err, errdef.ErrUnauthorized):
			kind, why = errdef.ErrNetwork, "do not have it, or cannot be read"
		case kind != errdef.ErrNetwork:
			kind, why = errdef.ErrUnauthorized, "do not have it, or not for this account"
		}
	}
	return &notAsked{errdef.Errorf(kind, "%s: the mirrors, %s, %s, and falling back to %s is off; put it there, or %s", doing, s.names(), why, s.ref.Registry, s.rule.Off)}
}

// notAsked is the error where mirrors lack what the registry may have.
type notAsked struct{ error }

func (e *notAsked) Unwrap() error { return e.error }

// NotAsked tells of an error that mirrors lack something, and that its own
// registry was not asked, since the rules say so.
func NotAsked(err error) bool {
	var e *notAsked
	return errors.As(err, &e)
}

// order gives the mirrors in the order in which they are asked.
func (s *Source) order() []mirrored {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := slices.Clone(s.places)
	slices.SortStableFunc(places, func(a, b mirrored) int {
		switch {
		case a.name == s.had && b.name != s.had:
			return -1
		case b.name == s.had && a.name != s.had:
			return 1
		}
		return 0
	})
	return places
}

// names lists the mirrors for an error.
func (s *Source) names() string {
	var names []string
	for _, at := range s.rule.At {
		name := at.String()
		if s.mirrors.offline && at.Registry != "" {
			name += " (not asked: offline)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// serves notes that a place has the manifest.
func (s *Source) serves(p repository) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.had = ""
	for _, m := range s.places {
		if m.repository == p {
			s.had = m.name
		}
	}
}

// Resolve gives what a tag stands for.
func (s *Source) Resolve(ctx context.Context, tag string) (desc ocispec.Descriptor, err error) {
	err = s.ask(ctx, "look up "+s.ref.Name()+":"+tag, func(p repository) error {
		desc, err = p.Resolve(ctx, tag)
		return err
	})
	return desc, err
}

// Manifest fetches the manifest or index that a tag or digest stands for, as
// [registry.Repository.Manifest] does.
func (s *Source) Manifest(ctx context.Context, tagOrDigest string) (desc ocispec.Descriptor, raw []byte, err error) {
	separator := ":"
	if _, _, ok := reference.SplitDigest(tagOrDigest); ok {
		separator = "@"
	}
	err = s.ask(ctx, "fetch "+s.ref.Name()+separator+tagOrDigest, func(p repository) error {
		if p == repository(s.origin) {
			desc, raw, err = s.origin.Manifest(ctx, tagOrDigest)
		} else {
			desc, raw, err = p.Find(ctx, tagOrDigest)
		}
		if err == nil {
			s.serves(p)
		}
		return err
	})
	return desc, raw, err
}

// Fetch gives a blob or manifest; whoever reads it verifies it.
func (s *Source) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return s.FetchFrom(ctx, desc, 0)
}

// FetchFrom is Fetch without the first bytes of the blob, which may have come from
// another place.
func (s *Source) FetchFrom(ctx context.Context, desc ocispec.Descriptor, offset int64) (blob io.ReadCloser, err error) {
	err = s.ask(ctx, "fetch "+desc.Digest.String()+" of "+s.ref.Name(), func(p repository) error {
		blob, err = artifact.FetchFrom(ctx, p, desc, offset)
		return err
	})
	return blob, err
}

// InOneStream is [registry.Repository.InOneStream] for all places.
func (s *Source) InOneStream() bool {
	differs := s.origin.InOneStream()
	for _, p := range s.order() {
		differs = artifact.InOneStream(p.repository) || differs
	}
	return differs
}

// Referrers lists what refers to desc, wherever it is. A place that cannot say
// is passed over with a warning, so long as another can.
func (s *Source) Referrers(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	var all []ocispec.Descriptor
	add := func(found []ocispec.Descriptor) {
		for _, referrer := range found {
			if !slices.ContainsFunc(all, func(have ocispec.Descriptor) bool { return have.Digest == referrer.Digest }) {
				all = append(all, referrer)
			}
		}
	}
	answered := false
	for _, p := range s.order() {
		if s.isDown(p) != nil {
			continue
		}
		found, err := p.Referrers(ctx, desc)
		if err == nil {
			answered = true
			add(found)
		} else if !s.failed(ctx, p, err) {
			return nil, err
		}
	}
	if !s.rule.Fallback || s.mirrors.offline && answered {
		return all, nil
	}
	found, err := s.origin.Referrers(ctx, desc)
	if err != nil && answered && ctx.Err() == nil {
		s.mirrors.tell(s.ref.Registry, fmt.Errorf("what refers to packages there, such as signatures, is not known: %w", err))
		return all, nil
	}
	add(found)
	return all, err
}

// Distrust stops asking the mirrors that gave something, after what came of it
// was not what it should be, and tells whether that leaves something to ask.
func (s *Source) Distrust(cause error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.places)
	s.places = slices.DeleteFunc(s.places, func(p mirrored) bool {
		if !s.used[p.name] {
			return false
		}
		s.mirrors.tell(p.name, cause)
		return true
	})
	s.had = ""
	return len(s.places) < before && (len(s.places) > 0 || s.rule.Fallback)
}
