package registry

import (
	"encoding/base64"
	"net/url"
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
	for _, secret := range []string{cred.Password, cred.RefreshToken, cred.AccessToken} {
		s.add(secret, url.QueryEscape(secret))
	}
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

// bareURLs takes from the URLs in a text, whole ones and such as begin with the
// path, what may be secret: a user's name with a password, and the query.
func bareURLs(text string) string {
	if !strings.ContainsAny(text, "?@") {
		return text
	}
	var out strings.Builder
	for text != "" {
		end := strings.IndexAny(text, " \t\r\n\"'`<>()")
		switch end {
		case -1:
			end = len(text)
		case 0:
			end = 1
		}
		out.WriteString(bareURL(text[:end]))
		text = text[end:]
	}
	return out.String()
}

func bareURL(word string) string {
	scheme, rest, found := strings.Cut(word, "://")
	if !found && !strings.HasPrefix(word, "/") {
		return word
	}
	if path, _, ok := strings.Cut(word, "?"); ok {
		return bareURL(path) + "?…"
	}
	host, path, slash := strings.Cut(rest, "/")
	i := strings.LastIndexByte(host, '@')
	if !found || i < 0 {
		return word
	}
	word = scheme + "://" + host[i+1:]
	if slash {
		word += "/" + path
	}
	return word
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
