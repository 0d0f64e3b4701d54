package registrytest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tokenService = "ocipkg test registry"
	tokenIssuer  = "ocipkg test token server"

	// defaultExpiresIn is the life of a token when TokenOptions says nothing.
	defaultExpiresIn = 5 * time.Minute
)

// TokenOptions say whom a token server gives which tokens.
type TokenOptions struct {
	// Accounts may do everything. A wrong password gets status 401.
	Accounts []Account
	// Public lists the repositories that everybody may pull, without
	// credentials. For others the anonymous get a token that allows nothing.
	Public []string
	// ExpiresIn is the life of a token, in whole seconds. 0 is five minutes.
	// Less than 0 leaves expires_in out of the answer, which means a minute.
	// docker-registry takes a token for another minute after its end: see
	// TokenServer.ExpireNext.
	ExpiresIn time.Duration
	// Field is the one field, "token" or "access_token", in which an answer
	// to GET holds the token; empty is both.
	Field string
}

// TokenServer gives out the tokens that a registry asks for, by the two
// protocols in use: GET, with HTTP Basic authentication or without, and the
// OAuth2 form by POST, which also gives and takes identity tokens.
//
// https://distribution.github.io/distribution/spec/auth/token/ and
// https://distribution.github.io/distribution/spec/auth/oauth/
type TokenServer struct {
	// URL is the realm of the registry's challenge.
	URL string

	options TokenOptions
	signer  *authority

	mu sync.Mutex
	// identities maps identity tokens to user names.
	identities map[string]string
	// expire is the number of tokens still to be given out as expired.
	expire int
	asked  []TokenRequest
}

// The ways in which a token is asked for.
const (
	GrantAnonymous = "anonymous"
	GrantBasic     = "basic"
	GrantPassword  = "password"
	GrantRefresh   = "refresh_token"
)

// TokenRequest is a request for a token.
type TokenRequest struct {
	// Grant is one of the Grant constants, or what a form said instead.
	Grant string
	// User is the name that was given, or that an identity token stands for.
	User string
	// Scopes are those asked for, such as "repository:acme/zlib:pull,push".
	Scopes []string
	// Status is that of the answer: 200 when a token was given.
	Status int
}

// access is what a token allows, as its claims and the scopes have it.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// startTokenServer starts a token server; with an authority it speaks TLS.
func startTokenServer(t testing.TB, options TokenOptions, tls *authority) *TokenServer {
	t.Helper()
	signer, err := newAuthority("ocipkg test token signer")
	if err != nil {
		t.Fatal(err)
	}
	s := &TokenServer{options: options, signer: signer, identities: map[string]string{}}
	server := serve(t, s, tls)
	s.URL = server.url + "/token"
	return s
}

// Requests returns the requests so far, refused ones included.
func (s *TokenServer) Requests() []TokenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Issued counts the tokens given out by the given grant, or by any when it is
// empty.
func (s *TokenServer) Issued(grant string) int {
	n := 0
	for _, request := range s.Requests() {
		if request.Status == http.StatusOK && (grant == "" || request.Grant == grant) {
			n++
		}
	}
	return n
}

// ExpireNext makes the next n tokens ones that expired an hour ago, though
// their answers promise the usual life: the registry will refuse them.
func (s *TokenServer) ExpireNext(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire = n
}

// IdentityToken returns a new identity token of a user, as a login with
// access_type=offline does.
func (s *TokenServer) IdentityToken(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := rand.Text()
	s.identities[token] = user
	return token
}

// RevokeIdentityTokens makes all identity tokens so far invalid.
func (s *TokenServer) RevokeIdentityTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.identities)
}

