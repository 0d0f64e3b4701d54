package ocipkg

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/platform"
)

// InspectOptions say what is looked at. The zero value looks at the only
// package there is, or at the list of those of an index.
type InspectOptions struct {
	// Platform chooses the package of an index that fits this target, as
	// os/architecture or a target triple; empty shows the index itself.
	Platform string
	// Verify reads every layer and checks it against its digest.
	Verify bool
}

// Inspection is what a layout or a registry holds under one name.
type Inspection struct {
	Source     string     `json:"source"`
	Name       string     `json:"name,omitempty"` // that a layout carries, or the registry's
	Descriptor Descriptor `json:"descriptor"`
	// Annotations are those of the manifest or index; of a package by Rust
	// ocipkg 0.2, the labels of its config.
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    Platform          `json:"platform"`
	// Size is that of all layers, compressed, in bytes.
	Size   int64        `json:"size"`
	Layers []Descriptor `json:"layers,omitempty"`
	// Files is the content of a package, sorted by path.
	Files []FileInfo `json:"files,omitempty"`
	// Packages are those of an index; empty for a package.
	Packages []IndexEntry `json:"packages,omitempty"`
	// CPS describes how the package is linked; nil when it does not say.
	CPS json.RawMessage `json:"cps,omitempty"`
}

// FileInfo is a file of a package. An empty directory's path ends in a slash.
type FileInfo struct {
	Path   string        `json:"path"`
	Size   int64         `json:"size"` // bytes
	Mode   string        `json:"mode"` // octal, such as 0644
	Target string        `json:"target,omitempty"`
	Digest digest.Digest `json:"digest,omitempty"` // where it is known
}

// IndexEntry is a package of an index.
type IndexEntry struct {
	Digest   digest.Digest `json:"digest"`
	Platform Platform      `json:"platform"`
	// Size is that of all layers, compressed, in bytes.
	Size int64 `json:"size"`
	// Target is the target triple that it was built for, where its producer
	// gave one.
	Target string `json:"target,omitempty"`
}

// Inspect says what source holds: a layout, or a name in a registry. It stores
// nothing.
func (c *Client) Inspect(ctx context.Context, source string, options InspectOptions) (*Inspection, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	in, err := c.inspect(ctx, source, options)
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", source, err)
	}
	return in, nil
}

func (c *Client) inspect(ctx context.Context, source string, options InspectOptions) (*Inspection, error) {
	if isDir(source) {
		return nil, errdef.Errorf(errdef.ErrUsage, "it is a directory of files, and no package yet; make one with: ocipkg pack %s OUTPUT", source)
	}
	if isLayout(source) {
		l, root, err := openLayout(ctx, source, c.warn)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		return look(ctx, l, root, &Inspection{Source: source, Name: artifact.Name(root)}, options)
	}
	ref, err := c.named(source)
	if err != nil {
		return nil, err
	}
	from, err := c.source(ref)
	if err != nil {
		return nil, err
	}
	root, _, err := from.Manifest(ctx, ref.Target())
	if err != nil {
		return nil, err
	}
	return look(ctx, from, root, &Inspection{Source: source, Name: ref.String()}, options)
}

// look fills in what the manifest or index root says.
func look(ctx context.Context, from artifact.Fetcher, root Descriptor, in *Inspection, options InspectOptions) (*Inspection, error) {
	if artifact.IsIndex(root) {
		if options.Platform == "" {
			return in, in.fillIndex(ctx, from, root, options)
		}
		target, err := platform.Target(options.Platform)
		if err != nil {
			return nil, err
		}
		chosen, err := artifact.Resolve(ctx, from, root, target)
		if err != nil {
			return nil, err
		}
		in.Platform = artifact.PlatformOf(chosen)
		root = chosen
	}
	return in, in.fillPackage(ctx, from, root, options)
}

func (in *Inspection) fillIndex(ctx context.Context, from artifact.Fetcher, root Descriptor, options InspectOptions) error {
	in.Descriptor = bare(root)
	raw, err := artifact.ReadManifest(ctx, from, root)
	if err != nil {
		return err
	}
	index, err := artifact.ParseIndex(ctx, raw)
	if err != nil {
		return err
	}
	in.Annotations = index.Annotations
	if _, err := artifact.Complete(ctx, from, &index); err != nil {
		return err
	}
	candidates := artifact.Candidates(index)
	in.Packages = make([]IndexEntry, len(candidates))
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(manifestsAtOnce)
	for i, candidate := range candidates {
		workers.Go(func() (err error) {
			in.Packages[i], err = inspectEntry(ctx, from, candidate, options.Verify)
			return err
		})
	}
	return workers.Wait()
}

