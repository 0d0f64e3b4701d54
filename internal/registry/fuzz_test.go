package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// A hostile registry says what it likes in its headers: the fuzzer's words stand
// where it may say where to go on.
type hostile struct {
	t                         testing.TB
	status                    int
	challenge, location, link string

	mu    sync.Mutex
	asked int
}

const (
	hostileName  = "reg.example"
	hostileToken = "hostile-token"
	// Each page of a list may be answered with 401, a token asked for, and the
	// page asked for again.
	mostAsked = 10_000
)

func (h *hostile) RoundTrip(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked++; h.asked == mostAsked {
		h.t.Errorf("%d requests, the last one %s %s", h.asked, req.Method, req.URL)
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req.Body.Close()
	}
	if req.URL.Host == "" {
		return nil, errors.New("no host") // nothing can be sent there
	}
	h.look(req, body)
	resp := &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: req}
	said := `{"token": "` + hostileToken + `", "tags": ["1"], "manifests": []}`
	switch authorization := req.Header.Get("Authorization"); {
	case h.asked > mostAsked:
		resp.StatusCode = http.StatusNotFound
	case req.URL.Host != hostileName:
	case h.challenge != "" && authorization == "":
		resp.StatusCode = http.StatusUnauthorized
		resp.Header.Set("WWW-Authenticate", h.challenge)
	default:
		resp.StatusCode = h.status
		switch { // otherwise nothing would be sent
		case h.status >= 300:
		case req.Method == http.MethodHead:
			resp.StatusCode = http.StatusNotFound
		case req.Method == http.MethodPost:
			resp.StatusCode = http.StatusAccepted
		}
		resp.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		for name, value := range map[string]string{"Location": h.location, "Link": h.link} {
			if value != "" {
				resp.Header.Set(name, value)
			}
		}
	}
	resp.Status = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(said)), int64(len(said))
	return resp, nil
}

// look checks that a request takes no secret to where it must not go: the
// registry may see them, and a password those whom it names over TLS to give
// tokens for it.
func (h *hostile) look(req *http.Request, body []byte) {
	said := req.Header.Get("Authorization") + " " + req.URL.String() + " " + string(body)
	password := strings.Contains(said, base64.StdEncoding.EncodeToString([]byte(ann.Username+":"+ann.Password))) || bytes.Contains(body, []byte("password="))
	token := strings.Contains(said, hostileToken)
	switch {
	case !password && !token, req.URL.Scheme == "https" && strings.TrimSuffix(req.URL.Host, ":443") == hostileName:
	case password && req.URL.Scheme == "https" && strings.Contains(strings.ToLower(h.challenge), "https:"):
		// It answers the challenge, and nothing else.
		if req.Method == http.MethodGet && !req.URL.Query().Has("scope") || strings.HasPrefix(req.URL.Path, "/v2/") && !strings.Contains(h.challenge, "/v2/") {
			h.t.Errorf("the password went along to %s %s", req.Method, req.URL)
		}
	default:
		h.t.Errorf("a secret went to %s %s (%s)", req.Method, req.URL, req.Header.Get("Authorization"))
	}
}

func FuzzWhatAHostileRegistrySaysLeadsNoSecretElsewhere(f *testing.F) {
	statuses := []int{200, 202, 204, 206, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 416}
	credentials := stored(f, hostileName, ann)
	page := `</v2/acme/foo/tags/list?last=1>; rel="next"`
	for _, seed := range []struct {
		status                    int
		challenge, location, link string
	}{
		{200, `Basic realm="x"`, "/v2/acme/foo/blobs/uploads/1", page},
		{200, `Bearer realm="https://auth.example/token",service="reg",scope="repository:acme/foo:pull"`, "https://cdn.example/blob", `<https://other.example/v2/acme/foo/tags/list>; rel="next"`},
		{302, `Bearer realm="http://auth.example/token"`, "http://cdn.example/", page},
		{307, `Basic realm="x"`, "https://a.reg.example/v2/acme/foo/blobs/sha256:1?x", `<?again>`},
		{308, `bearer realm="//reg.example:443/token", realm=""`, "//reg.example:443/x", `<`},
		{404, `Bearer realm="HttpS://ann@other.example/"`, "", ""},
		{301, `Bearer error="insufficient_scope",realm="https://ann:x@reg.example/"`, "https://ann:secret@reg.example/%zz", `>;rel=<`},
		{200, `Negotiate, Basic realm="\"`, "\x00", `<https://reg.example./v2/>`},
		{200, "", "", `<` + strings.Repeat("longer", 99) + `/list>; rel="next"`}, // and longer, page after page
		{303, `Bearer realm="https://127.0.0.1/token",scope="` + strings.Repeat("a:b:c ", 9) + `"`, strings.Repeat("../", 9), strings.Repeat("<", 9)},
	} {
		f.Add(uint8(slices.Index(statuses, seed.status)), seed.challenge, seed.location, seed.link)
	}
	f.Fuzz(func(t *testing.T, status uint8, challenge, location, link string) {
		network := &hostile{t: t, status: statuses[int(status)%len(statuses)], challenge: challenge, location: location, link: link}
		client := New(Options{Credentials: credentials})
		client.secure = answeredBy(network)
		r := repoOf(client, hostileName)
		_, _ = r.Tags(t.Context())
		_, _ = fetch(t, r, blobOf("content"))
		_, _ = r.Referrers(t.Context(), manifestOf("{}"))
		_, _ = r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
		_ = r.PushManifest(t.Context(), manifestOf("{}"), []byte("{}"), "1")
	})
}

// answeredBy gives pools that make no connections.
func answeredBy(network http.RoundTripper) pools {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(true) // HTTP/2 would take the place of what follows
	transport.RegisterProtocol("https", network)
	transport.RegisterProtocol("http", network)
	return pools{transport, transport}
}

func FuzzCredentialFile(f *testing.F) {
	for _, seed := range []string{
		`{"auths": {"reg.example": {"auth": "YW5uOnNlY3JldA=="}}}`,
		`{"auths": {"https://reg.example/v1/": {"username": "ann", "password": "secret"}, "reg.example/v2/": {"identitytoken": "x"}}}`,
		`{"auths": {"reg.example": {"auth": "YW5u", "registrytoken": "x"}}, "credsStore": "pass", "credHelpers": {"reg.example": "a/b"}}`,
		"\uFEFF {\"auths\": null, \"credHelpers\": null}\n", `[]`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := parseCredentials("config.json", raw)
		if err != nil {
			return
		}
		for _, registry := range []string{hostileName, "docker.io"} {
			for _, key := range file.entries(registry) {
				cred := file.entry(key, func(string) {})
				if cred == auth.EmptyCredential || cred.AccessToken != "" {
					continue
				}
				kept, err := formatEntry(cred)
				if err != nil {
					continue // a user name that no file can hold
				}
				again, err := parseEntry(kept)
				if err == nil && cred.Username == "" {
					again.Password = cred.Password // none without a name
				}
				if err != nil || again.RefreshToken != cred.RefreshToken || again.Username != cred.Username || again.Password != strings.Trim(cred.Password, "\x00") {
					t.Errorf("%s is kept as %s, and that is read as %+v (%v)", file.Auths[key], kept, again, err)
				}
			}
		}
		if _, err := json.Marshal(file); err != nil {
			t.Error(err)
		}
	})
}
