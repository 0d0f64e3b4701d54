package login

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// marked is an account whose secrets are found wherever they are.
var marked = registrytest.Account{User: "alice", Password: "marked-password-1"}

// markedSecrets are what must be in no output and in no file but the credential
// file: as they are, and as they are sent.
func markedSecrets(tokens ...string) []string {
	return append(tokens, marked.Password, "marked-wrong", "marked-helper",
		base64.StdEncoding.EncodeToString([]byte(marked.User+":"+marked.Password)),
		base64.StdEncoding.EncodeToString([]byte(marked.User+":marked-wrong")))
}

// watcher runs commands and looks for secrets in what they print.
type watcher struct {
	t       *testing.T
	s       *program.Session
	secrets []string
}

func (w *watcher) run(name string, arguments ...string) *program.Result {
	w.t.Helper()
	r := w.s.Run(name, arguments...)
	for _, secret := range w.secrets {
		if strings.Contains(r.Stdout+r.Stderr, secret) {
			w.t.Errorf("%q is printed\n%s", secret, r)
		}
	}
	return r
}

// files looks for secrets in all files of the user but those that are to have
// them, which are to be the user's alone.
func (w *watcher) files() {
	w.t.Helper()
	private := 0
	for _, root := range []string{w.s.Home, w.s.Dir, w.s.Temp} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, secret := range w.secrets {
				if !strings.Contains(string(text), secret) {
					continue
				}
				kept := path == configFile(w.s) || strings.Contains(path, "/.cache/ocipkg/tokens/")
				if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 || !kept {
					w.t.Errorf("%s, with the mode %v, has %q", path, info.Mode(), secret)
				}
				private++
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if private == 0 {
		w.t.Error("nothing is kept anywhere: the search finds nothing")
	}
}

// all are the commands that ask a registry, or tell of what it said; some are
// those that say most.
const (
	all = `push in NAME:1; push --json in NAME:1; copy NAME:1 NAME:2; copy NAME:1 oci:layout; index create NAME:index in; get NAME:1
		get --json --overwrite NAME:1; get NAME:none; get NAME-none:1; tags NAME; tags --json NAME; inspect --verify NAME:1
		inspect --json NAME:1; link NAME:1; list --json; add --as alias NAME:1; lock; update; tree --json; restore; vendor vendored
		remove alias; pack in out.tar -f -t NAME:3; push out.tar; load -f out.tar; image-directory NAME:1; store fsck --repair
		store prune --all; env`
	some = `push in NAME:1; get --overwrite NAME:1; get NAME:none; tags NAME`
)

// everything runs commands at their most talkative.
func (w *watcher) everything(commands, name string) {
	w.t.Helper()
	for command := range strings.FieldsFuncSeq(commands, func(r rune) bool { return r == ';' || r == '\n' }) {
		w.run("ocipkg", append([]string{"--verbose"}, strings.Fields(strings.ReplaceAll(command, "NAME", name))...)...)
	}
	w.run("ocipkg-pkg-config", "--cflags", "--libs", name+":1")
	w.run("ocipkg-pkg-config", "--debug", "--print-errors", "--libs", name+":gone")
}

func TestNoSecretIsPrintedOrLeftAnywhere(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"password", "identity token"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			options := registrytest.Options{Htpasswd: &marked}
			if how != "password" {
				options = registrytest.Options{Token: &registrytest.TokenOptions{Accounts: []registrytest.Account{marked}}}
			}
			registry := registrytest.StartDistribution(t, options)
			proxy := registrytest.StartProxy(t, registry)
			// Whatever it is sent, it says so, and sends elsewhere with a secret.
			proxy.SetIntercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if sent := r.Header.Get("Authorization"); sent != "" {
					rw.Header().Set("Warning", fmt.Sprintf("299 - %q", "you sent "+sent))
					if strings.Contains(r.URL.Path, "none") || strings.Contains(r.URL.Path, "gone") {
						rw.WriteHeader(http.StatusForbidden)
						fmt.Fprintf(rw, `{"errors": [{"code": "DENIED", "message": %q}]}`, "not with "+sent)
						return
					}
				}
				if strings.Contains(r.URL.Path, "/stray/") {
					http.Redirect(rw, r, "http://marked-user:marked-helper@127.0.0.1:1/x?signature=marked-helper", http.StatusTemporaryRedirect)
					return
				}
				next.ServeHTTP(rw, r)
			})
			s := newUser(t, registry, program.Options{})
			s.WriteFile("ocipkg.toml", "", 0o644)
			w := &watcher{t: t, s: s, secrets: markedSecrets()}
			w.run("ocipkg", "-v", "login", proxy.Host, "-u", marked.User, "-p", "marked-wrong").Exit(4)
			w.run("ocipkg", "-v", "login", proxy.Host, "-u", marked.User, "-p", marked.Password).OK()
			if how == "identity token" {
				identity := registry.Tokens.IdentityToken(marked.User)
				w.secrets = markedSecrets(identity)
				s.WriteFile(configFile(s), authFile(t, proxy.Host, credential{IdentityToken: identity}), 0o600)
			}
			commands := some
			if how != "password" {
				commands = all
			}
			w.everything(commands, proxy.Host+"/acme/library")
			w.everything(some, proxy.Host+"/stray/library")
			files, err := filepath.Glob(filepath.Join(s.Home, ".cache/ocipkg/tokens/*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				_, token, _ := strings.Cut(string(text), `"token":"`)
				token, _, _ = strings.Cut(token, `"`)
				w.secrets = append(w.secrets, token)
			}
			if got := len(w.secrets); how != "password" && got < 7 {
				t.Errorf("no token was kept: %d secrets", got)
			}
			w.everything(some, proxy.Host+"/acme/library") // with tokens that are known now
			w.files()

			if how == "password" {
				w.helpers(proxy.Host)
				w.names(proxy.Host)
			}
		})
	}
}

