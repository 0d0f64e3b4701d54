package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/jsonstream"
)

// Referrers lists the manifests that refer to that of desc: by the API for it,
// or, where the registry has none, from the list under the tag that stands for
// it. Only their digests can be relied on: what registries and other clients
// write of sizes and types is often wrong.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (r *Repository) Referrers(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	found, known, err := r.askReferrers(ctx, desc.Digest)
	if err == nil && !known {
		var raw []byte
		if raw, err = r.referrersList(ctx, desc.Digest); err == nil && raw != nil {
			found, err = readReferrers(bytes.NewReader(raw))
		}
	}
	valid := slices.DeleteFunc(found, func(referrer ocispec.Descriptor) bool { return referrer.Digest.Validate() != nil })
	if n := len(found) - len(valid); n > 0 {
		r.client.warn(fmt.Sprintf("%d entries of the list of what refers to %s@%s have no digest that can be read, and are left out", n, r.name, desc.Digest))
	}
	return valid, r.explain("list what refers to "+r.name+"@"+desc.Digest.String(), err)
}

// askReferrers asks the API for referrers, and reports whether there is one.
func (r *Repository) askReferrers(ctx context.Context, subject digest.Digest) (found []ocispec.Descriptor, known bool, err error) {
	if r.noReferrers.Load() {
		return nil, false, nil
	}
	err = again(ctx, func() error {
		found, known = nil, true
		return r.pages(ctx, "referrers/"+subject.String(), http.Header{"Accept": {ocispec.MediaTypeImageIndex}}, func(resp *http.Response, body io.Reader) error {
			if said, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); said != ocispec.MediaTypeImageIndex {
				known = false // some page for people
				return errEnough
			}
			page, err := readReferrers(body)
			if found = append(found, page...); len(found) > maxReferrers {
				err = bounded("they are more than %d, the most that are listed", maxReferrers)
			}
			return err
		})
	})
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		// What a registry may say that does not know the API.
		known, err = false, nil
	}
	if err == nil && !known {
		r.noReferrers.Store(true)
	}
	return found, known, err
}

// readReferrers reads an index as a list of referrers: of each its digest, and
// the type that it says it has.
func readReferrers(body io.Reader) (found []ocispec.Descriptor, err error) {
	return found, jsonstream.Object(body, func(key string, d *json.Decoder) error {
		if key != "manifests" {
			return jsonstream.Skip(d)
		}
		return jsonstream.List(d, func() error {
			var entry struct {
				MediaType    string        `json:"mediaType"`
				Digest       digest.Digest `json:"digest"`
				ArtifactType string        `json:"artifactType"`
			}
			if err := d.Decode(&entry); err != nil {
				return err
			}
			if len(found) == maxReferrers {
				return bounded("they are more than %d, the most that are listed", maxReferrers)
			}
			mediaType, _, _ := mime.ParseMediaType(entry.MediaType)
			found = append(found, ocispec.Descriptor{MediaType: mediaType, Digest: entry.Digest, ArtifactType: entry.ArtifactType})
			return nil
		})
	})
}

// referrersTag returns the tag under which the list of what refers to a manifest
// is kept for lack of the API.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func referrersTag(subject digest.Digest) string {
	cut := func(s string, most int) string { return s[:min(len(s), most)] }
	return cut(subject.Algorithm().String(), 32) + "-" + cut(subject.Encoded(), 64)
}

// referrersList fetches the list under that tag; nil when there is none.
func (r *Repository) referrersList(ctx context.Context, subject digest.Digest) ([]byte, error) {
	desc, raw, err := r.Find(ctx, referrersTag(subject))
	if errors.Is(err, errdef.ErrNotFound) || err == nil && !artifact.IsIndex(desc) || desc.Digest == subject {
		return nil, nil
	}
	if err != nil {
		err = &explained{err}
	}
	return raw, err
}

// PushManifest sends a manifest or index as the bytes it is, under each of
// tags; with none, under its digest alone. One that refers to another manifest
// can be found by that afterwards, also in a registry without the referrers API.
func (r *Repository) PushManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, tags ...string) error {
	ctx = forWriting(ctx, r.remote.Reference)
	name := func(tag string) string { return r.name + ":" + tag }
	if len(tags) == 0 {
		tags = []string{desc.Digest.String()}
		name = func(d string) string { return r.name + "@" + d }
	}
	referrer := describeReferrer(desc, raw)
	if err := r.mayRefer(ctx, referrer.subject); err != nil {
		return fmt.Errorf("push the manifest to %s: %w", name(tags[0]), err)
	}
	listed := referrer.subject == ""
	for _, tag := range tags {
		header, err := r.putManifest(ctx, desc, raw, tag)
		if lacks(err) {
			return fmt.Errorf("push the manifest to %s: %w: %w", name(tag), ErrLacks, r.client.explain(r.registry(), err))
		}
		if err != nil {
			return r.explain("push the manifest to "+name(tag), r.unknownType(raw, err))
		}
		listed = listed || header.Get("OCI-Subject") != ""
	}
	if !listed {
		if _, known, err := r.askReferrers(ctx, referrer.subject); err != nil || known {
			return r.explain("list what refers to "+r.name+"@"+referrer.subject.String(), err)
		}
		return r.list(ctx, referrer)
	}
	return nil
}

