package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// kind is one of the registries that there are: its names, how it asks for
// credentials, and what is odd about it. What is not said here is as in the
// specification.
type kind struct {
	name      string
	host      string // as its users call it
	at        string // where it is found; empty is host
	challenge string // with SCOPE where it says what it wants a token for
	tokens    string // host and path of its token server; empty where it has none

	identityOnly bool  // tokens are given for identity tokens alone, by POST, or to anybody
	deniesToken  bool  // a token for what is not there, or not allowed, is a 403
	mostPatched  int64 // bytes of a PATCH; more are a 416
	dropsChunks  bool  // of an upload in chunks the first alone is kept
	noResume     bool  // nobody can ask how far an upload has come
	namesNoTag   bool  // the answer to a tag does not name the digest
	manifestGets int   // so many GETs of manifests, and then a 429; zero are any
	ranges       string
	referrers    string
}

// What a registry makes of ranges, and of lists of what refers to a manifest.
const (
	rangesBare     = "without the word bytes"
	rangesRefused  = "refused"
	referrersByTag = "under a tag"         // it has no API for them
	referrersLost  = "under the subject's" // where it finds the subject itself
)

// kinds are the registries whose oddities are known.
var kinds = []kind{
	{name: "ghcr", host: "ghcr.io", challenge: `Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="SCOPE"`, tokens: "ghcr.io/token",
		deniesToken: true, mostPatched: 4 << 20, referrers: referrersByTag},
	{name: "ECR", host: "123456789012.dkr.ecr.eu-west-1.amazonaws.com", challenge: `Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"`,
		dropsChunks: true, namesNoTag: true},
	{name: "GAR", host: "europe-docker.pkg.dev", challenge: `Bearer realm="https://europe-docker.pkg.dev/v2/token",scope="SCOPE"`, tokens: "europe-docker.pkg.dev/v2/token"},
	{name: "ACR", host: "acme.azurecr.io", challenge: `Bearer realm="https://acme.azurecr.io/oauth2/token",service="acme.azurecr.io",scope="SCOPE"`, tokens: "acme.azurecr.io/oauth2/token",
		identityOnly: true, noResume: true, ranges: rangesBare},
	{name: "Docker Hub", host: "docker.io", at: "registry-1.docker.io", challenge: `Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="SCOPE"`, tokens: "auth.docker.io/token",
		manifestGets: 4, referrers: referrersByTag},
	{name: "GitLab", host: "registry.gitlab.com", challenge: `Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",scope="SCOPE"`, tokens: "gitlab.com/jwt/auth",
		referrers: referrersLost},
	{name: "Artifactory", host: "acme.jfrog.io", challenge: `Bearer realm="https://acme.jfrog.io/v2/token",service="acme.jfrog.io"`, tokens: "acme.jfrog.io/v2/token",
		ranges: rangesRefused},
	{name: "Nexus", host: "nexus.acme.example", challenge: `BASIC realm="Sonatype Nexus Repository Manager"`, ranges: rangesRefused, referrers: referrersByTag},
	{name: "Quay", host: "quay.io", challenge: `Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="SCOPE"`, tokens: "quay.io/v2/auth", dropsChunks: true},
	{name: "distribution", host: "registry.acme.example:5000", challenge: `Bearer realm="https://auth.acme.example/token",service="registry",scope="SCOPE"`, tokens: "auth.acme.example/token",
		referrers: referrersByTag},
}

func (k kind) found() string { return cmp.Or(k.at, k.host) }

// account gives what its user has in a credential file: good, or expired.
func (k kind) account(good bool) auth.Credential {
	switch {
	case k.identityOnly && good:
		return auth.Credential{Username: "00000000-0000-0000-0000-000000000000", RefreshToken: "identity"}
	case k.identityOnly:
		return auth.Credential{Username: "00000000-0000-0000-0000-000000000000", RefreshToken: "expired"}
	case good:
		return ann
	}
	return auth.Credential{Username: ann.Username, Password: "expired"}
}

// The repositories that everybody may read; all others are ann's.
const publicRepository = "acme/public"

// scripted is a registry that behaves as one of a kind, and its token server.
// It tells the test of credentials that come where they do not belong.
type scripted struct {
	*httptest.Server
	kind
	t testing.TB

	mu        sync.Mutex
	asked     []string // method, host and path
	blobs     map[string][]byte
	manifests map[string][]byte       // by repository, and tag or digest
	uploads   map[string]*begunUpload // by the path that the registry gave last
	granted   map[string][]string     // scopes, by token
	numbered  int

	// Once, for the first request that begins so, half-way: all tokens have run
	// out, or the connection breaks.
	expires string
	breaks  string
}