// helpers has a helper that tells all it knows, and fails.
func (w *watcher) helpers(host string) {
	w.s.WriteFile(configFile(w.s), `{"credsStore": "tells"}`, 0o600)
	w.s.WriteFile("bin/docker-credential-tells", "#!/bin/sh\necho marked-helper >&2\necho '{\"Username\":\"alice\",\"Secret\":\"marked-helper\"}'\nexit 1\n", 0o755)
	w.s.Env = append(w.s.Env, "PATH="+filepath.Join(w.s.Dir, "bin")+":"+program.Bin(w.t)+":/usr/bin:/bin")
	w.run("ocipkg", "-v", "get", "--overwrite", host+"/acme/library:1").Exit(4)
	w.run("ocipkg", "-v", "login", host, "-u", marked.User, "-p", marked.Password).Exit(1)
	w.run("ocipkg", "-v", "logout", host).Exit(1)
}

// names writes secrets where none should be.
func (w *watcher) names(host string) {
	for _, arguments := range [][]string{
		{"get", "alice:marked-helper@" + host + "/acme/library:1"}, {"get", "https://alice:marked-helper@" + host + "/acme/library:1"},
		{"push", "in", "http://alice:marked-helper@" + host + "/acme/library:1"}, {"tags", "alice:marked-helper@" + host + "/acme"},
		{"login", "alice:marked-helper@" + host, "-u", "alice", "-p", "marked-helper"}, {"logout", "https://alice:marked-helper@" + host},
		{"copy", "https://alice:marked-helper@" + host + "/a:1", "oci:x"}, {"add", "https://alice:marked-helper@" + host + "/a:1"},
		{"inspect", "https://alice:marked-helper@" + host + "/a:1"}, {"link", "https://alice:marked-helper@" + host + "/a:1"},
	} {
		if w.run("ocipkg", arguments...).ExitCode == 0 {
			w.t.Errorf("%q succeeded", arguments)
		}
	}
	w.run("ocipkg-pkg-config", "--libs", "https://alice:marked-helper@"+host+"/a:1")
	for _, variable := range []string{
		"OCIPKG_MIRROR=https://alice:marked-helper@mirror.test/x", "OCIPKG_MIRROR=alice:marked-helper@mirror.test/x", "OCIPKG_MIRROR=alice:marked-helper@mirror.test/x,,",
		`DOCKER_AUTH_CONFIG={"auths": {"` + host + `": {"auth": "marked-helper"}}`, `DOCKER_AUTH_CONFIG=marked-helper`,
		`DOCKER_AUTH_CONFIG={"auths": {"` + host + `": {"password": "marked-helper", "auth": "bWFya2VkLWhlbHBlcg=="}}}`,
	} {
		before := w.s.Env
		w.s.Env = append(w.s.Env, variable)
		w.run("ocipkg", "-v", "get", "--overwrite", host+"/acme/library:1")
		w.s.Env = before
	}
}
