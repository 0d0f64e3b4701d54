package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/platform"
)

// Ref is what a name stood for when it was last looked up.
type Ref struct {
	Name string `json:"name"` // whole: registry/repository:tag
	// Digest is that of the manifest, or of the index of all platforms.
	Digest   string    `json:"digest"`
	LookedUp time.Time `json:"lookedUp"`
}

// RefPath gives the file that notes what a name stands for, which need not be
// there: a build that depends on the name watches it.
func (s *Store) RefPath(ref reference.Reference) string { return s.Path("refs", RefFile(ref.String())) }

// RefFile is the name in refs/ of the file that is about a whole name.
func RefFile(name string) string {
	hash := sha256.Sum256([]byte(name))
	return hex.EncodeToString(hash[:])
}

// Ref gives what is noted of a name. When nothing is, the error is of kind
// [errdef.ErrNotFound].
func (s *Store) Ref(ref reference.Reference) (Ref, error) { return ReadRef(s.RefPath(ref)) }

// ReadRef is [Store.Ref] for the file that has the note.
func ReadRef(path string) (Ref, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Ref{}, errdef.Errorf(errdef.ErrNotFound, "the name is not in the store")
	}
	if err != nil {
		return Ref{}, err
	}
	var r Ref
	if err := json.Unmarshal(raw, &r); err != nil {
		return Ref{}, errdef.Errorf(errdef.ErrNotFound, "what the store noted of the name is damaged")
	}
	if _, _, ok := reference.SplitDigest(r.Digest); !ok {
		return Ref{}, errdef.Errorf(errdef.ErrNotFound, "what the store noted of the name is damaged")
	}
	return r, nil
}

// RefLockName gives the name of the lock on the file that notes a name.
func RefLockName(path string) string { return "ref-" + filepath.Base(path) }

// SetRef notes that a name stands for the manifest or index of that digest. In a
// store that is read-only, which says so already, the time of it is not noted.
func (s *Store) SetRef(ctx context.Context, ref reference.Reference, digest string) error {
	raw, err := json.Marshal(Ref{Name: ref.String(), Digest: digest, LookedUp: time.Now().UTC()})
	if err != nil {
		return err
	}
	path := s.RefPath(ref)
	lock, err := s.Lock(ctx, RefLockName(path), false)
	if err == nil {
		defer lock.Release()
		err = s.WriteFile(lock, path, raw)
	}
	if err != nil && isRefused(err) {
		if have, readErr := ReadRef(path); readErr == nil && have.Digest == digest {
			return nil
		}
	}
	return s.Explain(err)
}

