package registry

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

func TestWhatAHelperMayDoIsBounded(t *testing.T) {
	helper(t, "hangs", "exec sleep 600")
	helper(t, "floods", "exec yes marked-secret")
	for name, words := range map[string]string{
		"hangs": "it did not end within 100ms", "floods": "it said more than 65536 bytes", "../../evil": "that is a path", "gone": "not found on PATH",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "hangs" {
				setFor(t, &helperWait, shortly)
			}
			c := credentialsIn(t, `{"credsStore": "`+name+`", "auths": {"own.example": `+entry("own", "p")+`}}`)
			got, told := found(t, c, "own.example", "a/b")
			if got != "own" {
				t.Errorf("found %q", got)
			}
			told.want(t, words)
			if strings.Contains(strings.Join(told.all, ""), "marked-secret") {
				t.Errorf("%q shows what the helper said", told.all)
			}
		})
	}
}

func TestAHelperIsNotWaitedForWhenWhatItStartedGoesOn(t *testing.T) {
	child := filepath.Join(t.TempDir(), "child")
	helper(t, "agent", `sleep 600 & echo $! >`+child+`; echo '{"Username":"ann","Secret":"p"}'`)
	got, told := found(t, credentialsIn(t, `{"credsStore": "agent"}`), "r.example", "a/b")
	if got != "ann" {
		t.Errorf("found %q", got)
	}
	told.want(t)
	raw, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Error(err)
	}
}

func TestAHelperThatHangsIsAskedOnce(t *testing.T) {
	setFor(t, &helperWait, 3*shortly)
	count := filepath.Join(t.TempDir(), "count")
	helper(t, "hangs", "echo x >>"+count+"; exec sleep 600")
	c := credentialsIn(t, `{"credsStore": "hangs"}`)
	var all sync.WaitGroup
	for range 10 { // repositories
		all.Go(func() { c.find(t.Context(), "r.example", "a", func(string) {}) })
	}
	all.Wait()
	if asked, err := os.ReadFile(count); string(asked) != "x\n" {
		t.Errorf("it was asked %q (%v)", asked, err)
	}
}

func TestAHelperEndsWhenItsUserGivesUp(t *testing.T) {
	begun := filepath.Join(t.TempDir(), "begun")
	helper(t, "hangs", "echo x >"+begun+"; exec sleep 600")
	c := credentialsIn(t, `{"credsStore": "hangs"}`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(begun); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	start := time.Now()
	_, err := c.find(ctx, "r.example", "a", nil)
	if err != context.Canceled || time.Since(start) > helperWait/2 {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	// What was given up is asked again.
	helper(t, "hangs", `echo '{"Username":"ann","Secret":"p"}'`)
	if got, _ := found(t, c, "r.example", "a"); got != "ann" {
		t.Errorf("found %q", got)
	}
}

func TestNothingThatAHelperSaysOfSecretsIsShown(t *testing.T) {
	secret := "marked-secret"
	for name, script := range map[string]string{
		"on its error output":         `echo ` + secret + ` >&2; exit 1`,
		"and fails":                   `echo '{"Username":"ann","Secret":"` + secret + `"}'; exit 1`,
		"in JSON of another kind":     `echo '{"Username":"ann","Secret":["` + secret + `"]}'`,
		"as a number":                 `echo '{"Username":"ann","Secret":123456789}'`,
		"without JSON":                `echo ` + secret,
		"beside what is good":         `echo ` + secret + ` >&2; echo '{"Username":"ann","Secret":"` + secret + `"}'`,
		"with a line for a terminal":  `printf '\033[31mlocked\033[0m\nline'; exit 1`,
		"and nothing else, and fails": `exit 3`,
	} {
		t.Run(name, func(t *testing.T) {
			helper(t, "tells", script)
			c := credentialsIn(t, `{"credsStore": "tells"}`)
			done := capture(t)
			_, told := found(t, c, "r.example", "a")
			told.all = append(told.all, done())
			for _, line := range told.all {
				if strings.Contains(line, secret) || strings.Contains(line, "123456789") || strings.ContainsAny(line, "\n\033") {
					t.Errorf("%q shows too much", line)
				}
			}
		})
	}
}

// capture collects what goes to the standard error until it is called off.
func capture(t *testing.T) (done func() string) {
	path := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = file
	return func() string {
		os.Stderr = before
		file.Close()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
}

func TestALoginThatItsHelperRefusesShowsNoPassword(t *testing.T) {
	helper(t, "refuses", `echo "cannot keep $(cat)"; exit 1`)
	s := registryThatKeeps(t, unprotected)
	c := credentialsIn(t, `{"credsStore": "refuses"}`)
	s.Config.Handler = answer(200, "")
	err := New(Options{Credentials: c}).Login(t.Context(), s.host, "ann", "marked-secret")
	wantError(t, err, nil, "keep the credentials for "+s.host, "docker-credential-refuses", "exit status 1")
	if strings.Contains(err.Error(), "marked-secret") {
		t.Errorf("%v shows the password", err)
	}
	helper(t, "refuses", `echo "the keychain is locked"; exit 1`)
	err = New(Options{Credentials: c}).Login(t.Context(), s.host, "ann", "marked-secret")
	wantError(t, err, nil, "keep the credentials for "+s.host, "the keychain is locked")
}

func TestALoginUsesTheKeychainOfTheSystemWhereNothingIsConfigured(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept")
	for _, k := range []string{"secretservice", "pass", "osxkeychain", "wincred"} {
		helper(t, k, `[ "$1" = store ] && cat >`+kept+` || cat `+kept)
	}
	for text, uses := range map[string]bool{``: true, `{"psFormat": "x"}`: true, `{"auths": {"other.example": {}}}`: false, `{"credHelpers": {"other.example": "x"}}`: false} {
		os.Remove(kept)
		c := credentialsIn(t, text)
		c.docker = c.paths[0]
		if err := c.keep(t.Context(), "r.example", auth.Credential{RefreshToken: "identity"}, nil); err != nil {
			t.Fatal(err)
		}
		raw, _ := os.ReadFile(kept)
		var entry keychainEntry
		if err := json.Unmarshal(raw, &entry); (err == nil) != uses || uses && entry != (keychainEntry{"r.example", "<token>", "identity"}) {
			t.Errorf("%s: the helper got %s", text, raw)
		}
		if got, _ := found(t, c, "r.example", "a"); got != "identity" {
			t.Errorf("%s: found %q", text, got)
		}
		file, err := os.ReadFile(c.paths[0])
		if err != nil || strings.Contains(string(file), "identity\"") == uses && uses || strings.Contains(string(file), "credsStore") != uses {
			t.Errorf("%s: the file is %s (%v)", text, file, err)
		}
	}
}
