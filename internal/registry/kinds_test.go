package registry

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// eachKind runs a test against a registry of each kind.
func eachKind(t *testing.T, test func(t *testing.T, s *scripted)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := serveKind(t, k)
			test(t, s)
			if n := s.times("DELETE "); n > 0 {
				t.Errorf("%d requests to delete something", n)
			}
		})
	}
}

// as gives a repository as somebody with the kind's account sees it: good, or
// expired.
func (s *scripted) as(good bool, repository string, options Options) *Repository {
	options.Credentials = stored(s.t, s.host, s.account(good))
	return s.client(options).Repository(reference.Reference{Registry: s.host, Repository: repository})
}

func (s *scripted) anonymous(repository string) *Repository {
	return s.client(Options{}).Repository(reference.Reference{Registry: s.host, Repository: repository})
}

// layer is more than a chunk may have at some, and piece enough to break.
var (
	layer = noise(5 << 20)
	piece = noise(half * 4)
)

// publish pushes a package of one blob.
func publish(t *testing.T, r *Repository, content string, tags ...string) ocispec.Descriptor {
	t.Helper()
	for _, blob := range []string{content, "{}"} {
		if how, err := r.PushBlob(t.Context(), blobOf(blob), nil, opener(blob)); err != nil {
			t.Fatalf("sent %v, %v", how, err)
		}
	}
	desc, raw := manifestNaming(t, blobOf(content), nil, "")
	if err := r.PushManifest(t.Context(), desc, raw, tags...); err != nil {
		t.Fatal(err)
	}
	return desc
}

// wantPackage gets a package of one blob, by its tag and by its digest.
func wantPackage(t *testing.T, r *Repository, tag string, want ocispec.Descriptor, content string) {
	t.Helper()
	if found, err := r.Resolve(t.Context(), tag); err != nil || found.Digest != want.Digest || found.Size != want.Size {
		t.Errorf("%s is %v (%v), want %v", tag, found, err, want)
	}
	for _, name := range []string{tag, want.Digest.String()} {
		if found, _, err := r.Manifest(t.Context(), name); err != nil || found.Digest != want.Digest {
			t.Errorf("%s is %v (%v), want %v", name, found, err, want)
		}
	}
	wantFetched(t, r, content)
}

func TestEachRegistryIsPushedToAndPulledFrom(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		desc := publish(t, s.as(true, "acme/foo", Options{}), layer, "1", "latest")
		wantPackage(t, s.as(true, "acme/foo", Options{}), "1", desc, layer)
		_, err := s.as(true, "acme/foo", Options{}).Exists(t.Context(), blobOf("other"))
		if err != nil {
			t.Error(err)
		}
	})
}

func TestADownloadFromEachRegistryGoesOnWhenItBreaks(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		publish(t, s.as(true, "acme/foo", Options{}), piece, "1")
		s.breaks = "GET /v2/acme/foo/blobs/"
		wantFetched(t, s.as(true, "acme/foo", Options{}), piece)
		if s.breaks != "" {
			t.Error("nothing broke")
		}
	})
}

func TestABlobIsMountedInEachRegistry(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		from := s.as(true, "acme/bar", Options{})
		publish(t, from, piece, "1")
		to := from.client.Repository(reference.Reference{Registry: s.host, Repository: "acme/foo"})
		if how, err := to.PushBlob(t.Context(), blobOf(piece), from, opener(piece)); how != Mounted || err != nil {
			t.Errorf("it came by %v, %v", how, err)
		}
		// From where there is nothing to be had it is sent.
		gone := from.client.Repository(reference.Reference{Registry: s.host, Repository: "acme/gone"})
		if how, err := to.PushBlob(t.Context(), blobOf("content"), gone, opener("content")); how != Sent || err != nil {
			t.Errorf("it came by %v, %v", how, err)
		}
	})
}

func TestAllTagsOfEachRegistryAreListed(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		r := s.as(true, "acme/foo", Options{})
		want := []string{"1", "1.5", "1.5.2", "2", "latest"}
		publish(t, r, "content", want...)
		if got, err := s.as(true, "acme/foo", Options{}).Tags(t.Context()); !slices.Equal(got, want) || err != nil {
			t.Errorf("%q (%v), want %q", got, err, want)
		}
		if n := s.times("/tags/list"); n < 3 {
			t.Errorf("%d pages were asked for", n)
		}
	})
}

func TestWhatRefersToAPackageIsKeptInEachRegistryUnlessThatWouldDestroyIt(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		s.manifestGets = 0
		r := s.as(true, "acme/foo", Options{})
		subject := publish(t, r, "content", "1")
		var want []digest.Digest
		for _, note := range []string{"a signature", "another"} {
			desc, raw := manifestNaming(t, ocispec.DescriptorEmptyJSON, &subject, note)
			err := r.PushManifest(t.Context(), desc, raw)
			if s.referrers == referrersLost {
				wantError(t, err, errdef.ErrUsage, "would not overwrite", "--no-referrers")
				continue
			}
			if err != nil {
				t.Error(err)
			}
			want = append(want, desc.Digest)
		}
		var got []digest.Digest
		found, err := s.as(true, "acme/foo", Options{}).Referrers(t.Context(), subject)
		for _, desc := range found {
			got = append(got, desc.Digest)
		}
		slices.Sort(got)
		slices.Sort(want)
		if s.referrers != referrersLost && (err != nil || !slices.Equal(got, want)) {
			t.Errorf("%v (%v), want %v", got, err, want)
		}
		wantPackage(t, s.as(true, "acme/foo", Options{}), "1", subject, "content")
	})
}