// Refs lists the names in the store, in no order.
func (s *Store) Refs() ([]Ref, error) {
	entries, err := os.ReadDir(s.Path("refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var refs []Ref
	for _, entry := range entries {
		if r, err := ReadRef(s.Path("refs", entry.Name())); err == nil {
			refs = append(refs, r)
		}
	}
	return refs, nil
}

// Packages lists the digests of the packages in the store, in no order.
func (s *Store) Packages() ([]string, error) {
	var digests []string
	for _, algorithm := range []string{"sha256", "sha512"} {
		entries, err := os.ReadDir(s.Path("packages", algorithm))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			digest := algorithm + ":" + entry.Name()
			if _, _, ok := reference.SplitDigest(digest); ok {
				digests = append(digests, digest)
			}
		}
	}
	return digests, nil
}

// Lookup gives the package that a name stands for on a target, from what the
// store has. What it does not have gives an error of kind
// [errdef.ErrNotFound]. The target is asked for only where there is a choice.
func (s *Store) Lookup(ref reference.Reference, target func() (platform.Platform, error)) (*Package, error) {
	if ref.Digest != "" {
		return s.LookupDigest(ref.Digest, target)
	}
	r, err := s.Ref(ref)
	for _, shared := range s.shared {
		if errors.Is(err, errdef.ErrNotFound) {
			r, err = shared.Ref(ref)
		}
	}
	if err != nil {
		return nil, err
	}
	return s.LookupDigest(r.Digest, target)
}

// LookupDigest is [Store.Lookup] for the digest of a package or an index.
func (s *Store) LookupDigest(digest string, target func() (platform.Platform, error)) (*Package, error) {
	p, err := s.Package(digest)
	if !errors.Is(err, errdef.ErrNotFound) {
		return p, err
	}
	candidates, platforms := s.Index(digest)
	for _, shared := range s.shared {
		if len(candidates) == 0 {
			candidates, platforms = shared.Index(digest)
		}
	}
	if len(candidates) == 0 {
		return nil, err
	}
	on, err := target()
	if err != nil {
		return nil, err
	}
	best, reasons := platform.Best(on, platforms)
	if best < 0 {
		return nil, platform.Unfit(on, "the index "+digest, platforms, reasons)
	}
	return s.Package(candidates[best])
}

const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

// Index reads a stored image index: the digests and platforms of its packages.
// There are none when it is not there, is no index, or is damaged.
func (s *Store) Index(digest string) (candidates []string, platforms []platform.Platform) {
	algorithm, encoded, _ := reference.SplitDigest(digest)
	raw, err := os.ReadFile(s.Path("blobs", algorithm, encoded))
	if err != nil || algorithm == "sha256" && fmt.Sprintf("%x", sha256.Sum256(raw)) != encoded {
		return nil, nil
	}
	var doc struct {
		Manifests []struct {
			MediaType   string            `json:"mediaType"`
			Digest      string            `json:"digest"`
			Platform    *platform.OCI     `json:"platform"`
			Annotations map[string]string `json:"annotations"`
		} `json:"manifests"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return nil, nil
	}
	var said map[string]platform.Platform // read when it is first wanted
	for _, m := range doc.Manifests {
		_, _, ok := reference.SplitDigest(m.Digest)
		if !ok || m.MediaType != ociManifest && m.MediaType != dockerManifest || m.Annotations["vnd.docker.reference.type"] != "" {
			continue // another index, or the provenance of an image
		}
		candidates = append(candidates, m.Digest)
		if m.Platform == nil {
			if said == nil {
				said = s.notedPlatforms(digest)
			}
			m.Platform = &platform.OCI{}
			if p, ok := said[m.Digest]; ok {
				platforms = append(platforms, p)
				continue
			}
			if p, err := s.Package(m.Digest); err == nil {
				platforms = append(platforms, p.Platform)
				continue
			}
		}
		platforms = append(platforms, platform.FromOCI(*m.Platform, m.Annotations))
	}
	return candidates, platforms
}

// PlatformsSuffix ends the name of the note beside a stored index that says what
// packages are for of which only their configs say it.
const PlatformsSuffix = ".platforms"

// NotePlatforms notes of the index of that digest what packages are for, by their
// digests, which [Store.Index] gives for those that have no platform there.
func (s *Store) NotePlatforms(ctx context.Context, digest string, platforms map[string]platform.Platform) error {
	algorithm, encoded, _ := reference.SplitDigest(digest)
	if maps.Equal(s.notedPlatforms(digest), platforms) {
		return nil
	}
	raw, err := json.Marshal(platforms)
	if err != nil {
		return err
	}
	lock, err := s.Lock(ctx, LockName(digest), false)
	if err == nil {
		defer lock.Release()
		err = s.WriteFile(lock, s.Path("blobs", algorithm, encoded+PlatformsSuffix), raw)
	}
	return s.Explain(err)
}

// notedPlatforms reads what [Store.NotePlatforms] wrote; nothing when it is not
// there, or damaged.
func (s *Store) notedPlatforms(digest string) map[string]platform.Platform {
	algorithm, encoded, _ := reference.SplitDigest(digest)
	platforms := map[string]platform.Platform{}
	raw, err := os.ReadFile(s.Path("blobs", algorithm, encoded+PlatformsSuffix))
	if err != nil || json.Unmarshal(raw, &platforms) != nil {
		return map[string]platform.Platform{}
	}
	return platforms
}

// PackagesOf lists the packages in the store, or a shared one, that a digest stands
// for: the package itself, or those of an index.
func (s *Store) PackagesOf(digest string) []string {
	for _, in := range append([]*Store{s}, s.shared...) {
		if _, err := os.Stat(in.PackageDir(digest)); err == nil {
			return []string{digest}
		}
		var have []string
		candidates, _ := in.Index(digest)
		for _, candidate := range candidates {
			if _, err := os.Stat(in.PackageDir(candidate)); err == nil {
				have = append(have, candidate)
			}
		}
		if len(have) > 0 {
			return have
		}
	}
	return nil
}
