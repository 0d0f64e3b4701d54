package registry

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// odd is a manifest in bytes that no encoder would make again.
const odd = "{ \"schemaVersion\" :2,\r\n\t\"a\":1, \"a\": 2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\" }\n\n"

// asManifest serves content as a manifest with more headers, as name, value.
func asManifest(content string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		io.WriteString(w, content)
	}
}

func TestAManifestIsSentAndFetchedAsTheBytesItIs(t *testing.T) {
	s := registryThatKeeps(t, unprotected)
	r := repo(t, s.host, Options{})
	if err := r.PushManifest(t.Context(), manifestOf(odd), []byte(odd), "1", "latest"); err != nil {
		t.Fatal(err)
	}
	if err := r.PushManifest(t.Context(), manifestOf(odd), []byte(odd)); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"1", "latest", manifestOf(odd).Digest.String()} {
		desc, raw, err := r.Manifest(t.Context(), target)
		if err != nil || string(raw) != odd || desc.Digest != manifestOf(odd).Digest || desc.Size != int64(len(odd)) || desc.MediaType != ocispec.MediaTypeImageManifest {
			t.Errorf("%s is %q with %v, %v", target, raw, desc, err)
		}
	}
	got, err := fetch(t, r, manifestOf(odd))
	if err != nil || got != odd {
		t.Errorf("fetched %q, %v", got, err)
	}
}

func TestWhatARegistrySaysOfAManifestIsCheckedAgainstItsBytes(t *testing.T) {
	right, wrong := digest.FromString(odd), digest.FromString("other")
	right512 := digest.SHA512.FromString(odd)
	for _, c := range []struct {
		name, target string
		serve        http.HandlerFunc
		want         digest.Digest // empty for an error
		mediaType    string
	}{
		{"no digest", "1", asManifest(odd), right, ""},
		{"the digest", "1", asManifest(odd, "Docker-Content-Digest", right.String()), right, ""},
		{"a digest of another algorithm", "1", asManifest(odd, "Docker-Content-Digest", right512.String()), right512, ""},
		{"another digest", "1", asManifest(odd, "Docker-Content-Digest", wrong.String()), "", ""},
		{"no digest at all", "1", asManifest(odd, "Docker-Content-Digest", "nonsense"), right, ""},
		{"asked by digest", right.String(), asManifest(odd), right, ""},
		{"asked by a digest that is not that of the bytes", wrong.String(), asManifest(odd), "", ""},
		{"asked by a digest that only the registry names", wrong.String(), asManifest(odd, "Docker-Content-Digest", wrong.String()), "", ""},
		{"asked by digest, and named another", right.String(), asManifest(odd, "Docker-Content-Digest", wrong.String()), right, ""},
		{"a type with a charset", "1", asManifest(odd, "Content-Type", ocispec.MediaTypeImageIndex+"; charset=utf-8"), right, ocispec.MediaTypeImageIndex},
		{"a type that is too general", "1", asManifest(odd, "Content-Type", "application/json"), right, ocispec.MediaTypeImageManifest},
		{"no type", "1", asManifest(odd, "Content-Type", ""), right, ocispec.MediaTypeImageManifest},
		{"no type anywhere", "1", asManifest(`{"schemaVersion": 2}`, "Content-Type", "text/plain"), "", ""},
		{"a page for people", "1", asManifest("<html>", "Content-Type", "text/html"), "", ""},
		{"no length", "1", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.(http.Flusher).Flush()
			io.WriteString(w, odd)
		}, right, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/v2/": c.serve})
			desc, raw, err := repo(t, s.host, Options{}).Manifest(t.Context(), c.target)
			s.wantTimes(t, "", 1)
			if c.want == "" {
				wantError(t, err, errdef.ErrVerification, "fetch "+s.host+"/acme/foo")
				return
			}
			if c.mediaType == "" {
				c.mediaType = ocispec.MediaTypeImageManifest
			}
			if err != nil || string(raw) != odd || desc.Digest != c.want || desc.MediaType != c.mediaType || desc.Size != int64(len(odd)) {
				t.Errorf("got %q with %v, %v", raw, desc, err)
			}
		})
	}
}

