package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	orasdef "oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// tokenFiles keeps bearer tokens between runs, a file each, so that the next run
// need neither be refused first nor ask a token server. A token is for one
// registry, over TLS or not, one user and what it allows; nothing else is kept,
// and no password ever. What cannot be kept or read is done without.
type tokenFiles struct{ dir string }

// How long a token lives that does not say so itself, the least that it must
// have left to be sent, and how long one is kept at most.
// https://distribution.github.io/distribution/spec/auth/token/
const (
	tokenLife   = time.Minute
	tokenMargin = 10 * time.Second
	tokenKept   = time.Hour
)

const maxToken = 64 << 10 // bytes of a file; the headers of a request may not have more

// keptToken is what a file has.
type keptToken struct {
	For     string    `json:"for"` // what the name of the file is a digest of
	Expires time.Time `json:"expires"`
	Token   string    `json:"token"`
}

// path gives the file of what a token is for. All of one registry begin alike.
func (t tokenFiles) path(registry, what string) string {
	return filepath.Join(t.dir, beginning(registry)+fileOf(what))
}

// newToken begins the names of files that are being written.
const newToken = "new-"

// isTokenFile tells whether a name is one that path gives.
func isTokenFile(name string) bool {
	first, second, _ := strings.Cut(name, "-")
	return len(first) == 32 && len(second) == 32 && strings.Trim(first+second, "0123456789abcdef") == ""
}

func beginning(registry string) string { return fileOf(strings.ToLower(registry)) + "-" }

func fileOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// load gives a token that is still good; empty when there is none.
func (t tokenFiles) load(registry, what string) string {
	path := t.path(registry, what)
	info, err := os.Lstat(path)
	dir, dirErr := os.Lstat(t.dir)
	if err != nil || dirErr != nil || !info.Mode().IsRegular() || !isPrivate(info) || !dir.IsDir() || !isPrivate(dir) {
		return ""
	}
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	if opened, err := file.Stat(); err != nil || !os.SameFile(info, opened) {
		return ""
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxToken))
	var kept keptToken
	if err != nil || json.Unmarshal(raw, &kept) != nil || kept.For != what || !isToken(kept.Token) {
		return ""
	}
	if left := time.Until(kept.Expires); left < tokenMargin || left > tokenKept {
		return ""
	}
	return kept.Token
}

// isToken tells whether text can stand in a header.
// https://www.rfc-editor.org/rfc/rfc6750#section-2.1
func isToken(text string) bool {
	return text != "" && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") == ""
}

// save keeps a token that was got at a time, in place of the one before.
func (t tokenFiles) save(registry, what, token string, got time.Time) {
	expires := expiry(token, got)
	if !isToken(token) || time.Until(expires) < tokenMargin || os.MkdirAll(t.dir, 0o700) != nil {
		return
	}
	if dir, err := os.Lstat(t.dir); err != nil || !dir.IsDir() || !isPrivate(dir) {
		return // it would not be believed
	}
	raw, err := json.Marshal(keptToken{what, expires, token})
	if err != nil || len(raw) > maxToken {
		return
	}
	t.sweep()
	_ = replaceFile(t.path(registry, what), newToken, raw)
}

// sweep removes what is past its time, and is ours by its name.
func (t tokenFiles) sweep() {
	t.remove(func(name string) bool {
		if !strings.HasPrefix(name, newToken) && !isTokenFile(name) {
			return false
		}
		info, err := os.Lstat(filepath.Join(t.dir, name))
		return err == nil && time.Since(info.ModTime()) > tokenKept
	})
}

// forget removes the tokens of a registry.
func (t tokenFiles) forget(registry string) {
	t.remove(func(name string) bool { return strings.HasPrefix(name, beginning(registry)) })
}

func (t tokenFiles) remove(which func(name string) bool) {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if which(entry.Name()) {
			_ = os.Remove(filepath.Join(t.dir, entry.Name())) // it may be gone, or come to nothing by itself
		}
	}
}

// expiry tells when a token ends, by its own word where it is a JSON Web Token.
// Only the registry can tell whether that is true.
func expiry(token string, got time.Time) time.Time {
	expires := got.Add(tokenLife)
	var claims struct {
		Expires float64 `json:"exp"` // seconds
	}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		raw, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil && json.Unmarshal(raw, &claims) == nil && claims.Expires > 0 {
			expires = got.Add(tokenKept)
			if left := claims.Expires - float64(got.UnixMilli())/1e3; left < tokenKept.Seconds() {
				expires = got.Add(time.Duration(left * float64(time.Second)))
			}
		}
	}
	return expires
}

// tokenCache is the [auth.Cache] of one user for one repository: in memory, and
// where there is a place for it, kept.
type tokenCache struct {
	auth.Cache
	kept     tokenFiles // without a directory nothing is kept
	registry string
	user     string // what tells users apart, and is no secret
	secrets  *secrets

	recalling sync.Mutex // is not held by who has mu

	mu     sync.Mutex
	looked map[string]bool   // for what tokens were looked for
	from   map[string]string // what came from files, by what it is for
	barred map[string]string // what of that is not to be sent any more
	got    map[string]uint64 // when tokens were got, as a count
	clock  uint64
}