// putManifest sends a manifest under a tag, or the digest that it has.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
func (r *Repository) putManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, tagOrDigest string) (http.Header, error) {
	resp, err := r.request(ctx, http.MethodPut, r.at("manifests/"+tagOrDigest), http.Header{"Content-Type": {desc.MediaType}}, raw)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if got := namedDigest(resp); got != "" && got.Algorithm() == desc.Digest.Algorithm() && got != desc.Digest {
		return nil, bounded("%s stored it as %s, and it is %s", r.registry(), got, desc.Digest)
	}
	return resp.Header, nil
}

// unknownType says of a manifest that was refused by a registry which takes those
// of types that it knows alone, as GitLab and Quay do, that this is why.
func (r *Repository) unknownType(raw []byte, err error) error {
	var doc struct {
		ArtifactType string `json:"artifactType"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
	}
	_ = json.Unmarshal(raw, &doc) // one that cannot be read has no type
	kind := cmp.Or(doc.ArtifactType, doc.Config.MediaType)
	refused := slices.Contains([]int{http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity}, statusOf(err))
	if !refused || lacks(err) || kind == "" || kind == ocispec.MediaTypeImageConfig {
		return err
	}
	return &explained{fmt.Errorf("%w: perhaps this registry takes no artifacts of the type %s; have its operator allow that (of Quay: FEATURE_GENERAL_OCI_SUPPORT), or take another registry",
		r.client.reword(r.registry(), err), oneLine(kind))}
}

// referrer is a manifest as a list of referrers has it.
type referrer struct {
	subject digest.Digest // empty for a manifest that refers to none
	entry   struct {
		MediaType    string            `json:"mediaType"`
		Digest       digest.Digest     `json:"digest"`
		Size         int64             `json:"size"`
		ArtifactType string            `json:"artifactType,omitempty"`
		Annotations  map[string]string `json:"annotations,omitempty"`
	}
}

// describeReferrer reads what a manifest refers to, and what a list says of it:
// its own type and annotations.
func describeReferrer(desc ocispec.Descriptor, raw []byte) (of referrer) {
	var doc struct {
		Subject      *ocispec.Descriptor `json:"subject"`
		ArtifactType string              `json:"artifactType"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(raw, &doc) != nil || doc.Subject == nil || doc.Subject.Digest.Validate() != nil {
		return of // the registry says what is wrong
	}
	of.subject = doc.Subject.Digest
	of.entry.MediaType, of.entry.Digest, of.entry.Size = desc.MediaType, desc.Digest, int64(len(raw))
	of.entry.ArtifactType, of.entry.Annotations = cmp.Or(doc.ArtifactType, doc.Config.MediaType), doc.Annotations
	return of
}

// mayRefer refuses a manifest whose subject the registry finds under the very
// tag where, for lack of the referrers API, the list of referrers would go:
// GitLab does, and writing the list would put it in the subject's place.
func (r *Repository) mayRefer(ctx context.Context, subject digest.Digest) error {
	if subject == "" {
		return nil
	}
	found, err := r.Resolve(ctx, referrersTag(subject))
	if err == nil && found.Digest == subject {
		return errdef.Errorf(errdef.ErrUsage, "it refers to %s, and %s has no place for such references that would not overwrite that; leave them out with: ocipkg copy --no-referrers", subject, r.registry())
	}
	return ctx.Err()
}

// Others may write a list of referrers at the same time, and a registry has the
// last one. A list is read again until it has what was added, at most so often.
const maxListings = 20

// list adds a manifest to the list of what refers to its subject. Who has read
// the list before it was written here may write it afterwards without what was
// added: so it is looked at again when they have had the time for it.
func (r *Repository) list(ctx context.Context, of referrer) error {
	fail := func(err error) error {
		return fmt.Errorf("%w; this is the list of what refers to %s, such as signatures, which the registry has no other place for; leave these out with: ocipkg copy --no-referrers",
			r.explain("push the list to "+r.name+":"+referrersTag(of.subject), err), of.subject)
	}
	for range maxListings {
		began := time.Now()
		raw, err := r.referrersList(ctx, of.subject)
		if err != nil {
			return fail(err)
		}
		longer, err := withReferrer(raw, of)
		if err != nil {
			return fail(err)
		}
		if longer == nil {
			return nil
		}
		desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(longer), Size: int64(len(longer))}
		if _, err := r.putManifest(ctx, desc, longer, referrersTag(of.subject)); err != nil {
			return fail(err)
		}
		if err := pause(ctx, min(max(2*time.Since(began), 20*time.Millisecond), 2*time.Second)); err != nil {
			return err
		}
	}
	return fail(bounded("others write it all the time"))
}

// withReferrer returns a list of referrers with one more; nil when the list, nil
// for none, has it. What else it says stays as it is.
func withReferrer(raw []byte, of referrer) ([]byte, error) {
	list := map[string]json.RawMessage{"schemaVersion": []byte("2"), "mediaType": []byte(`"` + ocispec.MediaTypeImageIndex + `"`)}
	var entries []json.RawMessage
	if raw != nil {
		found, err := readReferrers(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(found, func(other ocispec.Descriptor) bool { return other.Digest == of.entry.Digest }) {
			return nil, nil
		}
		if err := errors.Join(json.Unmarshal(raw, &list), json.Unmarshal(list["manifests"], &entries)); err != nil {
			return nil, err
		}
	}
	entry, err := json.Marshal(of.entry)
	if err != nil {
		return nil, err
	}
	if list["manifests"], err = json.Marshal(append(entries, entry)); err != nil {
		return nil, err
	}
	return json.Marshal(list)
}