func TestALargeManifestIsReadUpToTheLimit(t *testing.T) {
	t.Parallel()
	for size, kind := range map[int]error{5 << 20: nil, int(limit.Default.Manifest): nil, int(limit.Default.Manifest) + 1: errdef.ErrVerification} {
		content := strings.Repeat(" ", size)
		s := serve(t, map[string]http.HandlerFunc{"/v2/": asManifest(content)})
		_, raw, err := repo(t, s.host, Options{}).Manifest(t.Context(), "1")
		if kind != nil {
			wantError(t, err, kind, fmt.Sprint(limit.Default.Manifest))
		} else if err != nil || len(raw) != size {
			t.Errorf("read %d bytes of %d, %v", len(raw), size, err)
		}
	}
}

func TestAManifestWhoseConnectionBreaksIsFetchedAgain(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": failing(2, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(odd)))
		io.WriteString(w, odd[:10])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}, asManifest(odd))})
	if _, raw, err := repo(t, s.host, Options{}).Manifest(t.Context(), "1"); err != nil || string(raw) != odd {
		t.Errorf("got %q, %v", raw, err)
	}
	s.wantTimes(t, "GET", 3)
}

func TestAManifestIsLookedUpWithoutFetchingIt(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": asManifest(odd, "Docker-Content-Digest", digest.FromString(odd).String(), "Content-Length", fmt.Sprint(len(odd)))})
	desc, err := repo(t, s.host, Options{}).Resolve(t.Context(), "1")
	if err != nil || desc.Digest != digest.FromString(odd) || desc.Size != int64(len(odd)) || desc.MediaType != ocispec.MediaTypeImageManifest {
		t.Errorf("got %v, %v", desc, err)
	}
	s.wantTimes(t, "GET", 0)
}

func TestAManifestIsFetchedWhereLookingItUpDoesNotTell(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": asManifest(odd)})
	desc, err := repo(t, s.host, Options{}).Resolve(t.Context(), "1")
	if err != nil || desc.Digest != digest.FromString(odd) {
		t.Errorf("got %v, %v", desc, err)
	}
	s.wantTimes(t, "GET", 1)
}

func TestATagThatIsNotThereListsThoseThatAre(t *testing.T) {
	var tags []string
	for i := range 20 {
		tags = append(tags, fmt.Sprintf("%q", fmt.Sprintf("1.%02d", 19-i)))
	}
	for name, c := range map[string]struct {
		list  http.HandlerFunc
		words string
	}{
		"few":          {answer(200, `{"tags": ["b", "a"]}`), "has the tags a, b"},
		"many":         {answer(200, `{"tags": [`+strings.Join(tags, ",")+`]}`), "8 others and 1.08, 1.09"},
		"none":         {answer(200, `{"tags": null}`), "check the name, or run: ocipkg login"},
		"not known":    {answer(404, errorDocument("NAME_UNKNOWN", "")), "check the name, or run: ocipkg login"},
		"not listable": {answer(403, ""), "check the name, or run: ocipkg login"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(404, errorDocument("MANIFEST_UNKNOWN", "")), "/v2/acme/foo/tags/list": c.list})
			r := repo(t, s.host, Options{})
			_, _, err := r.Manifest(t.Context(), "gone")
			wantError(t, err, errdef.ErrNotFound, "fetch "+s.host+"/acme/foo:gone", c.words)
			_, err = r.Resolve(t.Context(), "gone")
			wantError(t, err, errdef.ErrNotFound, s.host+"/acme/foo:gone")
		})
	}
}

func TestTagsComeFromAllPagesSorted(t *testing.T) {
	for _, link := range []string{"</v2/acme/foo/tags/list?last=b>; rel=\"next\"", "<list?last=b>; rel=next", "<URL/v2/acme/foo/tags/list?last=b>"} {
		var s *server
		s = serve(t, map[string]http.HandlerFunc{"/v2/acme/foo/tags/list": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("last") == "b" {
				answer(200, `{"tags": ["a", "b"]}`)(w, r)
				return
			}
			w.Header().Set("Link", strings.Replace(link, "URL", s.URL, 1))
			answer(200, `{"tags": ["c", "b"]}`)(w, r)
		}})
		got, err := repo(t, s.host, Options{}).Tags(t.Context())
		if strings.Join(got, " ") != "a b c" || err != nil {
			t.Errorf("%s: %q, %v", link, got, err)
		}
	}
}

func TestAListOfTagsWithoutEndIsCutOff(t *testing.T) {
	for next, want := range map[string]string{"?x": "goes on where it is", "?%dx": "1000 pages"} {
		n := 0
		s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("Link", "</v2/acme/foo/tags/list"+strings.Replace(next, "%d", strconv.Itoa(n), 1)+">; rel=\"next\"")
			answer(200, `{"tags": ["a"]}`)(w, r)
		}})
		_, err := repo(t, s.host, Options{}).Tags(t.Context())
		wantError(t, err, errdef.ErrVerification, "list the tags of "+s.host+"/acme/foo", want)
	}
}

