package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/filelock"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Grace is how long what was used, looked up or brought stays, whatever is
// asked for: a build that was told where a package is may still be at it.
const Grace = 24 * time.Hour

// PruneOptions say what is pruned.
type PruneOptions struct {
	// Unused is for how long nobody used what is removed; less than [Grace] is
	// [Grace].
	Unused time.Duration
	// DryRun only tells what would be removed.
	DryRun bool
	// Digests gives the digests that a lock file names, which stay. What it
	// cannot tell must be an error.
	Digests func(lockFile string) ([]string, error)
}

// Prune removes the packages that nobody used for a while, unless a lock file
// names them that is still there, and whatever was there for packages that are
// gone: names, indexes, manifests, configs, notes, and what commands that were
// killed left. It may run beside anything else: what is being fetched or is used
// meanwhile stays.
func Prune(ctx context.Context, in *store.Store, options PruneOptions) (*Removed, error) {
	p := &pruner{
		remover: remover{store: in, dry: options.DryRun, links: links{}},
		unused:  max(options.Unused, Grace),
		now:     time.Now(),
	}
	if err := in.MayWrite(); err != nil && !options.DryRun {
		return &p.removed, err
	}
	var err error
	if p.kept, p.goneRoots, err = readRoots(in, options.Digests); err != nil {
		return &p.removed, err
	}
	err = p.prune(ctx)
	return p.result(), err
}

type pruner struct {
	remover
	unused    time.Duration
	now       time.Time
	kept      map[string]string // digests that lock files name, and which one
	goneRoots []string
}

func (p *pruner) prune(ctx context.Context) error {
	if err := p.pruneLeftovers(); err != nil {
		return err
	}
	c, err := Read(p.store)
	if err != nil {
		return err
	}
	for i := range c.Packages {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.prunePackage(&c.Packages[i]); err != nil {
			return err
		}
	}
	// What is there now, which others may have added to meanwhile.
	var gone []*Package
	if p.dry {
		for _, removed := range p.removed.Packages {
			gone = append(gone, c.byDigest[removed.Digest])
		}
	} else if c, err = Read(p.store); err != nil {
		return err
	}
	rest := c.without(gone, nil)
	if err := p.pruneNames(ctx, rest); err != nil {
		return err
	}
	if err := p.pruneBlobs(ctx, rest.without(nil, p.removed.Names)); err != nil {
		return err
	}
	return p.pruneNotes(rest)
}

// pruneLeftovers removes what commands that were killed left in tmp/.
func (p *pruner) pruneLeftovers() error {
	for _, left := range install.Leftovers(p.store) {
		found, err := measure(p.store.Path("tmp", left))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		p.links.add(found)
		p.removed.Leftovers++
	}
	if !p.dry {
		install.SweepAll(p.store)
	}
	return nil
}