func TestCredentialsThatRunOutInTheMiddleOfAPushAreRenewedAtEachRegistry(t *testing.T) {
	for _, expires := range []string{"POST /v2/acme/foo/blobs/uploads/", "PUT /v2/acme/foo/blobs/uploads/", "PUT /v2/acme/foo/manifests/"} {
		eachKind(t, func(t *testing.T, s *scripted) {
			s.expires = expires
			desc := publish(t, s.as(true, "acme/foo", Options{}), piece, "1")
			if s.expires != "" {
				t.Error("nothing expired")
			}
			wantPackage(t, s.as(true, "acme/foo", Options{}), "1", desc, piece)
		})
	}
}

func TestTokensThatWereKeptAndHaveExpiredAreRenewedAtEachRegistry(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		options := Options{Tokens: filepath.Join(t.TempDir(), "tokens")}
		desc := publish(t, s.as(true, "acme/foo", options), "content", "1")
		s.forgetTokens()
		s.manifestGets = 0
		for range 2 {
			wantPackage(t, s.as(true, "acme/foo", options), "1", desc, "content")
		}
		if s.tokens == "" {
			return
		}
		// One for the push, one for the first pull, which the second had.
		if n := s.times(s.tokens); n != 2 {
			t.Errorf("%d tokens were asked for: %q", n, s.asked)
		}
	})
}

func TestAPublicPackageOfEachRegistryIsPulledWhateverTheCredentials(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		desc := publish(t, s.as(true, publicRepository, Options{}), "content", "1")
		s.manifestGets = 0
		wantPackage(t, s.anonymous(publicRepository), "1", desc, "content")
		told := &lines{}
		wantPackage(t, s.as(false, publicRepository, Options{Warn: told.add}), "1", desc, "content")
		if s.tokens != "" {
			told.want(t, "the credentials stored for "+s.host+" were refused")
		} else {
			told.want(t) // nobody asked for them
		}

		for _, r := range []*Repository{s.anonymous(publicRepository), s.as(false, publicRepository, Options{})} {
			_, err := r.PushBlob(t.Context(), blobOf("other"), nil, opener("other"))
			wantError(t, err, errdef.ErrUnauthorized, s.host, "ocipkg login "+s.host)
		}
		for _, r := range []*Repository{s.anonymous("acme/foo"), s.as(false, "acme/foo", Options{})} {
			_, _, err := r.Manifest(t.Context(), "1")
			wantError(t, err, errdef.ErrUnauthorized, s.host, "ocipkg login "+s.host)
		}
	})
}

func TestAPackageThatARegistryDoesNotHaveIsSaidSo(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		publish(t, s.as(true, "acme/foo", Options{}), "content", "1")
		_, _, err := s.as(true, "acme/foo", Options{}).Manifest(t.Context(), "2")
		wantError(t, err, errdef.ErrNotFound, s.host+"/acme/foo:2", "has the tags 1")
		_, _, err = s.as(true, "acme/none", Options{}).Manifest(t.Context(), "1")
		wantError(t, err, errdef.ErrNotFound, s.host+"/acme/none:1")
		// ghcr does not tell those who may not know from what is not there.
		_, _, err = s.anonymous("acme/none").Manifest(t.Context(), "1")
		wantError(t, err, errdef.ErrUnauthorized, s.host+"/acme/none:1", "ocipkg login "+s.host)
		if s.deniesToken {
			wantError(t, err, nil, "check that the name is right", "denied")
		}
	})
}

func TestALoginToEachRegistryIsCheckedUsedAndForgotten(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		client := s.client(Options{Credentials: credentialsIn(t, "{}")})
		cred := s.account(false)
		user := cred.Username
		if s.identityOnly {
			user = ""
		}
		err := client.Login(t.Context(), s.host, user, cred.Password+cred.RefreshToken)
		wantError(t, err, errdef.ErrUnauthorized, "log in to "+s.host)
		cred = s.account(true)
		if err := client.Login(t.Context(), s.host, user, cred.Password+cred.RefreshToken); err != nil {
			t.Fatal(err)
		}
		publish(t, s.client(client.options).Repository(reference.Reference{Registry: s.host, Repository: "acme/foo"}), "content", "1")
		if err := client.Logout(t.Context(), s.host); err != nil {
			t.Error(err)
		}
		if err := client.Logout(t.Context(), s.host); !errors.Is(err, errdef.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestALimitOnReadingManifestsIsNotUsedUpByLookingTagsUp(t *testing.T) {
	for _, k := range kinds {
		if k.manifestGets == 0 {
			continue
		}
		s := serveKind(t, k)
		desc := publish(t, s.as(true, publicRepository, Options{}), "content", "1")
		for range 3 * k.manifestGets {
			if found, err := s.anonymous(publicRepository).Resolve(t.Context(), "1"); err != nil || found.Digest != desc.Digest {
				t.Errorf("%s: %v, %v", k.name, found, err)
			}
		}
		var err error
		for range k.manifestGets + 1 {
			_, _, err = s.anonymous(publicRepository).Manifest(t.Context(), "1")
		}
		wantError(t, err, errdef.ErrNetwork, k.host, "429", "pull rate limit")
	}
}

func TestOfEachRegistryTheTokenServerAloneSeesWhatIsItsOwn(t *testing.T) {
	eachKind(t, func(t *testing.T, s *scripted) {
		publish(t, s.as(true, "acme/foo", Options{}), "content", "1")
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, asked := range s.asked {
			if !strings.Contains(asked, " "+s.found()+"/v2/") && !strings.HasSuffix(asked, " "+s.tokens) {
				t.Errorf("asked %s", asked)
			}
		}
	})
}
