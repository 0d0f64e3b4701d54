package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/platform"
)

// ReadLayer gives a layer's bytes to use, which reads them to their end, and
// verifies them. Where use could not make sense of them because they are not
// the layer's, that is the error.
func ReadLayer(ctx context.Context, from Fetcher, l Layer, use func(io.Reader) error) error {
	blob, err := from.Fetch(ctx, l.Descriptor)
	if err != nil {
		return err
	}
	defer blob.Close()
	r, verify := Verified(layer.Until(ctx, blob), l.Descriptor)
	err = use(r)
	if err == nil {
		return verify()
	}
	if ctx.Err() != nil || isLocal(err) || errors.Is(err, errdef.ErrVerification) {
		return err
	}
	switch _, readErr := io.Copy(io.Discard, r); {
	case readErr == io.ErrUnexpectedEOF: // as the verifier has it; a broken connection says more
		return errdef.Errorf(errdef.ErrVerification, "%s is cut short: it should have %d bytes", l.Descriptor.Digest, l.Descriptor.Size)
	case readErr != nil:
		return err
	}
	if wrong := verify(); wrong != nil {
		return wrong
	}
	return errdef.Mark(errdef.ErrVerification, err)
}

// isLocal tells whether an error is about this machine's files, such as a full
// disk: then the bytes are not to blame.
func isLocal(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// Annotations gives those of the manifest. A package by Rust ocipkg 0.2 has
// none there, and keeps them as labels in its image config.
func (p *Package) Annotations() map[string]string {
	if len(p.Manifest.Annotations) > 0 || p.IsNative() {
		return p.Manifest.Annotations
	}
	return p.image().Config.Labels
}

// ImagePlatform gives the platform that an image config names; the zero value
// when the package is no image.
func (p *Package) ImagePlatform() platform.Platform {
	of := p.image().Platform
	return PlatformOf(ocispec.Descriptor{Platform: &of})
}

// image reads the config as that of a container image; one that is none has
// nothing to say.
func (p *Package) image() ocispec.Image {
	var image ocispec.Image
	if p.IsNative() || json.Unmarshal(p.RawConfig, &image) != nil {
		return ocispec.Image{}
	}
	return image
}