const manifestsAtOnce = 8 // small requests

// inspectEntry looks at a package of an index.
func inspectEntry(ctx context.Context, from artifact.Fetcher, candidate artifact.Candidate, verify bool) (IndexEntry, error) {
	desc := candidate.Descriptor
	entry := IndexEntry{Digest: desc.Digest, Platform: candidate.Platform, Target: desc.Annotations[platform.AnnotationTarget]}
	raw, err := artifact.ReadManifest(ctx, from, desc)
	if err != nil {
		return entry, err
	}
	manifest, err := artifact.ParseManifest(raw)
	if err != nil {
		return entry, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	for _, l := range manifest.Layers {
		entry.Size += l.Size
	}
	if !verify {
		return entry, nil
	}
	pkg, err := artifact.OpenManifest(ctx, from, desc, raw)
	if err != nil {
		return entry, err
	}
	_, err = readFiles(ctx, from, pkg, entry.Platform)
	return entry, err
}

func (in *Inspection) fillPackage(ctx context.Context, from artifact.Fetcher, desc Descriptor, options InspectOptions) error {
	pkg, err := artifact.Open(ctx, from, desc)
	if err != nil {
		return err
	}
	in.Descriptor = bare(desc)
	in.Annotations = pkg.Annotations()
	in.Layers = pkg.Manifest.Layers
	for _, l := range in.Layers {
		in.Size += l.Size
	}
	if !pkg.Config.Platform.IsZero() {
		in.Platform = pkg.Config.Platform
	} else if in.Platform.IsZero() {
		in.Platform = pkg.ImagePlatform()
	}
	if pkg.Config.CPS != nil {
		if in.CPS, err = json.Marshal(pkg.Config.CPS); err != nil {
			return err
		}
	}
	files := pkg.Config.Files
	if options.Verify || !pkg.ListsFiles() {
		read, err := readFiles(ctx, from, pkg, in.Platform)
		if err != nil {
			return err
		}
		if !pkg.ListsFiles() {
			files = read
		}
	}
	in.Files = make([]FileInfo, 0, len(files))
	for _, f := range files {
		in.Files = append(in.Files, FileInfo{Path: f.Path, Size: f.Size, Mode: fmt.Sprintf("%04o", f.Mode.Perm()), Target: f.Target, Digest: f.Digest})
	}
	return nil
}

// bare drops from a descriptor what the index that held it noted.
func bare(desc Descriptor) Descriptor {
	desc.Annotations, desc.Platform = nil, nil
	return desc
}

// readFiles reads and verifies every layer of a package and lists what is in
// them, later layers over earlier ones. Of is the platform that it is for.
func readFiles(ctx context.Context, from artifact.Fetcher, pkg *artifact.Package, of Platform) ([]layer.File, error) {
	layers, err := pkg.Layers()
	if err != nil {
		return nil, err
	}
	listing := layer.NewListing(limit.From(ctx))
	var content [][]layer.File
	if pkg.ListsFiles() {
		if content, err = pkg.Content(layers, listing.Tree); err != nil {
			return nil, err
		}
	}
	for i, l := range layers {
		if content != nil {
			err = artifact.ReadLayer(ctx, from, l, func(r io.Reader) error {
				return listing.Expand(ctx, r, l.Compression, content[i])
			})
		} else {
			err = listLayer(ctx, from, l, listing, i)
		}
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Descriptor.Digest, err)
		}
	}
	if content != nil {
		return pkg.Config.Files, nil
	}
	files := listing.Files()
	return files, layer.CheckNames(files, of.OS)
}

func listLayer(ctx context.Context, from artifact.Fetcher, l artifact.Layer, listing *layer.Listing, number int) error {
	return artifact.ReadLayer(ctx, from, l, func(r io.Reader) error {
		if l.Title != "" {
			return listing.AddFile(l.Title, l.Descriptor.Size, r, number)
		}
		return listing.Apply(ctx, r, l.Compression, number)
	})
}
