package registrytest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var alice = Account{User: "alice", Password: "secret"}

func startWithTokens(t *testing.T, tls bool) (*Registry, *client) {
	t.Helper()
	r := StartDistribution(t, Options{TLS: tls, Token: &TokenOptions{
		Accounts: []Account{alice},
		Public:   []string{"acme/zlib"},
	}})
	return r, &client{t: t, r: r}
}

// challenge is what the registry asks for when a blob of repository is pushed.
func challenge(c *client, repository string) string {
	c.t.Helper()
	a := c.do(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", nil)
	if a.status != http.StatusUnauthorized {
		c.t.Fatalf("status %d without a token, want 401", a.status)
	}
	return a.header.Get("WWW-Authenticate")
}

func TestTokenOfAnAccountAllowsPushAndPull(t *testing.T) {
	for name, tls := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			r, c := startWithTokens(t, tls)
			c.refused("Bearer")
			asked := challenge(c, "acme/zlib")
			r.ClearRequests()
			wrong, _ := c.token(asked, func(q *http.Request) { q.SetBasicAuth("alice", "wrong") })
			if wrong.status != http.StatusUnauthorized {
				t.Errorf("a wrong password gets status %d", wrong.status)
			}
			_, token := c.token(asked, func(q *http.Request) { q.SetBasicAuth("alice", "secret") })
			c.by = "Bearer " + token
			c.roundTrip("acme/zlib")
			expectCounts(t, r, roundTripCounts)
			if r.Tokens.Issued("") != 1 || r.Tokens.Issued(GrantBasic) != 1 || len(r.Tokens.Requests()) != 2 {
				t.Errorf("token requests: %+v, want one refused and one granted", r.Tokens.Requests())
			}
			// docker-registry names the actions of a scope in either order.
			last := r.Tokens.Requests()[1]
			if last.User != "alice" || len(last.Scopes) != 1 || !strings.HasPrefix(last.Scopes[0], "repository:acme/zlib:pu") {
				t.Errorf("recorded %+v", last)
			}
			if a := c.do(http.MethodPost, "/v2/acme/other/blobs/uploads/", nil); a.status != http.StatusUnauthorized {
				t.Errorf("another repository takes that token: status %d", a.status)
			}
		})
	}
}

func TestAnonymousMayPullWhatIsPublic(t *testing.T) {
	_, c := startWithTokens(t, false)
	paths := map[string]string{}
	for _, repository := range []string{"acme/zlib", "acme/private"} {
		_, token := c.token(challenge(c, repository), func(q *http.Request) { q.SetBasicAuth("alice", "secret") })
		paths[repository] = (&client{t: t, r: c.r, by: "Bearer " + token}).push(repository, []byte("content"))
	}
	for repository, want := range map[string]int{"acme/zlib": http.StatusOK, "acme/private": http.StatusUnauthorized} {
		asked := c.do(http.MethodGet, paths[repository], nil).header.Get("WWW-Authenticate")
		_, token := c.token(asked, func(*http.Request) {})
		holder := &client{t: t, r: c.r, by: "Bearer " + token}
		if a := holder.do(http.MethodGet, paths[repository], nil); a.status != want {
			t.Errorf("pulling from %s: status %d, want %d", repository, a.status, want)
		}
		if a := holder.do(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", nil); a.status != http.StatusUnauthorized {
			t.Errorf("pushing to %s: status %d, want 401", repository, a.status)
		}
	}
	if n := c.r.Tokens.Issued(GrantAnonymous); n != 2 {
		t.Errorf("%d anonymous tokens, want 2", n)
	}
}

func TestFormGivesAndTakesIdentityTokens(t *testing.T) {
	r, c := startWithTokens(t, false)
	form := url.Values{
		"grant_type": {GrantPassword}, "username": {"alice"}, "password": {"secret"},
		"service": {tokenService}, "scope": {"repository:acme/zlib:pull,push"}, "access_type": {"offline"},
	}
	login, token := c.tokenByForm(form)
	if a := (&client{t: t, r: r, by: "Bearer " + token}).do(http.MethodPost, "/v2/acme/zlib/blobs/uploads/", nil); a.status != http.StatusAccepted {
		t.Errorf("a token for a password gets status %d", a.status)
	}
	var decoded tokenAnswer
	if err := json.Unmarshal(login.body, &decoded); err != nil || decoded.RefreshToken == "" {
		t.Fatalf("a login gave %s (%v), want a refresh token", login.body, err)
	}
	form = url.Values{"grant_type": {GrantRefresh}, "service": form["service"], "scope": form["scope"]}
	for _, identity := range []string{decoded.RefreshToken, r.Tokens.IdentityToken("bob")} {
		form.Set("refresh_token", identity)
		_, token = c.tokenByForm(form)
		(&client{t: t, r: r, by: "Bearer " + token}).roundTrip("acme/zlib")
	}
	r.Tokens.RevokeIdentityTokens()
	if a, _ := c.tokenByForm(form); a.status != http.StatusUnauthorized {
		t.Errorf("a revoked identity token gets status %d", a.status)
	}
	if r.Tokens.Issued(GrantPassword) != 1 || r.Tokens.Issued(GrantRefresh) != 2 {
		t.Errorf("token requests: %+v", r.Tokens.Requests())
	}
}

func TestExpiredTokensAreRefused(t *testing.T) {
	r, c := startWithTokens(t, false)
	asked := challenge(c, "acme/zlib")
	r.Tokens.ExpireNext(1)
	for _, want := range []int{http.StatusUnauthorized, http.StatusAccepted} {
		_, token := c.token(asked, func(q *http.Request) { q.SetBasicAuth("alice", "secret") })
		c.by = "Bearer " + token
		if a := c.do(http.MethodPost, "/v2/acme/zlib/blobs/uploads/", nil); a.status != want {
			t.Errorf("status %d, want %d", a.status, want)
		}
	}
}

func TestTokenAnswerHasTheFieldsAskedFor(t *testing.T) {
	tests := map[string]struct {
		options   TokenOptions
		has, lack []string
	}{
		"both, five minutes":  {TokenOptions{}, []string{`"token":`, `"access_token":`, `"expires_in":300`}, nil},
		"only token":          {TokenOptions{Field: "token"}, []string{`"token":`}, []string{`"access_token":`}},
		"only access_token":   {TokenOptions{Field: "access_token"}, []string{`"access_token":`}, []string{`"token":`}},
		"two seconds":         {TokenOptions{ExpiresIn: 2 * time.Second}, []string{`"expires_in":2`}, nil},
		"no word of its life": {TokenOptions{ExpiresIn: -1}, nil, []string{"expires_in"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := startTokenServer(t, test.options, nil)
			response, err := http.Get(s.URL + "?service=" + url.QueryEscape(tokenService))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var fields map[string]any
			if err := json.NewDecoder(response.Body).Decode(&fields); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range test.has {
				if !strings.Contains(string(text), field) {
					t.Errorf("%s lacks %s", text, field)
				}
			}
			for _, field := range test.lack {
				if strings.Contains(string(text), field) {
					t.Errorf("%s has %s", text, field)
				}
			}
		})
	}
}
