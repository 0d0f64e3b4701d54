package ocipkg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

// maxReferring is how far what refers to a package, to that, and so on, is
// followed: a signature of a list of contents takes two.
const maxReferring = 8

// referring is what a transfer takes along since it refers to what else it takes.
// A referrer that cannot be had, or a part of it, does not hold up the rest.
type referring struct {
	planning digest.Digest                     // the referrer whose parts are planned; empty for none
	of       map[digest.Digest]digest.Digest   // the referrer that a manifest is, or is a part of
	about    map[digest.Digest]digest.Digest   // what each referrer refers to
	blobs    map[digest.Digest][]digest.Digest // the referrers that need a blob which nothing else needs
	lost     []lost
}

// lost is a referrer that could not be had.
type lost struct {
	digest digest.Digest
	why    error
}

func newReferring() referring {
	return referring{of: map[digest.Digest]digest.Digest{}, about: map[digest.Digest]digest.Digest{}, blobs: map[digest.Digest][]digest.Digest{}}
}

// lose notes that a referrer cannot be had.
func (r *referring) lose(referrer digest.Digest, why error) {
	if !r.isLost(referrer) {
		r.lost = append(r.lost, lost{referrer, why})
	}
}

func (r *referring) isLost(referrer digest.Digest) bool {
	return slices.ContainsFunc(r.lost, func(l lost) bool { return l.digest == referrer })
}

// leaves reports whether a manifest stays behind: its referrer is lost, or one to
// which that refers.
func (r *referring) leaves(manifest digest.Digest) bool {
	for at := r.of[manifest]; at != ""; at = r.of[r.about[at]] {
		if r.isLost(at) {
			return true
		}
	}
	return false
}

// depth is 1 for what refers to a package, 2 for what refers to that, and so on.
func (r *referring) depth(subject digest.Digest) int {
	n := 1
	for at := r.of[subject]; at != ""; at = r.of[r.about[at]] {
		n++
	}
	return n
}

// err says what is lost; nil when nothing is. Its kind is that of the first.
func (r *referring) err() error {
	if len(r.lost) == 0 {
		return nil
	}
	const shown = 10
	var names []string
	for _, l := range r.lost[:min(len(r.lost), shown)] {
		names = append(names, fmt.Sprintf("%s (%v)", l.digest, l.why))
	}
	if more := len(r.lost) - shown; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	text := fmt.Sprintf("it is copied, but without %s, which refer to it, as signatures do", strings.Join(names, ", "))
	if len(r.lost) == 1 {
		text = fmt.Sprintf("it is copied, but without %s, which refers to it, as a signature does", names[0])
	}
	for _, kind := range []error{ErrNotFound, ErrUnauthorized, ErrVerification, ErrNetwork} {
		if errors.Is(r.lost[0].why, kind) {
			return errdef.Errorf(kind, "%s", text)
		}
	}
	return errors.New(text)
}

// sourceError is an error of reading what is to be sent, as against sending it.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// loseBlob reports whether a transfer goes on without a blob that could not be
// read, since only referrers need it, which are lost then.
func (p *push) loseBlob(blob digest.Digest, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var source *sourceError
	if len(p.referring.blobs[blob]) == 0 || !errors.As(err, &source) {
		return false
	}
	for _, referrer := range p.referring.blobs[blob] {
		p.referring.lose(referrer, source.error)
	}
	return true
}

// planReferrers plans to send what refers to the manifests that are planned, and
// to these in turn, and returns it.
func (p *push) planReferrers(ctx context.Context, from reader) ([]Descriptor, error) {
	p.referring = newReferring()
	var all []Descriptor
	for i := 0; i < len(p.manifests); i++ { // more come meanwhile
		subject := p.manifests[i].desc
		found, err := from.Referrers(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("%w; to copy without what refers to it, such as signatures, give --no-referrers", err)
		}
		for _, desc := range found {
			if p.planned[desc.Digest] || p.referring.isLost(desc.Digest) {
				continue
			}
			referrer, err := p.planReferrer(ctx, from, desc, subject.Digest)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
				p.referring.lose(desc.Digest, err)
			case referrer.Digest != "":
				all = append(all, referrer)
			}
		}
	}
	return all, nil
}

// planReferrer plans to send a manifest that is listed as referring to subject. The
// zero descriptor is that of one which does not.
func (p *push) planReferrer(ctx context.Context, from reader, desc Descriptor, subject digest.Digest) (Descriptor, error) {
	if p.referring.depth(subject) > maxReferring {
		return Descriptor{}, errdef.Errorf(ErrVerification, "it refers to what refers to the package, and so on, more than %d times", maxReferring)
	}
	doc, err := readReferrer(ctx, from, desc)
	if err != nil {
		return Descriptor{}, err
	}
	var refers struct {
		Subject struct {
			Digest digest.Digest `json:"digest"`
		} `json:"subject"`
	}
	if err := json.Unmarshal(doc.raw, &refers); err != nil || refers.Subject.Digest != subject {
		p.client.warn(fmt.Sprintf("%s is listed as referring to %s, and does not: it is left out", desc.Digest, subject))
		return Descriptor{}, nil
	}
	manifests, blobs := len(p.manifests), len(p.blobs)
	p.referring.about[desc.Digest] = subject
	p.referring.planning = desc.Digest
	err = p.planDocument(ctx, from, doc)
	p.referring.planning = ""
	if err != nil { // as if it had not been begun
		for _, m := range p.manifests[manifests:] {
			delete(p.planned, m.desc.Digest)
		}
		for _, blob := range p.blobs[blobs:] {
			delete(p.from, blob.Digest)
			delete(p.referring.blobs, blob.Digest)
		}
		p.manifests, p.blobs = p.manifests[:manifests], p.blobs[:blobs]
	}
	return bare(doc.desc), err
}

// readReferrer reads a manifest by its digest alone: what lists of referrers say
// of sizes and types is often wrong.
func readReferrer(ctx context.Context, from reader, desc Descriptor) (document, error) {
	if by, ok := from.(interface {
		Manifest(ctx context.Context, tagOrDigest string) (Descriptor, []byte, error)
	}); ok {
		desc, raw, err := by.Manifest(ctx, desc.Digest.String())
		return document{desc, raw}, err
	}
	raw, err := artifact.ReadManifest(ctx, from, desc)
	return document{desc, raw}, err
}