const half = 100 << 10 // bytes

// begunUpload is an upload that has begun.
type begunUpload struct {
	repository string
	content    []byte
	chunks     int
}

func serveKind(t testing.TB, k kind) *scripted {
	s := &scripted{kind: k, t: t, blobs: map[string][]byte{}, manifests: map[string][]byte{}, uploads: map[string]*begunUpload{}, granted: map[string][]string{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	// Nothing is asked of the names' own servers.
	setFor(t, &net.DefaultResolver.PreferGo, true)
	setFor(t, &net.DefaultResolver.Dial, func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("there is no network") })
	return s
}

// client gives a client that finds the registry where it should be.
func (s *scripted) client(options Options) *Client {
	client := New(options)
	s.t.Cleanup(client.Close)
	authority, _, _ := strings.Cut(s.tokens, "/")
	for _, pools := range []*http.Transport{client.secure.usual, client.secure.apart} {
		pools.TLSClientConfig = tlsConfig(s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	}
	at(client, s.found(), s.Server)
	if authority != "" && authority != s.found() {
		at(client, authority, s.Server)
	}
	return client
}

func (s *scripted) times(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.asked), func(asked string) bool { return !strings.Contains(asked, part) }))
}

// forgetTokens makes all tokens expire.
func (s *scripted) forgetTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.granted)
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.Host+r.URL.Path)
	line := r.Method + " " + r.URL.Path
	expired := s.expires != "" && strings.HasPrefix(line, s.expires)
	broken := s.breaks != "" && strings.HasPrefix(line, s.breaks)
	if expired {
		s.expires = ""
		clear(s.granted)
	}
	if broken {
		s.breaks = ""
	}
	s.mu.Unlock()
	switch {
	case r.Host+r.URL.Path == s.tokens:
		s.token(w, r)
	case r.Host != s.found():
		s.t.Errorf("%s %s came with %v", r.Method, r.Host+r.URL.Path, r.Header)
	case expired:
		io.CopyN(io.Discard, r.Body, half)
		s.demand(w, r, "", "")
	case broken:
		s.serve(&halved{w, half}, r)
	default:
		s.serve(w, r)
	}
}

// halved breaks a connection after so many bytes of an answer.
type halved struct {
	http.ResponseWriter
	left int
}

