package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Repository is one repository of a registry. It is an [artifact.Resumer].
type Repository struct {
	name   string // registry/repository
	client *Client
	remote *remote.Repository

	gaveParts, oneStream atomic.Bool
	noReferrers          atomic.Bool // the registry has no API for them
}

// InOneStream has blobs fetched from their beginning in one answer from now on:
// a registry may say that it sends the part that was asked for, and send another.
// It tells whether parts were fetched before.
func (r *Repository) InOneStream() bool {
	return r.gaveParts.Load() && !r.oneStream.Swap(true)
}

func (r *Repository) registry() string { return r.remote.Reference.Registry }

// explain adds what was done to an error of doing it.
func (r *Repository) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, r.client.explain(r.registry(), err))
}

// pathOf gives where a repository has the blob or manifest of desc.
func pathOf(desc ocispec.Descriptor) string {
	if slices.Contains(artifact.ManifestTypes, desc.MediaType) {
		return "manifests/" + desc.Digest.String()
	}
	return "blobs/" + desc.Digest.String()
}

// at returns the address of what the repository has at path.
func (r *Repository) at(path string) *url.URL {
	ref := r.remote.Reference
	at := &url.URL{Scheme: "https", Host: ref.Host(), Path: "/v2/" + ref.Repository + "/" + path}
	if r.remote.PlainHTTP {
		at.Scheme = "http"
	}
	return at
}

// ask sends a request for what the repository has at path. An answer that is
// not a success is an error.
func (r *Repository) ask(ctx context.Context, method, path string, header http.Header) (*http.Response, error) {
	return r.request(ctx, method, r.at(path), header, nil)
}

// request sends a request, with a body unless that is nil. An answer that is not
// a success is an error.
func (r *Repository) request(ctx context.Context, method string, at *url.URL, header http.Header, body []byte) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(auth.AppendRepositoryScope(ctx, r.remote.Reference, auth.ActionPull), method, at.String(), content)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	resp, err := r.remote.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]int{http.StatusOK, http.StatusCreated, http.StatusPartialContent}, resp.StatusCode) {
		defer resp.Body.Close()
		return nil, responseError(resp)
	}
	return resp, nil
}

func acceptManifests() http.Header {
	return http.Header{"Accept": {strings.Join(artifact.ManifestTypes, ", ")}}
}

// Writing gives a context for what is asked in the course of a push: it has the
// push's token, and credentials that are refused are the end of it.
func (r *Repository) Writing(ctx context.Context) context.Context {
	return forWriting(ctx, r.remote.Reference)
}

// Resolve asks what a tag stands for, without fetching it where the registry
// tells.
func (r *Repository) Resolve(ctx context.Context, tag string) (ocispec.Descriptor, error) {
	resp, err := r.ask(ctx, http.MethodHead, "manifests/"+tag, acceptManifests())
	if noHead(err) { // or there is none of that tag
		desc, _, getErr := r.Find(ctx, tag)
		if getErr == nil || ctx.Err() != nil || statusOf(err) != http.StatusNotFound {
			return desc, getErr
		}
	}
	if err != nil {
		return ocispec.Descriptor{}, r.explain("look up "+r.name+":"+tag, err)
	}
	resp.Body.Close()
	desc := ocispec.Descriptor{MediaType: mediaType(resp, nil), Digest: namedDigest(resp), Size: resp.ContentLength}
	if desc.Digest == "" || desc.MediaType == "" || desc.Size < 0 {
		desc, _, err = r.Manifest(ctx, tag)
	}
	return desc, err
}

// noHead reports whether an answer to HEAD is one that some servers, and proxies
// before them, give whatever they have: of those a GET tells.
func noHead(err error) bool {
	return slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, statusOf(err))
}

// namedDigest gives the digest that an answer says its content has; empty when
// it does not say, or has one of an algorithm that is not read.
func namedDigest(resp *http.Response) digest.Digest {
	said := resp.Header.Get("Docker-Content-Digest")
	if _, _, ok := reference.SplitDigest(said); !ok {
		return ""
	}
	return digest.Digest(said)
}

// mediaType gives the type of the manifest raw in an answer: what the registry
// says, unless that is none of a manifest, else what the manifest does. It is
// empty when neither is one that is read.
func mediaType(resp *http.Response, raw []byte) string {
	said, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !slices.Contains(artifact.ManifestTypes, said) {
		var doc struct {
			MediaType string `json:"mediaType"`
		}
		_ = json.Unmarshal(raw, &doc) // a broken one has no type
		said = doc.MediaType
	}
	if !slices.Contains(artifact.ManifestTypes, said) {
		return ""
	}
	return said
}