func newTokenCache(kept tokenFiles, registry string, cred auth.Credential, secrets *secrets) *tokenCache {
	c := &tokenCache{Cache: auth.NewCache(), kept: kept, registry: registry, secrets: secrets, looked: map[string]bool{}, from: map[string]string{}, barred: map[string]string{}, got: map[string]uint64{}}
	switch {
	case cred.AccessToken != "": // it is a token itself, which the user keeps
		c.kept.dir = ""
	case cred.RefreshToken != "":
		c.user = "token " + fileOf(cred.RefreshToken)
	case cred.Username != "":
		c.user = "user " + cred.Username
	}
	return c
}

// asking is what the cache is to know of a request, and what it notes of it.
type asking struct {
	scheme string // http or https
	since  uint64 // the cache's count when it began
	kept   string // the token that it was sent with, if that came from a file
}

type askingKey struct{}

func askingOf(ctx context.Context) *asking {
	if of, ok := ctx.Value(askingKey{}).(*asking); ok {
		return of
	}
	return &asking{}
}

// mark gives a request whose context says what the cache is to know of it.
func (c *tokenCache) mark(req *http.Request) *http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return req.WithContext(context.WithValue(req.Context(), askingKey{}, &asking{scheme: req.URL.Scheme, since: c.clock}))
}

// whatFor names what a token is for. One that was given over TLS is not sent
// without it.
func (c *tokenCache) whatFor(ctx context.Context, host, key string) string {
	of := askingOf(ctx)
	return strings.Join([]string{of.scheme, c.registry, host, c.user, key}, "\n")
}

// GetScheme also looks for a token that was kept: with it, the scheme is known.
func (c *tokenCache) GetScheme(ctx context.Context, host string) (auth.Scheme, error) {
	if err := c.recall(ctx, host, scopesOf(ctx, host)); err != nil {
		return auth.SchemeUnknown, err
	}
	return c.Cache.GetScheme(ctx, host)
}

// recall takes a token that was kept into memory. Requests that begin at the same
// time wait for it.
func (c *tokenCache) recall(ctx context.Context, host, key string) error {
	c.recalling.Lock()
	defer c.recalling.Unlock()
	token := c.find(c.whatFor(ctx, host, key))
	if token == "" {
		return nil
	}
	_, err := c.Cache.Set(ctx, host, auth.SchemeBearer, key, func(context.Context) (string, error) { return token, nil })
	return err
}

// find looks once whether a token was kept.
func (c *tokenCache) find(what string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.dir == "" || c.looked[what] {
		return ""
	}
	c.looked[what] = true
	token := c.kept.load(c.registry, what)
	if token != "" {
		c.from[what] = token
		c.secrets.add(token)
	}
	return token
}

// GetToken gives a token, unless that is one that is not to be sent any more.
func (c *tokenCache) GetToken(ctx context.Context, host string, scheme auth.Scheme, key string) (string, error) {
	token, err := c.Cache.GetToken(ctx, host, scheme, key)
	what := c.whatFor(ctx, host, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && token == c.barred[what] {
		return "", orasdef.ErrNotFound
	}
	if err == nil && token == c.from[what] {
		askingOf(ctx).kept = token
	}
	return token, err
}

// Set gets a token, unless another request, which was refused at the same time,
// has got one since this one began.
func (c *tokenCache) Set(ctx context.Context, host string, scheme auth.Scheme, key string, fetch func(context.Context) (string, error)) (string, error) {
	if scheme != auth.SchemeBearer {
		return c.Cache.Set(ctx, host, scheme, key, fetch)
	}
	what := c.whatFor(ctx, host, key)
	c.mu.Lock()
	newer := c.got[what] > askingOf(ctx).since
	c.mu.Unlock()
	if newer {
		if token, err := c.GetToken(ctx, host, scheme, key); err == nil {
			return token, nil
		}
	}
	token, err := c.Cache.Set(ctx, host, scheme, key, func(ctx context.Context) (string, error) {
		start := time.Now()
		token, err := fetch(context.WithValue(ctx, tokenRequest{}, true))
		if err == nil {
			c.note(what, token, start)
		}
		return token, err
	})
	if asked := scopesOf(ctx, host); err == nil && asked != key {
		// The registry wants more than was thought. What is asked for next is
		// asked for in the same way, and is to be let in at once.
		start := time.Now()
		return c.Cache.Set(ctx, host, scheme, asked, func(context.Context) (string, error) {
			c.note(c.whatFor(ctx, host, asked), token, start)
			return token, nil
		})
	}
	return token, err
}

// note notes that a token was got at a time, and keeps it.
func (c *tokenCache) note(what, token string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	c.got[what] = c.clock
	c.secrets.add(token)
	c.looked[what] = true
	delete(c.from, what)
	if c.barred[what] == token {
		delete(c.barred, what) // it is what there is
	}
	if c.kept.dir != "" {
		c.kept.save(c.registry, what, token, at)
	}
}

// bar stops the token that a request was sent with, if that came from a file,
// and tells whether it did: it may allow less than a new one would.
func (c *tokenCache) bar(ctx context.Context, host string) bool {
	what := c.whatFor(ctx, host, scopesOf(ctx, host))
	sent := askingOf(ctx).kept
	c.mu.Lock()
	defer c.mu.Unlock()
	if sent != "" && c.from[what] == sent {
		delete(c.from, what)
		c.barred[what] = sent
	}
	return sent != "" // another request may have stopped it
}

func scopesOf(ctx context.Context, host string) string {
	return strings.Join(auth.GetAllScopesForHost(ctx, host), " ")
}
