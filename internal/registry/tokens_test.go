package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// behindTokens is a registry with a token server, and options for one run after
// the other, which keep their tokens in the same place.
func behindTokens(t *testing.T) (*server, *tokenServer, Options) {
	tokens := tokens(t, "access_token", nil)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, answer(http.StatusOK, "content"))})
	return s, tokens, Options{Tokens: filepath.Join(t.TempDir(), "tokens")}
}

// tokenFile gives the only file in a directory.
func tokenFile(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the tokens are in %q, %v", files, err)
	}
	return files[0]
}

func TestATokenIsKeptForTheNextRun(t *testing.T) {
	s, tokens, options := behindTokens(t)
	for range 3 {
		wantFetched(t, repo(t, s.host, options), "content")
	}
	tokens.wantTimes(t, "/token", 1)
	s.wantTimes(t, "GET", 1+3) // one was refused
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]os.FileMode{tokenFile(t, options.Tokens): 0o600, options.Tokens: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestATokenThatIsRefusedIsRenewedAndKept(t *testing.T) {
	s, tokens, options := behindTokens(t)
	wantFetched(t, repo(t, s.host, options), "content")
	tokens.expire()
	for range 2 {
		wantFetched(t, repo(t, s.host, options), "content")
	}
	tokens.wantTimes(t, "/token", 2)
}

func TestATokenThatAllowsTooLittleIsRenewed(t *testing.T) {
	tokens := tokens(t, "token", nil)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token-1" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answer(http.StatusOK, "content")(w, r)
	})})
	options := Options{Tokens: filepath.Join(t.TempDir(), "tokens")}
	_, err := fetch(t, repo(t, s.host, options), blobOf("content"))
	wantError(t, err, errdef.ErrUnauthorized, "forbids")
	tokens.wantTimes(t, "/token", 1) // a new one was too little, and another would be
	wantFetched(t, repo(t, s.host, options), "content")
	tokens.wantTimes(t, "/token", 2)
	s.wantTimes(t, "GET", 2+3)
}

func TestATokenThatAllowsTooLittleIsRenewedForAllThatMetThat(t *testing.T) {
	tokens := tokens(t, "token", nil)
	var enough atomic.Int32 // the first token that allows what is asked
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, func(w http.ResponseWriter, r *http.Request) {
		var n int32
		if _, err := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer token-%d", &n); err != nil || n < enough.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if r.Method == http.MethodPut {
			w.Header().Set("Docker-Content-Digest", describeEmpty().Digest.String())
			w.WriteHeader(http.StatusCreated)
			return
		}
		answer(http.StatusOK, "content")(w, r)
	})})
	options := Options{Tokens: filepath.Join(t.TempDir(), "tokens")}
	wantFetched(t, repo(t, s.host, options), "content")
	enough.Store(2) // the rights have changed
	r := repo(t, s.host, options)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { wantFetched(t, r, "content") })
	}
	all.Wait()

	// Also a manifest, the first that a push sends when all blobs are there.
	for range 2 {
		if err := repo(t, s.host, options).PushManifest(t.Context(), describeEmpty(), []byte(emptyManifest), "1"); err != nil {
			t.Errorf("a manifest: %v", err)
		}
		tokens.mu.Lock()
		enough.Store(int32(tokens.issued) + 1)
		tokens.mu.Unlock()
	}
}

const emptyManifest = `{"schemaVersion":2}`

func describeEmpty() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(emptyManifest), Size: int64(len(emptyManifest))}
}

func TestATokenIsForOneUserAndOneRepository(t *testing.T) {
	s, tokens, options := behindTokens(t)
	wantFetched(t, repo(t, s.host, options), "content")
	for i, cred := range []auth.Credential{ann, {Username: "bob", Password: "b"}, {RefreshToken: "one"}, {RefreshToken: "other"}} {
		as := options
		as.Credentials = stored(t, s.host, cred)
		for range 2 {
			wantFetched(t, repo(t, s.host, as), "content")
		}
		tokens.wantTimes(t, "/token", 2+i)
	}
	client := New(options)
	t.Cleanup(client.Close)
	wantFetched(t, client.Repository(reference.Reference{Registry: s.host, Repository: "acme/bar"}), "content")
	tokens.wantTimes(t, "/token", 6)
	files, _ := filepath.Glob(filepath.Join(options.Tokens, "*"))
	if len(files) != 6 {
		t.Errorf("the tokens are in %q", files)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(raw), ann.Password) || strings.Contains(string(raw), `other`) {
			t.Errorf("%s has %s, %v", file, raw, err)
		}
	}
}