func (h *halved) Write(p []byte) (int, error) {
	n, _ := h.ResponseWriter.Write(p[:min(len(p), h.left)])
	if h.left -= n; h.left == 0 {
		http.NewResponseController(h.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

// token answers at the token server.
func (s *scripted) token(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	user, password, basic := r.BasicAuth()
	known := basic && user == ann.Username && password == ann.Password && !s.identityOnly
	if r.Method == http.MethodPost {
		known = r.PostForm.Get("grant_type") == "refresh_token" && r.PostForm.Get("refresh_token") == "identity" && s.identityOnly
	}
	if !known && (basic || r.Method == http.MethodPost) {
		answer(http.StatusUnauthorized, errorDocument("UNAUTHORIZED", "unknown or expired"))(w, r)
		return
	}
	if service := r.Form.Get("service"); strings.Contains(s.challenge, "service=") && service == "" {
		answer(http.StatusBadRequest, errorDocument("UNSUPPORTED", "which service?"))(w, r)
		return
	}
	var scopes []string
	for _, scope := range strings.Fields(strings.Join(r.Form["scope"], " ")) {
		name, actions, _ := strings.Cut(strings.TrimPrefix(scope, "repository:"), ":")
		for action := range strings.SplitSeq(actions, ",") {
			if known || name == publicRepository && action == "pull" {
				scopes = append(scopes, name+":"+action)
			} else if s.deniesToken {
				answer(http.StatusForbidden, errorDocument("DENIED", "requested access to the resource is denied"))(w, r)
				return
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbered++
	token := fmt.Sprintf("token-%d", s.numbered)
	s.granted[token] = append(scopes, "catalog")
	fmt.Fprintf(w, `{"access_token": %q, "token": %q}`, token, token) // and no expires_in
}

// demand refuses a request that has no good credentials.
func (s *scripted) demand(w http.ResponseWriter, r *http.Request, repository, action string) {
	scope := "repository:" + repository + ":" + action
	if action == "push" {
		scope = "repository:" + repository + ":pull,push"
	}
	w.Header().Set("WWW-Authenticate", strings.ReplaceAll(s.challenge, "SCOPE", scope))
	if repository == "" {
		w.Header().Set("WWW-Authenticate", strings.ReplaceAll(s.challenge, `,scope="SCOPE"`, ""))
	}
	answer(http.StatusUnauthorized, errorDocument("UNAUTHORIZED", "authentication required"))(w, r)
}

// may tells whether a request may do something.
func (s *scripted) may(r *http.Request, repository, action string) bool {
	header := r.Header.Get("Authorization")
	if s.tokens == "" {
		user, password, ok := r.BasicAuth()
		return ok && user == ann.Username && password == ann.Password || header == "" && repository == publicRepository && action == "pull"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	scopes, ok := s.granted[strings.TrimPrefix(header, "Bearer ")]
	return ok && (repository == "" || slices.Contains(scopes, repository+":"+action))
}

// serve answers at the registry.
func (s *scripted) serve(w http.ResponseWriter, r *http.Request) {
	repository, what, id := splitPath(strings.TrimPrefix(r.URL.Path, "/v2/"))
	action := "push"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		action = "pull"
	}
	if r.URL.Path == "/v2/" {
		repository = ""
	}
	if !s.may(r, repository, action) {
		s.demand(w, r, repository, action)
		return
	}
	switch what {
	case "":
	case "blobs":
		s.blob(w, r, repository, id)
	case "uploads":
		s.upload(w, r, repository)
	case "manifests":
		s.manifest(w, r, repository, id)
	case "tags":
		s.tags(w, r, repository)
	case "referrers":
		s.listReferrers(w, r, repository, id)
	default:
		answer(http.StatusNotFound, "")(w, r)
	}
}

func splitPath(path string) (repository, what, id string) {
	for _, what := range []string{"/blobs/uploads/", "/blobs/", "/manifests/", "/tags/", "/referrers/"} {
		if repository, id, ok := strings.Cut(path, what); ok {
			parts := strings.Split(strings.Trim(what, "/"), "/")
			return repository, parts[len(parts)-1], id
		}
	}
	return path, "", ""
}

func (s *scripted) blob(w http.ResponseWriter, r *http.Request, repository, id string) {
	s.mu.Lock()
	content, ok := s.blobs[repository+"@"+id]
	s.mu.Unlock()
	if !ok {
		answer(http.StatusNotFound, errorDocument("BLOB_UNKNOWN", "blob unknown to registry"))(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	asked := r.Header.Get("Range")
	if asked == "" || r.Method == http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content)
		return
	}
	if s.ranges == rangesRefused {
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	first, last := 0, len(content)-1
	fmt.Sscanf(asked, "bytes=%d-%d", &first, &last)
	last = min(last, len(content)-1)
	unit := "bytes "
	if s.ranges == rangesBare {
		unit = ""
	}
	w.Header().Set("Content-Range", fmt.Sprintf("%s%d-%d/%d", unit, first, last, len(content)))
	w.WriteHeader(http.StatusPartialContent)
	w.Write(content[first : last+1])
}

// upload begins, continues and ends uploads. Where one goes on is said anew in
// each answer, and only there.
func (s *scripted) upload(w http.ResponseWriter, r *http.Request, repository string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	query := r.URL.Query()
	if from := query.Get("from"); from != "" && s.may(r, from, "pull") {
		s.mu.Lock()
		content, ok := s.blobs[from+"@"+query.Get("mount")]
		if ok {
			s.blobs[repository+"@"+query.Get("mount")] = content
		}
		s.mu.Unlock()
		if ok {
			w.WriteHeader(http.StatusCreated)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := r.URL.Path + "?" + url.Values{"_state": query["_state"]}.Encode()
	upload := s.uploads[at]
	if r.Method == http.MethodPost {
		upload = &begunUpload{repository: repository}
	}
	if upload == nil || r.Method == http.MethodGet && s.noResume {
		answer(http.StatusNotFound, errorDocument("BLOB_UPLOAD_UNKNOWN", "no such upload"))(w, r)
		return
	}
	delete(s.uploads, at)
	switch r.Method {
	case http.MethodPatch:
		if s.mostPatched > 0 && int64(len(body)) > s.mostPatched {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		if upload.chunks++; upload.chunks == 1 || !s.dropsChunks {
			upload.content = append(upload.content, body...)
		}
	case http.MethodPut:
		upload.content = append(upload.content, body...)
		if got := digest.FromBytes(upload.content); got.String() != query.Get("digest") {
			answer(http.StatusBadRequest, errorDocument("DIGEST_INVALID", "it has the digest "+got.String()))(w, r)
			return
		}
		s.blobs[repository+"@"+query.Get("digest")] = upload.content
		w.WriteHeader(http.StatusCreated)
		return
	}
	s.numbered++
	location := fmt.Sprintf("/v2/%s/blobs/uploads/%d?_state=%d", repository, s.numbered, s.numbered)
	s.uploads[location] = upload
	w.Header().Set("Location", location)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, len(upload.content)-1)))
	w.WriteHeader(http.StatusAccepted)
}

func (s *scripted) manifest(w http.ResponseWriter, r *http.Request, repository, id string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPut {
		d := digest.FromBytes(body)
		s.manifests[repository+"@"+id], s.manifests[repository+"@"+d.String()] = body, body
		w.Header().Set("Docker-Content-Digest", d.String())
		if s.referrers == "" && subjectOf(body) != "" {
			w.Header().Set("OCI-Subject", subjectOf(body))
		}
		w.WriteHeader(http.StatusCreated)
		return
	}
	content, ok := s.manifests[repository+"@"+id]
	if s.referrers == referrersLost && !ok {
		content, ok = s.manifests[repository+"@"+strings.Replace(id, "sha256-", "sha256:", 1)]
	}
	if r.Method == http.MethodGet && s.manifestGets > 0 && ok {
		if gets := slices.DeleteFunc(slices.Clone(s.asked), func(a string) bool {
			return !strings.HasPrefix(a, "GET ") || !strings.Contains(a, "/manifests/")
		}); len(gets) > s.manifestGets {
			w.Header().Set("Retry-After", "3600")
			answer(http.StatusTooManyRequests, errorDocument("TOOMANYREQUESTS", "You have reached your pull rate limit."))(w, r)
			return
		}
	}
	if !ok {
		answer(http.StatusNotFound, errorDocument("MANIFEST_UNKNOWN", "manifest unknown"))(w, r)
		return
	}
	var doc struct{ MediaType string }
	json.Unmarshal(content, &doc)
	w.Header().Set("Content-Type", doc.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	if !s.namesNoTag || strings.Contains(id, ":") {
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(content).String())
	}
	w.Write(content)
}

func subjectOf(manifest []byte) string {
	var doc ocispec.Manifest
	if json.Unmarshal(manifest, &doc) != nil || doc.Subject == nil {
		return ""
	}
	return doc.Subject.Digest.String()
}

// tags gives two tags a page.
func (s *scripted) tags(w http.ResponseWriter, r *http.Request, repository string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tags []string
	for _, name := range slices.Sorted(maps.Keys(s.manifests)) {
		if tag, ok := strings.CutPrefix(name, repository+"@"); ok && !strings.Contains(tag, ":") && tag > r.URL.Query().Get("last") {
			tags = append(tags, tag)
		}
	}
	if len(tags) > 2 {
		tags = tags[:2]
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?n=2&last=%s>; rel="next"`, repository, url.QueryEscape(tags[1])))
	}
	json.NewEncoder(w).Encode(map[string]any{"name": repository, "tags": tags})
}

func (s *scripted) listReferrers(w http.ResponseWriter, r *http.Request, repository, id string) {
	if s.referrers != "" {
		answer(http.StatusNotFound, "404 page not found\n")(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ocispec.Descriptor
	for name, content := range s.manifests {
		if strings.HasPrefix(name, repository+"@sha256:") && subjectOf(content) == id {
			all = append(all, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))})
		}
	}
	asIndex(listOf(s.t, all...))(w, r)
}

// manifestNaming is a manifest of a config and a blob; subject may be nil.
func manifestNaming(t testing.TB, blob ocispec.Descriptor, subject *ocispec.Descriptor, note string) (ocispec.Descriptor, []byte) {
	doc := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{blob}, Subject: subject, Annotations: map[string]string{"note": note}}
	doc.SchemaVersion = 2
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(doc); err != nil {
		t.Fatal(err)
	}
	desc := blobOf(text.String())
	desc.MediaType = ocispec.MediaTypeImageManifest
	return desc, text.Bytes()
}
