// Package hostile makes packages that must not be trusted, for tests: archives
// and manifests that lie, disagree with themselves, lead out of where they are
// unpacked, or become more than anybody has room for. Each is a [Case] that
// says what must come of it. It serves the tests of the commands, of the library
// and the end-to-end tests, and is part of no program.
package hostile

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Content is what a registry or a layout holds under one name.
type Content struct {
	// Root is what the name stands for.
	Root ocispec.Descriptor
	// Type is what a registry says that the root is; empty is its media type.
	Type string

	blobs map[digest.Digest][]byte // what is given for a digest, whether it has that or not
	types map[digest.Digest]string
	// endless lets the registry say nothing of how long a blob is.
	endless bool
}

func newContent() *Content {
	return &Content{blobs: map[digest.Digest][]byte{}, types: map[digest.Digest]string{}}
}

// add adds a blob, and describes it.
func (c *Content) add(mediaType string, raw []byte) ocispec.Descriptor {
	return c.addAs(digest.SHA256, mediaType, raw)
}

func (c *Content) addAs(algorithm digest.Algorithm, mediaType string, raw []byte) ocispec.Descriptor {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: algorithm.FromBytes(raw), Size: int64(len(raw))}
	c.blobs[desc.Digest], c.types[desc.Digest] = raw, mediaType
	return desc
}

// ServeHTTP answers as a registry that has the content in each of its
// repositories, under each tag.
func (c *Content) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, after, ok := strings.Cut(r.URL.Path, "/manifests/")
	if !ok {
		_, after, ok = strings.Cut(r.URL.Path, "/blobs/")
	}
	d := digest.Digest(after)
	if ok && d.Validate() != nil {
		d = c.Root.Digest
	}
	raw, has := c.blobs[d]
	if !ok || !has {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", c.types[d])
	if d == c.Root.Digest && c.Type != "" {
		w.Header().Set("Content-Type", c.Type)
	}
	w.Header().Set("Docker-Content-Digest", d.String())
	if !c.endless {
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		if flusher, ok := w.(http.Flusher); ok && c.endless {
			flusher.Flush()
		}
		_, _ = w.Write(raw) // whoever has enough closes the connection
	}
}

// files gives the files of the layout that has the content under a name.
func (c *Content) files(name string) (map[string][]byte, error) {
	root := c.Root
	root.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []ocispec.Descriptor{root}})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"index.json": index, "oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	for d, raw := range c.blobs {
		files["blobs/"+d.Algorithm().String()+"/"+d.Encoded()] = raw
	}
	return files, nil
}

// WriteDir makes the layout directory dir, which must not be there.
func (c *Content) WriteDir(dir, name string) error {
	files, err := c.files(name)
	for name, raw := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		err = errors.Join(err, os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, raw, 0o644))
	}
	return err
}

// WriteArchive makes the oci-archive path.
func (c *Content) WriteArchive(path, name string) error {
	files, err := c.files(name)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, raw := range files {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(raw))}))
		_, write := w.Write(raw)
		err = errors.Join(err, write)
	}
	return errors.Join(err, w.Close(), os.WriteFile(path, out.Bytes(), 0o644))
}