func TestPasswordsAndTokensOfTheUsersOwnAreNotKept(t *testing.T) {
	options := Options{Tokens: filepath.Join(t.TempDir(), "tokens")}
	s := serve(t, map[string]http.HandlerFunc{"/v2/": basic("Basic", ann.Username, ann.Password, answer(http.StatusOK, "content"))})
	options.Credentials = stored(t, s.host, ann)
	wantFetched(t, repo(t, s.host, options), "content")

	tokens := tokens(t, "token", nil)
	tokens.good["own"] = true
	s = serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, answer(http.StatusOK, "content"))})
	options.Credentials = &Credentials{paths: []string{filepath.Join(t.TempDir(), "config.json")}}
	raw := fmt.Sprintf(`{"auths": {%q: {"registrytoken": "own"}}}`, s.host)
	if err := os.WriteFile(options.Credentials.paths[0], []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFetched(t, repo(t, s.host, options), "content")
	tokens.wantTimes(t, "/token", 0)
	if _, err := os.Stat(options.Tokens); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was kept: %v", err)
	}
}

func TestWhatIsNotToBeTrustedIsNoToken(t *testing.T) {
	edit := func(change func(*keptToken)) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			var kept keptToken
			raw, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(raw, &kept)
			}
			change(&kept)
			if err == nil {
				raw, err = json.Marshal(kept)
			}
			if err == nil {
				err = os.WriteFile(file, raw, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	mode := func(of func(file string) string, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			if err := os.Chmod(of(file), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	itself := func(file string) string { return file }
	cases := map[string]func(t *testing.T, file string){
		"expired":        edit(func(k *keptToken) { k.Expires = time.Now().Add(-time.Second) }),
		"nearly expired": edit(func(k *keptToken) { k.Expires = time.Now().Add(tokenMargin / 2) }),
		"for ever":       edit(func(k *keptToken) { k.Expires = time.Now().Add(1000 * time.Hour) }),
		"of another":     edit(func(k *keptToken) { k.For += "x" }),
		"no token":       edit(func(k *keptToken) { k.Token = "" }),
		"two headers":    edit(func(k *keptToken) { k.Token += "\r\nX: y" }),
		"broken": func(t *testing.T, file string) {
			if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a directory": func(t *testing.T, file string) {
			if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
				t.Fatal(err)
			}
		},
	}
	if runtime.GOOS != "windows" {
		cases["readable by others"] = mode(itself, 0o644)
		cases["writable by others"] = mode(itself, 0o620)
		cases["in a directory of others"] = mode(filepath.Dir, 0o777)
		cases["a link"] = func(t *testing.T, file string) {
			other := filepath.Join(t.TempDir(), "token")
			if err := errors.Join(os.Rename(file, other), os.Symlink(other, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			s, tokens, options := behindTokens(t)
			wantFetched(t, repo(t, s.host, options), "content")
			spoil(t, tokenFile(t, options.Tokens))
			wantFetched(t, repo(t, s.host, options), "content")
			tokens.wantTimes(t, "/token", 2)
			s.wantTimes(t, "GET", 4)
		})
	}
}

func TestWithoutAPlaceTokensAreNotKept(t *testing.T) {
	s, tokens, options := behindTokens(t)
	if err := os.WriteFile(options.Tokens, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, dir := range []string{options.Tokens, filepath.Join(options.Tokens, "below"), ""} {
		options.Tokens = dir
		wantFetched(t, repo(t, s.host, options), "content")
		tokens.wantTimes(t, "/token", i+1)
	}
}

func TestALoginAndALogoutDropTheTokensOfTheirRegistry(t *testing.T) {
	s, tokens, options := behindTokens(t)
	other, _, _ := behindTokens(t)
	options.Credentials = credentialsIn(t, "{}")
	wantFetched(t, repo(t, other.host, options), "content")
	wantFetched(t, repo(t, s.host, options), "content")
	// A password is not believed for a token that is there.
	if err := New(options).Login(t.Context(), s.host, ann.Username, ann.Password); err != nil {
		t.Fatal(err)
	}
	tokens.wantTimes(t, "/token", 2)
	tokenFile(t, options.Tokens) // that of the other
	wantFetched(t, repo(t, s.host, options), "content")
	if err := New(options).Login(t.Context(), s.host, ann.Username, ann.Password); err != nil {
		t.Fatal(err)
	}
	tokens.wantTimes(t, "/token", 4)
	wantFetched(t, repo(t, s.host, options), "content")
	if err := New(options).Logout(t.Context(), s.host); err != nil {
		t.Error(err)
	}
	tokenFile(t, options.Tokens)
}

func TestRequestsThatAreRefusedTogetherGetOneToken(t *testing.T) {
	tokens := tokens(t, "token", nil)
	var all sync.WaitGroup
	all.Add(5)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		if !tokens.accepts(r) {
			all.Done()
			all.Wait() // all have come without one
		}
		tokens.protected(`Bearer realm="REALM"`, answer(http.StatusOK, "content"))(w, r)
	}})
	r := repo(t, s.host, Options{})
	var got sync.WaitGroup
	for range 5 {
		got.Go(func() { wantFetched(t, r, "content") })
	}
	got.Wait()
	tokens.wantTimes(t, "/token", 1)
}

func TestARegistryThatWantsMoreThanWasThoughtIsAskedSoAtOnce(t *testing.T) {
	tokens := tokens(t, "token", nil)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM",scope="repository:acme/foo:pull repository:catalog:*"`, answer(http.StatusOK, "content"))})
	options := Options{Tokens: filepath.Join(t.TempDir(), "tokens")}
	for range 2 {
		r := repo(t, s.host, options)
		wantFetched(t, r, "content")
		wantFetched(t, r, "content")
	}
	tokens.wantTimes(t, "/token", 1)
	s.wantTimes(t, "GET", 5)
}

func TestATokenEndsWhenItSays(t *testing.T) {
	now := time.Now()
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	}
	in := func(d time.Duration) string { return token(fmt.Sprintf(`{"exp": %d}`, now.Add(d).Unix())) }
	for text, want := range map[string]time.Duration{
		"opaque": tokenLife, "a.b.c": tokenLife, token(`{}`): tokenLife, token(`{"exp": "soon"}`): tokenLife, token(`[`): tokenLife, token(`{"exp": -5}`): tokenLife,
		in(5 * time.Minute): 5 * time.Minute, in(-time.Minute): -time.Minute, in(48 * time.Hour): tokenKept, token(`{"exp": 1e300}`): tokenKept,
	} {
		if got := expiry(text, now).Sub(now).Round(time.Second); (got - want).Abs() > time.Second {
			t.Errorf("%s ends in %v, want %v", text, got, want)
		}
	}
}

