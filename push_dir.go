package ocipkg

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// pushDir packs a directory and pushes it under the first name meanwhile: a layer
// is on its way while others are packed. The other names get what is there then.
func (c *Client) pushDir(ctx context.Context, dir string, refs []reference.Reference, options PackOptions) ([]Pushed, error) {
	p := c.pushInto(refs[0])
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
	return c.pushAll(ctx, dir, l, root, refs[1:], []Pushed{p.pushed(refs[0], root)})
}

// pack packs a directory into a temporary layout, and sends each blob as soon as
// it is made.
func (p *push) pack(ctx context.Context, dir, tag string, options PackOptions) (*sourceLayout, Descriptor, error) {
	spec, err := options.describeDir(dir)
	if err != nil {
		return nil, Descriptor{}, err
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
	p.meter = newMeter(p.client.Progress, nil)
	group, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, uploads)
	var l *sourceLayout
	var root Descriptor
	go p.standing(ctx, tag) // to be known by the time the first layer is made
	group.Go(func() (err error) {
		l, root, err = packTemp(ctx, spec, func(w *layout.Writer, desc Descriptor) {
			if slices.Contains(artifact.ManifestTypes, desc.MediaType) || p.arrived[desc.Digest] {
				return
			}
			p.arrived[desc.Digest] = true
			p.meter.expect(desc.Size)
			group.Go(func() error {
				select {
				case <-fit:
				case <-ctx.Done():
					return ctx.Err()
				}
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					return ctx.Err()
				}
				defer func() { <-slots }()
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
	if err := group.Wait(); err != nil {
		if l != nil {
			l.Close()
		}
		return nil, root, err
	}
	return l, root, nil
}

// describeDir lists the files of a directory, and reads off them what they are
// for and how they are linked.
func (o PackOptions) describeDir(dir string) (artifact.Spec, error) {
	files, err := layer.Scan(dir, isExecutable)
	if err != nil {
		return artifact.Spec{}, err
	}
	return o.describe(files)
}

// packTemp packs files into a temporary layout. Made is told of each blob when it
// is there, one at a time.
func packTemp(ctx context.Context, spec artifact.Spec, made func(*layout.Writer, Descriptor)) (*sourceLayout, Descriptor, error) {
	w, err := layout.CreateTemp()
	if err != nil {
		return nil, Descriptor{}, err
	}
	var l *layout.Layout
	root, err := artifact.Build(ctx, &watchedSink{Sink: w, made: func(desc Descriptor) { made(w, desc) }}, spec)
	if err == nil {
		l, err = w.Layout(root)
	}
	if err != nil {
		w.Close()
		return nil, Descriptor{}, err
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
