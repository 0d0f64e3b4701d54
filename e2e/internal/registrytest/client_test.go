package registrytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// client speaks the distribution protocol by net/http alone.
type client struct {
	t  testing.TB
	r  *Registry
	by string // the Authorization header; empty is none
}

// answer is an answer with its whole body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *client) do(method, target string, body []byte, headers ...string) answer {
	c.t.Helper()
	a, err := c.try(method, target, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// try sends a request; headers are names and values in turn.
func (c *client) try(method, target string, body []byte, headers ...string) (answer, error) {
	if strings.HasPrefix(target, "/") {
		target = c.r.URL + target
	}
	request, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("User-Agent", "self test \"1\"")
	if c.by != "" {
		request.Header.Set("Authorization", c.by)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.r.Client().Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: content}, err
}

func digestOf(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// push uploads a blob in one PUT and returns its path.
func (c *client) push(repository string, data []byte) string {
	c.t.Helper()
	begun := c.do(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", nil)
	if begun.status != http.StatusAccepted {
		c.t.Fatalf("begin an upload: status %d: %s", begun.status, begun.body)
	}
	location := begun.header.Get("Location")
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	location += separator + "digest=" + url.QueryEscape(digestOf(data))
	done := c.do(http.MethodPut, location, data, "Content-Type", "application/octet-stream")
	if done.status != http.StatusCreated {
		c.t.Fatalf("end an upload: status %d: %s", done.status, done.body)
	}
	return "/v2/" + repository + "/blobs/" + digestOf(data)
}

// roundTrip pushes a blob and reads it back, in whole and in part.
func (c *client) roundTrip(repository string) {
	c.t.Helper()
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	path := c.push(repository, data)
	if head := c.do(http.MethodHead, path, nil); head.status != http.StatusOK ||
		head.header.Get("Content-Length") != fmt.Sprint(len(data)) {
		c.t.Errorf("HEAD: status %d, length %s, want 200 and %d", head.status, head.header.Get("Content-Length"), len(data))
	}
	if get := c.do(http.MethodGet, path, nil); get.status != http.StatusOK || !bytes.Equal(get.body, data) {
		c.t.Errorf("GET: status %d, %d bytes, want 200 and the %d bytes pushed", get.status, len(get.body), len(data))
	}
	if part := c.do(http.MethodGet, path, nil, "Range", "bytes=999995-"); part.status != http.StatusPartialContent || string(part.body) != "56789" {
		c.t.Errorf("GET of a range: status %d, body %q", part.status, part.body)
	}
}

// refused checks that the registry answers with a challenge of the scheme.
func (c *client) refused(scheme string) answer {
	c.t.Helper()
	a := c.do(http.MethodGet, "/v2/", nil)
	challenge := a.header.Get("WWW-Authenticate")
	if a.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, scheme+" ") {
		c.t.Errorf("status %d, challenge %q, want 401 and %s", a.status, challenge, scheme)
	}
	return a
}

// expectCounts compares counts of requests, with keys such as "GET /blobs/".
func expectCounts(t testing.TB, r *Registry, want map[string]int) {
	t.Helper()
	for key, n := range want {
		method, path, _ := strings.Cut(key, " ")
		if got := r.Count(method, path); got != n {
			t.Errorf("%d requests %s, want %d", got, key, n)
		}
	}
	if t.Failed() {
		t.Logf("requests: %+v", r.Requests())
	}
}

var roundTripCounts = map[string]int{
	"POST /v2/acme/zlib/blobs/uploads/": 1,
	"PUT /v2/acme/zlib/blobs/uploads/":  1,
	"HEAD /v2/acme/zlib/blobs/":         1,
	"GET /v2/acme/zlib/blobs/":          2,
}

var challengeParameter = regexp.MustCompile(`(\w+)="([^"]*)"`)

// token asks the server that a challenge names for a token, by GET; change
// may add credentials.
func (c *client) token(challenge string, change func(*http.Request)) (answer, string) {
	c.t.Helper()
	parameters := map[string]string{}
	for _, m := range challengeParameter.FindAllStringSubmatch(challenge, -1) {
		parameters[m[1]] = m[2]
	}
	query := url.Values{"service": {parameters["service"]}, "scope": {parameters["scope"]}}
	request, err := http.NewRequest(http.MethodGet, parameters["realm"]+"?"+query.Encode(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	change(request)
	return c.askToken(request)
}

// tokenByForm asks for a token by the OAuth2 form.
func (c *client) tokenByForm(form url.Values) (answer, string) {
	c.t.Helper()
	request, err := http.NewRequest(http.MethodPost, c.r.Tokens.URL, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.askToken(request)
}

func (c *client) askToken(request *http.Request) (answer, string) {
	c.t.Helper()
	response, err := c.r.Client().Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		c.t.Fatal(err)
	}
	var decoded tokenAnswer
	if err := json.Unmarshal(a.body, &decoded); err != nil {
		c.t.Fatalf("decode the token server's answer %q: %v", a.body, err)
	}
	if decoded.Token != "" {
		return a, decoded.Token
	}
	return a, decoded.AccessToken
}