func TestOldTokensAreSweptAway(t *testing.T) {
	s, _, options := behindTokens(t)
	long := time.Now().Add(-2 * tokenKept)
	files := tokenFiles{options.Tokens}
	if err := os.Mkdir(options.Tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, stays := range map[string]bool{
		files.path("h.io", "something"):               false,
		filepath.Join(options.Tokens, newToken+"123"): false, // of one that was killed
		filepath.Join(options.Tokens, "somebody's"):   true,
	} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, long, long)); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := os.Stat(path); (err == nil) != stays {
				t.Errorf("%s is there: %v", path, err == nil)
			}
		}()
	}
	wantFetched(t, repo(t, s.host, options), "content")
}

func TestARefusalIsNoEndOfAConnection(t *testing.T) {
	tokens := tokens(t, "token", nil)
	s := newServer(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		if !tokens.accepts(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+tokens.URL+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, errorDocument("UNAUTHORIZED", "authentication required"))
			return
		}
		answer(http.StatusOK, "content")(w, r)
	}})
	var connections atomic.Int32
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	r := repo(t, strings.TrimPrefix(s.URL, "http://"), Options{})
	for range 3 {
		wantFetched(t, r, "content")
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestRequestsThatBeginTogetherHaveTheTokenThatWasKept(t *testing.T) {
	s, tokens, options := behindTokens(t)
	wantFetched(t, repo(t, s.host, options), "content")
	for range 20 {
		r := repo(t, s.host, options)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { wantFetched(t, r, "content") })
		}
		all.Wait()
	}
	tokens.wantTimes(t, "/token", 1)
	s.wantTimes(t, "GET", 2+100)
}