func TestTheNextPageIsFoundAmongLinks(t *testing.T) {
	for link, want := range map[string]string{
		`</a?n=1>; rel="prev", </b?x=1,2>; rel="next"`:           "/b?x=1,2",
		`</a>; rel=prev; title="x, <y>; rel=next", <b>;rel=NEXT`: "/v2/b",
		`</a>; rel="last  next"`:                                 "/a",
		`</a>; rel="prev"`:                                       "",
		`</a>; rel="prev"; rel="next"`:                           "",
		`a; rel=next`:                                            "",
		`</a`:                                                    "",
		``:                                                       "",
	} {
		at := &url.URL{Scheme: "https", Host: "r.example", Path: "/v2/x"}
		next, err := nextPage(at, []string{`</old>; rel="first"`, link})
		if err != nil || next == nil && want != "" || next != nil && next.String() != "https://r.example"+want {
			t.Errorf("%s: %v, %v", link, next, err)
		}
	}
}

func TestAListOfTagsIsBounded(t *testing.T) {
	t.Parallel()
	tags := `{"tags": ["` + strings.Repeat(`a","`, 200_000) + `b"]}`
	n := 0
	s := serve(t, map[string]http.HandlerFunc{"/v2/acme/foo/tags/list": func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Link", fmt.Sprintf("</v2/acme/foo/tags/list?%d>; rel=\"next\"", n))
		answer(200, tags)(w, r)
	}, "/v2/": answer(404, "")})
	r := repo(t, s.host, Options{})
	_, err := r.Tags(t.Context())
	wantError(t, err, errdef.ErrVerification, "more than 250000")
	if n != 2 {
		t.Errorf("%d pages were asked for", n)
	}
	n = 0
	_, _, err = r.Manifest(t.Context(), "none")
	wantError(t, err, errdef.ErrNotFound, "many others and ")
	if n != 1 {
		t.Errorf("%d pages were asked for, for a message", n)
	}
}

func TestWhatCannotBeATagIsNotListed(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(200, `{"tags": ["a", "\u001b[31mred", "x\ny", "", "b"]}`)})
	var warned []string
	got, err := repo(t, s.host, Options{Warn: func(line string) { warned = append(warned, line) }}).Tags(t.Context())
	if strings.Join(got, " ") != "a b" || err != nil || len(warned) != 1 || !strings.Contains(warned[0], "3 of the tags") {
		t.Errorf("%q, %v, %q", got, err, warned)
	}
}

func TestAListOfTagsThatBreaksIsFetchedAgain(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": failing(1, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"tags": ["a`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}, answer(200, `{"tags": ["a"]}`))})
	if got, err := repo(t, s.host, Options{}).Tags(t.Context()); len(got) != 1 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWarningsOfARegistryAreShownOnce(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Warning"] = []string{`299 - "goes away on Monday"`, `299 - "evil \x1b[31m\nline"`, `110 - "stale"`, `299 - unquoted`, `299 - ""`}
		asManifest(odd)(w, r)
	}})
	told := &lines{}
	r := repo(t, s.host, Options{Warn: told.add})
	for range 2 {
		wantFetched(t, r, odd)
		if _, _, err := r.Manifest(t.Context(), "1"); err != nil {
			t.Error(err)
		}
	}
	told.want(t, s.host+" says: goes away on Monday", s.host+" says: evil [31m line")
}

func TestWhereHeadIsNotAnsweredGetTells(t *testing.T) {
	for _, status := range []int{404, 405, 501} {
		handlers := keeper(unprotected)
		handlers["HEAD /v2/"] = answer(status, "")
		s := serve(t, handlers)
		r := repo(t, s.host, Options{})
		if how, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
			t.Errorf("%d: %v, %v", status, how, err)
		}
		if err := r.PushManifest(t.Context(), manifestOf(odd), []byte(odd), "1"); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		if desc, err := r.Resolve(t.Context(), "1"); err != nil || desc.Digest != manifestOf(odd).Digest {
			t.Errorf("%d: %v, %v", status, desc, err)
		}
		_, err := r.Resolve(t.Context(), "none")
		wantError(t, err, errdef.ErrNotFound, s.host+"/acme/foo:none")
	}
}