// prunePackage removes a package that nobody used for long enough, unless another
// user has to. Who uses it
// notes that first, and looks then whether it is there; it is taken away first
// here, and looked for the note then. So one of the two sees the other.
func (p *pruner) prunePackage(of *Package) error {
	needed := func() bool { return p.now.Sub(p.lastUsed(of)) < p.unused }
	if p.kept[of.Digest] != "" || needed() {
		return nil
	}
	if p.dry {
		_, err := p.removePackage(of, nil, nil)
		return err
	}
	lock, err := p.store.TryLock(store.LockName(of.Digest), false)
	if errors.Is(err, filelock.ErrLocked) {
		return nil // somebody is at it
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if of.moved = p.moved(of); needed() {
		return nil
	}
	_, err = p.removePackage(of, lock, needed)
	return err
}

// lastUsed gives when a package was last used or brought.
func (p *pruner) lastUsed(of *Package) time.Time {
	used := p.store.LastUsed(of.Digest)
	if of.moved.IsZero() {
		of.moved = p.moved(of)
	}
	if of.moved.After(used) {
		return of.moved
	}
	return used
}

// moved gives when a package came into its place, or was last mended there.
func (p *pruner) moved(of *Package) time.Time {
	info, err := os.Lstat(p.store.PackageDir(of.Digest))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// pruneNames removes the names that stand for nothing, and were not looked up
// lately.
func (p *pruner) pruneNames(ctx context.Context, rest *Catalog) error {
	prune := func(file string) error {
		path := p.store.Path("refs", file)
		return p.removeRef(ctx, file, func(r store.Ref) bool {
			info, err := os.Lstat(path)
			if err != nil || p.now.Sub(info.ModTime()) < Grace || p.now.Sub(r.LookedUp) < Grace {
				return false
			}
			return r.Digest == "" || len(rest.Of(r.Digest)) == 0
		})
	}
	for _, file := range rest.damaged {
		if err := prune(file); err != nil {
			return err
		}
	}
	for _, r := range rest.Refs {
		if len(rest.Of(r.Digest)) > 0 {
			continue
		}
		if err := prune(store.RefFile(r.Name)); err != nil {
			return err
		}
	}
	return nil
}

// pruneBlobs removes the indexes, manifests and configs that nothing needs. A
// young one may be that of a package which is still being fetched.
func (p *pruner) pruneBlobs(ctx context.Context, rest *Catalog) error {
	young := func(info fs.FileInfo) bool { return p.now.Sub(info.ModTime()) < Grace }
	needed := map[string]bool{}
	for _, r := range rest.Refs {
		needed[r.Digest] = true
	}
	var configs map[string]bool // only where it matters
	for _, algorithm := range []string{"sha256", "sha512"} {
		files, err := entries(p.store.Path("blobs", algorithm))
		if err != nil {
			return err
		}
		for _, file := range files {
			digest := algorithm + ":" + file.Name()
			if _, _, ok := reference.SplitDigest(digest); !ok || needed[digest] || rest.byDigest[digest] != nil || p.kept[digest] != "" {
				continue
			}
			if info, err := file.Info(); err != nil || young(info) {
				continue
			}
			if configs == nil {
				configs = rest.configs()
			}
			if configs[digest] || len(rest.Of(digest)) > 0 {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.removeBlob(ctx, digest, young); err != nil {
				return err
			}
		}
	}
	return nil
}

// pruneNotes removes notes about packages and lock files that are gone.
func (p *pruner) pruneNotes(rest *Catalog) error {
	if err := p.removeLayerNotes(rest); err != nil {
		return err
	}
	have := make(map[string]bool, len(rest.Packages))
	for _, of := range rest.Packages {
		have[store.LockName(of.Digest)] = true
	}
	for _, removed := range p.removed.Packages { // theirs went with them
		have[store.LockName(removed.Digest)] = true
	}
	notes, err := entries(p.store.Path("used"))
	if err != nil {
		return err
	}
	for _, note := range notes {
		if have[note.Name()] {
			continue
		}
		// A young one may be that of a package which comes back.
		if info, err := note.Info(); err != nil || p.now.Sub(info.ModTime()) < Grace {
			continue
		}
		if err := p.removeNote("used", note.Name()); err != nil {
			return err
		}
	}
	if err := p.prunePushed(); err != nil {
		return err
	}
	for _, root := range p.goneRoots {
		if gone, err := isGone(root); err != nil || !gone {
			continue
		}
		if err := p.removeNote("roots", store.RootFile(root)); err != nil {
			return err
		}
	}
	return nil
}

// prunePushed forgets what was pushed to repositories that nothing was pushed to
// for as long as packages stay that nobody uses.
func (p *pruner) prunePushed() error {
	repositories, err := entries(p.store.Path("pushed"))
	if err != nil {
		return err
	}
	for _, repository := range repositories {
		dir := filepath.Join("pushed", repository.Name())
		memories, err := entries(p.store.Path(dir))
		if err != nil {
			return err
		}
		for _, memory := range memories {
			if info, err := memory.Info(); err != nil || p.now.Sub(info.ModTime()) < p.unused {
				continue
			}
			if err := p.removeNote(dir, memory.Name()); err != nil {
				return err
			}
		}
		if !p.dry {
			_ = os.Remove(p.store.Path(dir)) // unless there is something in it
		}
	}
	return nil
}

// configs gives the digests of the configs of all packages.
func (c *Catalog) configs() map[string]bool {
	of := make([]string, len(c.Packages))
	each(len(of), func(i int) { of[i] = configOf(blobPath(c.Store, c.Packages[i].Digest)) })
	configs := make(map[string]bool, len(of))
	for _, digest := range of {
		configs[digest] = true
	}
	return configs
}

// configOf gives the digest of the config that a manifest names; empty when it
// cannot be read.
func configOf(manifest string) string {
	var doc struct {
		Config struct {
			Digest string `json:"digest"`
		} `json:"config"`
	}
	raw, err := os.ReadFile(manifest)
	if err != nil || json.Unmarshal(raw, &doc) != nil {
		return ""
	}
	if _, _, ok := reference.SplitDigest(doc.Config.Digest); !ok {
		return ""
	}
	return doc.Config.Digest
}

// ParseAge reads how long something was not used: a duration as Go writes it, or
// a number of days or weeks as in "30d" and "2w". The error is of kind
// [errdef.ErrUsage].
func ParseAge(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		number, ok := strings.CutSuffix(text, suffix)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(number, 10, 32); err == nil && n <= uint64(math.MaxInt64/unit) {
			return time.Duration(n) * unit, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d, nil
	}
	return 0, errdef.Errorf(errdef.ErrUsage, "%q is no time for which a package was not used; write it as 30d, 2w or 36h", text)
}

// DigestsIn gives every digest that a text has, whatever else it has: from a
// lock file that is damaged, or of a later version, this protects more, and not
// less.
func DigestsIn(text string) []string {
	var digests []string
	for _, algorithm := range []struct {
		prefix string
		digits int
	}{{"sha256:", 64}, {"sha512:", 128}} {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, algorithm.prefix)
			if !ok {
				break
			}
			rest = after
			if len(after) < algorithm.digits {
				continue
			}
			digits := strings.ToLower(after[:algorithm.digits])
			if strings.Trim(digits, "0123456789abcdef") == "" {
				digests = append(digests, algorithm.prefix+digits)
			}
		}
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}
