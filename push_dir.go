package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/pushed"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// pushDir packs a directory and pushes it under the first name meanwhile: a layer
// is on its way while others are packed. The other names get what is there then.
func (c *Client) pushDir(ctx context.Context, dir string, refs []reference.Reference, options PackOptions) ([]Pushed, error) {
	done, err := c.pushDirTo(ctx, dir, refs, options, false)
	if errors.Is(err, registry.ErrLacks) { // what was pushed before is not all there any more
		done, err = c.pushDirTo(ctx, dir, refs, options, true)
	}
	return done, err
}

// pushDirTo is pushDir. Asking takes nothing for granted: all is packed, and the
// registry is asked for each blob.
func (c *Client) pushDirTo(ctx context.Context, dir string, refs []reference.Reference, options PackOptions, asking bool) ([]Pushed, error) {
	p := c.pushInto(refs[0])
	p.asking = asking
	// For another repository the bytes of all layers are wanted.
	if !asking && !slices.ContainsFunc(refs, func(ref reference.Reference) bool { return ref.Name() != refs[0].Name() }) {
		compression, err := layer.ParseCompression(options.Compression)
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", dir, err)
		}
		p.memory = pushed.Open(c.store, pushed.Options{Repository: refs[0].Name(), Dir: dir, Compression: compression, Reread: options.Reread})
	}
	l, root, err := p.pack(ctx, dir, refs[0].Tag, options)
	if err != nil {
		return nil, fmt.Errorf("push %s to %s: %w", dir, refs[0], err)
	}
	defer l.Close()
	if p.standing(ctx, refs[0].Tag).root.Digest != root.Digest {
		if err = p.plan(ctx, l, root); err == nil {
			err = p.send(ctx, refs[0].Tag)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("push %s to %s: %w", dir, refs[0], err)
	}
	if p.memory != nil {
		_ = p.memory.Save(ctx, root.Digest) // without it the next push takes longer
	}
	return c.pushAll(ctx, dir, l, root, refs[1:], []Pushed{p.pushed(refs[0], root)}, refs[0].Name(), asking)
}

// pack packs a directory into a temporary layout, and sends each blob as soon as
// it is made.
func (p *push) pack(ctx context.Context, dir, tag string, options PackOptions) (*sourceLayout, Descriptor, error) {
	spec, err := options.describeDir(dir)
	if err != nil {
		return nil, Descriptor{}, err
	}
	if p.memory != nil {
		spec.Memory = &recollection{p.memory, p, tag}
	}
	// Nothing is sent before the files are known to be fit for a package.
	fit := make(chan struct{})
	complete := spec.Complete
	spec.Complete = func(spec *artifact.Spec) error {
		err := complete(spec)
		if err == nil {
			close(fit)
		}
		return err
	}
	w, err := layout.CreateTemp()
	if err != nil {
		return nil, Descriptor{}, err
	}
	p.meter = newMeter(p.client.Progress, nil)
	group, ctx := errgroup.WithContext(ctx)
	slots := sync.OnceValue(func() chan struct{} {
		p.standing(ctx, tag) // when that is known, so is how far the registry is
		return make(chan struct{}, p.uploads())
	})
	var l *sourceLayout
	var root Descriptor
	go p.standing(ctx, tag) // to be known by the time the first layer is made
	group.Go(func() (err error) {
		l, root, err = packInto(ctx, w, spec, func(desc Descriptor) {
			if slices.Contains(artifact.ManifestTypes, desc.MediaType) || !p.arrives(desc.Digest) {
				return
			}
			p.meter.expect(desc.Size)
			group.Go(func() error {
				select {
				case <-fit:
				case <-ctx.Done():
					return ctx.Err()
				}
				select {
				case slots() <- struct{}{}:
				case <-ctx.Done():
					return ctx.Err()
				}
				defer func() { <-slots() }()
				if p.standing(ctx, tag).has[desc.Digest] {
					p.meter.add(desc.Size)
					return nil
				}
				return p.sendOnce(ctx, desc, nil, func() (io.ReadCloser, *metered, error) {
					blob, err := w.Open(desc)
					if err != nil {
						return nil, nil, err
					}
					// Its digest was made of what was written there a moment ago.
					counted := p.meter.reader(blob)
					return readCloser{counted, blob}, counted, nil
				})
			})
		})
		return err
	})
	if err := group.Wait(); err != nil { // nothing reads what is packed any more
		if l != nil {
			l.Layout.Close()
		}
		w.Close()
		return nil, root, err
	}
	return l, root, nil
}

// arrives notes that a blob is on its way, or there, and tells whether that was
// not known.
func (p *push) arrives(d digest.Digest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.arrived[d]
	p.arrived[d] = true
	return !before
}

// recollection is a memory of what was pushed that knows only what the registry
// still has: the others are packed anew.
type recollection struct {
	*pushed.Memory
	push *push
	tag  string
}

func (r *recollection) Recall(ctx context.Context, files []*layer.File) (layer.Packed, bool) {
	packed, ok := r.Memory.Recall(ctx, files)
	if !ok {
		return packed, false
	}
	if !r.push.standing(ctx, r.tag).has[packed.Digest] {
		there, err := r.push.repo.Exists(r.push.repo.Writing(ctx), Descriptor{Digest: packed.Digest, Size: packed.Size})
		if err != nil || !there {
			return packed, false
		}
	}
	r.push.arrives(packed.Digest)
	r.Remember(files, packed)
	return packed, true
}

// describeDir lists the files of a directory, and says what a package of them is
// to be, as describe does.
func (o PackOptions) describeDir(dir string) (artifact.Spec, error) {
	files, err := layer.Scan(dir, isExecutable)
	if err != nil {
		return artifact.Spec{}, err
	}
	return o.describe(files)
}

// packInto packs files into a temporary layout. Made is told of each blob when it
// is there, one at a time.
func packInto(ctx context.Context, w *layout.Writer, spec artifact.Spec, made func(Descriptor)) (*sourceLayout, Descriptor, error) {
	root, err := artifact.Build(ctx, &watchedSink{Sink: w, made: made}, spec)
	if err != nil {
		return nil, root, err
	}
	l, err := w.Layout(root)
	if err != nil {
		return nil, root, err
	}
	return &sourceLayout{Layout: l, writer: w}, root, nil
}

// watchedSink tells of the blobs that come into a sink, one at a time.
type watchedSink struct {
	artifact.Sink
	made func(Descriptor)
	mu   sync.Mutex
}

func (s *watchedSink) Create() (artifact.Blob, error) {
	blob, err := s.Sink.Create()
	return &watchedBlob{blob, s}, err
}

type watchedBlob struct {
	artifact.Blob
	sink *watchedSink
}

func (b *watchedBlob) Commit(desc Descriptor) error {
	if err := b.Blob.Commit(desc); err != nil {
		return err
	}
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	b.sink.made(desc)
	return nil
}