// tokenAnswer is the answer to a granted request, of either protocol.
type tokenAnswer struct {
	Token        string `json:"token,omitempty"`
	AccessToken  string `json:"access_token,omitempty"`
	ExpiresIn    int    `json:"expires_in,omitempty"`
	IssuedAt     string `json:"issued_at,omitempty"`
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// ServeHTTP answers requests for tokens at any path.
func (s *TokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		writeError(w, http.StatusBadRequest, "INVALID", err.Error())
		return
	}
	request := TokenRequest{Scopes: splitScopes(r.Form["scope"])}
	switch r.Method {
	case http.MethodGet:
		request.Status = s.identifyByBasic(r, &request)
	case http.MethodPost:
		request.Status = s.identifyByForm(r, &request)
	default:
		request.Status = http.StatusMethodNotAllowed
	}
	if request.Status == http.StatusOK && r.Form.Get("service") != tokenService {
		request.Status = http.StatusBadRequest
	}
	s.mu.Lock()
	s.asked = append(s.asked, request)
	s.mu.Unlock()
	if request.Status != http.StatusOK {
		writeError(w, request.Status, "UNAUTHORIZED", "no token for this request")
		return
	}
	answer, err := s.grant(r, request)
	if err != nil {
		writeError(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone is no concern of the server's.
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *TokenServer) identifyByBasic(r *http.Request, request *TokenRequest) int {
	user, password, ok := r.BasicAuth()
	if !ok {
		request.Grant = GrantAnonymous
		return http.StatusOK
	}
	request.Grant, request.User = GrantBasic, user
	return s.check(Account{User: user, Password: password})
}

func (s *TokenServer) identifyByForm(r *http.Request, request *TokenRequest) int {
	request.Grant = r.PostForm.Get("grant_type")
	switch request.Grant {
	case GrantPassword:
		request.User = r.PostForm.Get("username")
		return s.check(Account{User: request.User, Password: r.PostForm.Get("password")})
	case GrantRefresh:
		s.mu.Lock()
		defer s.mu.Unlock()
		user, ok := s.identities[r.PostForm.Get("refresh_token")]
		if !ok {
			return http.StatusUnauthorized
		}
		request.User = user
		return http.StatusOK
	}
	return http.StatusBadRequest
}

func (s *TokenServer) check(account Account) int {
	if slices.Contains(s.options.Accounts, account) {
		return http.StatusOK
	}
	return http.StatusUnauthorized
}

// grant makes the answer to a request that may have a token.
func (s *TokenServer) grant(r *http.Request, request TokenRequest) (tokenAnswer, error) {
	allowed := []access{}
	for _, scope := range request.Scopes {
		if a, ok := s.allow(scope, request.User != ""); ok {
			allowed = append(allowed, a)
		}
	}
	life := s.options.ExpiresIn
	if life == 0 {
		life = defaultExpiresIn
	}
	answer := tokenAnswer{IssuedAt: time.Now().UTC().Format(time.RFC3339)}
	if life < 0 {
		life = time.Minute
	} else {
		answer.ExpiresIn = int(life / time.Second)
	}
	signed, err := s.sign(request.User, allowed, life)
	if err != nil {
		return tokenAnswer{}, err
	}
	if r.Method == http.MethodPost {
		answer.AccessToken = signed
		answer.Scope = strings.Join(request.Scopes, " ")
	} else {
		if s.options.Field != "access_token" {
			answer.Token = signed
		}
		if s.options.Field != "token" {
			answer.AccessToken = signed
		}
	}
	if r.Form.Get("access_type") == "offline" || r.Form.Get("offline_token") == "true" {
		answer.RefreshToken = s.IdentityToken(request.User)
	}
	return answer, nil
}

// allow returns what of a scope is allowed; ok is false when nothing is.
func (s *TokenServer) allow(scope string, authenticated bool) (a access, ok bool) {
	kind, rest, _ := strings.Cut(scope, ":")
	colon := strings.LastIndexByte(rest, ':')
	if colon < 0 {
		return access{}, false
	}
	a = access{Type: kind, Name: rest[:colon], Actions: strings.Split(rest[colon+1:], ",")}
	if authenticated {
		return a, true
	}
	if kind != "repository" || !slices.Contains(s.options.Public, a.Name) || !slices.Contains(a.Actions, "pull") {
		return access{}, false
	}
	a.Actions = []string{"pull"}
	return a, true
}

// sign makes the token itself.
// https://distribution.github.io/distribution/spec/auth/jwt/
func (s *TokenServer) sign(subject string, allowed []access, life time.Duration) (string, error) {
	now := time.Now()
	begin, end := now.Add(-time.Minute), now.Add(life)
	s.mu.Lock()
	if s.expire > 0 {
		s.expire--
		begin, end = now.Add(-2*time.Hour), now.Add(-time.Hour)
	}
	s.mu.Unlock()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": tokenIssuer,
		"sub": subject,
		// A string: docker-registry cannot read the list that the package's
		// own claims type would write.
		"aud":    tokenService,
		"iat":    begin.Unix(),
		"nbf":    begin.Unix(),
		"exp":    end.Unix(),
		"jti":    rand.Text(),
		"access": allowed,
	})
	token.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(s.signer.certificate.Raw)}
	signed, err := token.SignedString(s.signer.key)
	if err != nil {
		return "", fmt.Errorf("sign a token for %q: %w", subject, err)
	}
	return signed, nil
}

// splitScopes splits parameters that hold several scopes, separated by blanks.
func splitScopes(parameters []string) []string {
	var scopes []string
	for _, parameter := range parameters {
		scopes = append(scopes, strings.Fields(parameter)...)
	}
	return scopes
}
