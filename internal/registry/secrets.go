package registry

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// secrets knows what must not be shown, whoever says it: a registry may put
// what it was sent into the text of a refusal.
type secrets struct {
	mu  sync.Mutex
	all []string // the longest first
}

// leastSecret is how long what is hidden is at least: a short word is all over
// texts, and to hide it would tell it.
const leastSecret = 6

func (s *secrets) add(texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range texts {
		if len(text) >= leastSecret && !slices.Contains(s.all, text) {
			s.all = append(s.all, text)
		}
	}
	slices.SortStableFunc(s.all, func(a, b string) int { return len(b) - len(a) })
}

// addCredential adds all that a credential is sent as.
func (s *secrets) addCredential(cred auth.Credential) {
	s.add(cred.Password, cred.RefreshToken, cred.AccessToken)
	if cred.Password != "" {
		s.add(base64.StdEncoding.EncodeToString([]byte(cred.Username + ":" + cred.Password)))
	}
}

const hiddenText = "[hidden]"

// hide gives a text without what must not be shown.
func (s *secrets) hide(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.all {
		text = strings.ReplaceAll(text, secret, hiddenText)
	}
	return bareURLs(text)
}

// bareURLs takes from the URLs in a text what may be secret: a user's name with
// a password, and the query.
func bareURLs(text string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "://")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("://")
		end := strings.IndexFunc(rest, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'`<>()", r) })
		if end < 0 {
			end = len(rest)
		}
		at, mark := rest[:end], ""
		text = rest[end:]
		if path, _, ok := strings.Cut(at, "?"); ok {
			at, mark = path, "?…"
		}
		host, path, slash := strings.Cut(at, "/")
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
		}
		out.WriteString(host)
		if slash {
			out.WriteString("/" + path)
		}
		out.WriteString(mark)
	}
}

// hiddenError is an error with another text.
type hiddenError struct {
	error
	text string
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.error }

// hide gives an error whose text has nothing that must not be shown.
func (c *Client) hide(err error) error {
	if err == nil {
		return nil
	}
	if text := c.secrets.hide(err.Error()); text != err.Error() {
		return &hiddenError{err, text}
	}
	return err
}