// Manifest fetches the manifest or index that a tag or digest stands for: its
// descriptor and its bytes, which are what the descriptor says. A tag that is
// not there gives an error of kind [errdef.ErrNotFound] that lists those that
// are.
func (r *Repository) Manifest(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, []byte, error) {
	desc, raw, err := r.Find(ctx, tagOrDigest)
	if errors.Is(err, errdef.ErrNotFound) {
		_, name := r.named(tagOrDigest)
		err = r.missing(ctx, name)
	}
	return desc, raw, err
}

// named gives the digest that is asked for, empty for a tag, and the whole name.
func (r *Repository) named(tagOrDigest string) (digest.Digest, string) {
	asked, err := digest.Parse(tagOrDigest)
	if err != nil {
		return "", r.name + ":" + tagOrDigest
	}
	return asked, r.name + "@" + tagOrDigest
}

// Find is [Repository.Manifest] for a place that is one of several: what is not
// there is not looked into.
func (r *Repository) Find(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, []byte, error) {
	asked, name := r.named(tagOrDigest)
	resp, raw, err := r.readManifest(ctx, tagOrDigest)
	if err != nil {
		return ocispec.Descriptor{}, nil, r.explain("fetch "+name, err)
	}
	desc, err := describe(resp, raw, asked, limit.From(ctx))
	if err != nil {
		return ocispec.Descriptor{}, nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	return desc, raw, nil
}

// readManifest fetches a manifest, once more when the connection breaks.
func (r *Repository) readManifest(ctx context.Context, tagOrDigest string) (resp *http.Response, raw []byte, err error) {
	err = again(ctx, func() error {
		resp, err = r.ask(ctx, http.MethodGet, "manifests/"+tagOrDigest, acceptManifests())
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		raw, err = io.ReadAll(io.LimitReader(resp.Body, limit.From(ctx).Manifest+1))
		return err
	})
	return resp, raw, err
}

// describe gives the descriptor of a manifest that was fetched. What counts is
// the digest of the bytes: it must be the one asked for, else the one that the
// registry names, where it names one.
func describe(resp *http.Response, raw []byte, asked digest.Digest, limits limit.Limits) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType(resp, raw), Digest: asked, Size: int64(len(raw))}
	if desc.Digest == "" {
		desc.Digest = namedDigest(resp)
	}
	if desc.Digest == "" {
		desc.Digest = digest.FromBytes(raw)
	}
	switch got := desc.Digest.Algorithm().FromBytes(raw); {
	case int64(len(raw)) > limits.Manifest:
		return desc, limits.Exceeded("manifest", "the manifest has more than %d bytes", limits.Manifest)
	case got != desc.Digest:
		return desc, errdef.Errorf(errdef.ErrVerification, "the registry sent a manifest with the digest %s, not %s; do not use it", got, desc.Digest)
	case desc.MediaType == "":
		return desc, errdef.Errorf(errdef.ErrVerification, "the registry sent %q, which is no manifest or index that is read; check the name", oneLine(resp.Header.Get("Content-Type")))
	}
	return desc, nil
}

// A message about a tag shows some of those that there are, out of so many at
// most.
const (
	shownTags    = 12
	searchedTags = 10_000
)

// missing makes the error for a manifest that is not there, with the tags that
// are, the latest of them in order of name.
func (r *Repository) missing(ctx context.Context, name string) error {
	tags, unknown, err := r.tags(ctx, searchedTags)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || len(tags) == 0 {
		return errdef.Errorf(errdef.ErrNotFound, "fetch %s: it is not in the registry, or not for this account; check the name, or run: ocipkg login %s", name, r.registry())
	}
	more := ""
	if others := len(tags) - shownTags; others > 0 || unknown {
		more = fmt.Sprintf("%d others and ", others)
		if unknown {
			more = "many others and "
		}
		tags = tags[max(others, 0):]
	}
	return errdef.Errorf(errdef.ErrNotFound, "fetch %s: it is not there; %s has the tags %s%s", name, r.name, more, oneLine(strings.Join(tags, ", ")))
}

// Exists tells whether the registry has the blob or manifest of desc.
func (r *Repository) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	resp, err := r.ask(ctx, http.MethodHead, pathOf(desc), nil)
	if noHead(err) { // or it is not there, and in either case to be brought
		return false, nil
	}
	if err != nil {
		return false, r.explain("look for "+desc.Digest.String()+" in "+r.name, err)
	}
	return true, resp.Body.Close()
}
