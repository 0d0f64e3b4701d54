package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// credentialsIn gives the credentials in files with these texts.
func credentialsIn(t testing.TB, texts ...string) *Credentials {
	c := &Credentials{}
	for i, text := range texts {
		c.paths = append(c.paths, write(t, filepath.Join(t.TempDir(), fmt.Sprint(i), "config.json"), text))
	}
	return c
}

// entry is that of a user and a password in docker's file.
func entry(user, password string) string {
	return fmt.Sprintf(`{"auth": %q}`, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// helper puts a program docker-credential-NAME on PATH; script is run by sh
// with the action as $1.
func helper(t testing.TB, name, script string) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.(*testing.T).Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// found gives the user, or the token, that is found, and what the user is told.
func found(t testing.TB, c *Credentials, registry, repository string) (string, *lines) {
	t.Helper()
	told := &lines{}
	cred, err := c.find(t.Context(), registry, repository, told.add)
	if err != nil {
		t.Fatal(err)
	}
	return cred.Username + cred.RefreshToken + cred.AccessToken, told
}

func TestCredentialsAreFoundWhereDockerAndPodmanKeepThem(t *testing.T) {
	for _, c := range []struct {
		name, file, registry, repository, want string
	}{
		{"a plain entry", `{"auths": {"r.example": ` + entry("ann", "p:w") + `}}`, "r.example", "a/b", "ann"},
		{"with a port", `{"auths": {"r.example:5000": ` + entry("ann", "p") + `}}`, "r.example:5000", "a/b", "ann"},
		{"another port", `{"auths": {"r.example:5000": ` + entry("ann", "p") + `}}`, "r.example:5001", "a/b", ""},
		{"another host", `{"auths": {"r.example": ` + entry("ann", "p") + `}}`, "evil-r.example", "a/b", ""},
		{"a password that ends with what docker strips", `{"auths": {"r.example": ` + entry("ann", "p\x00") + `}}`, "r.example", "a/b", "ann"},
		{"Docker Hub by its other names", `{"auths": {"index.docker.io": ` + entry("hub", "p") + `}}`, "docker.io", "library/foo", "hub"},
		{"Docker Hub by where it is", `{"auths": {"https://registry-1.docker.io/v2/": ` + entry("hub", "p") + `}}`, "docker.io", "library/foo", "hub"},
		{"an old entry with a version", `{"auths": {"https://r.example/v2/": ` + entry("ann", "p") + `}}`, "r.example", "a/b", "ann"},
		{"an old entry with a path", `{"auths": {"https://r.example/v2/_catalog": ` + entry("ann", "p") + `}}`, "r.example", "a/b", "ann"},
		{"a version without a scheme", `{"auths": {"r.example/v1/": ` + entry("ann", "p") + `}}`, "r.example", "a/b", "ann"},
		{"an identity token beside a user without a password", `{"auths": {"r.example": {"auth": "MDAwOg==", "identitytoken": "id"}}}`, "r.example", "a/b", "000id"},
		{"a byte order mark", "\uFEFF" + `{"auths": {"r.example": ` + entry("ann", "p") + `}}`, "r.example", "a/b", "ann"},
		{"an entry that is null", `{"auths": {"r.example": null}}`, "r.example", "a/b", ""},
		{"an old entry with a scheme", `{"auths": {"https://r.example/v1/": ` + entry("ann", "p") + `}}`, "r.example", "a/b", "ann"},
		{"an exact entry before an old one", `{"auths": {"https://r.example": ` + entry("old", "p") + `, "r.example": ` + entry("ann", "p") + `}}`, "r.example", "a/b", "ann"},
		{"user and password apart", `{"auths": {"r.example": {"username": "ann", "password": "p"}}}`, "r.example", "a/b", "ann"},
		{"an identity token", `{"auths": {"r.example": {"identitytoken": "id"}}}`, "r.example", "a/b", "id"},
		{"a registry token", `{"auths": {"r.example": {"registrytoken": "tok"}}}`, "r.example", "a/b", "tok"},
		{"a namespace before its registry", `{"auths": {"r.example": ` + entry("all", "p") + `, "r.example/acme": ` + entry("acme", "p") + `}}`, "r.example", "acme/foo", "acme"},
		{"a repository before its namespace", `{"auths": {"r.example/acme/foo": ` + entry("foo", "p") + `, "r.example/acme": ` + entry("acme", "p") + `}}`, "r.example", "acme/foo", "foo"},
		{"the registry for another namespace", `{"auths": {"r.example": ` + entry("all", "p") + `, "r.example/acme": ` + entry("acme", "p") + `}}`, "r.example", "other/foo", "all"},
		{"nothing for another namespace", `{"auths": {"r.example/acme": ` + entry("acme", "p") + `}}`, "r.example", "other/foo", ""},
		{"nothing for a longer name", `{"auths": {"r.example/acme": ` + entry("acme", "p") + `}}`, "r.example", "acme2/foo", ""},
		{"Docker Hub by docker's key", `{"auths": {"https://index.docker.io/v1/": ` + entry("hub", "p") + `}}`, "docker.io", "library/foo", "hub"},
		{"Docker Hub by podman's key", `{"auths": {"docker.io": ` + entry("hub", "p") + `}}`, "docker.io", "library/foo", "hub"},
		{"Docker Hub by a namespace", `{"auths": {"docker.io/acme": ` + entry("hub", "p") + `}}`, "docker.io", "acme/foo", "hub"},
		{"an IPv6 registry", `{"auths": {"[::1]:5000": ` + entry("six", "p") + `}}`, "[::1]:5000", "a", "six"},
		{"an empty entry", `{"auths": {"r.example": {}}}`, "r.example", "a/b", ""},
		{"an empty file", ``, "r.example", "a/b", ""},
		{"a blank file", " \n", "r.example", "a/b", ""},
		{"other things", `{"proxies": {}, "auths": null}`, "r.example", "a/b", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, told := found(t, credentialsIn(t, c.file), c.registry, c.repository)
			if got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
			told.want(t)
		})
	}
}

func TestEarlierFilesCountBeforeLaterOnes(t *testing.T) {
	c := credentialsIn(t,
		`{"auths": {"a.example": `+entry("first", "p")+`}}`,
		`{"auths": {"a.example": `+entry("second", "p")+`, "b.example": `+entry("second", "p")+`, "a.example/acme": `+entry("third", "p")+`}}`)
	for repository, want := range map[string]string{"a.example/x": "first", "b.example/x": "second", "a.example/acme/x": "third"} {
		registry, path, _ := strings.Cut(repository, "/")
		if got, _ := found(t, c, registry, path); got != want {
			t.Errorf("%s: found %q, want %q", repository, got, want)
		}
	}
}

func TestTheEnvironmentSaysWhereTheFilesAre(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct {
		env  map[string]string
		want []string
	}{
		{map[string]string{}, []string{"~/.docker/config.json", "~/.config/containers/auth.json"}},
		{map[string]string{"DOCKER_CONFIG": "/d"}, []string{"/d/config.json", "~/.config/containers/auth.json"}},
		{map[string]string{"REGISTRY_AUTH_FILE": "/r/auth.json", "XDG_RUNTIME_DIR": "/run/u", "XDG_CONFIG_HOME": "/c"},
			[]string{"/r/auth.json", "~/.docker/config.json", "/run/u/containers/auth.json", "/c/containers/auth.json"}},
		{map[string]string{"HOME": ""}, nil},
		{map[string]string{"DOCKER_AUTH_CONFIG": "{}"}, []string{"DOCKER_AUTH_CONFIG", "~/.docker/config.json", "~/.config/containers/auth.json"}},
		{map[string]string{"HOME": "", "DOCKER_AUTH_CONFIG": "{}"}, []string{"DOCKER_AUTH_CONFIG"}},
		{map[string]string{"DOCKER_AUTH_CONFIG": " {} ", "DOCKER_CONFIG": "/d", "REGISTRY_AUTH_FILE": "/r/auth.json", "XDG_RUNTIME_DIR": "/run/u"},
			[]string{"/r/auth.json", "DOCKER_AUTH_CONFIG", "/d/config.json", "/run/u/containers/auth.json", "~/.config/containers/auth.json"}},
	} {
		t.Setenv("HOME", home)
		for _, name := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", inlineVariable} {
			t.Setenv(name, "")
		}
		for name, value := range c.env {
			t.Setenv(name, value)
		}
		var got []string
		files, err := DefaultCredentials().files()
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			got = append(got, filepath.ToSlash(strings.Replace(file.name, home, "~", 1)))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.env, got, c.want)
		}
	}
}

func TestAHelperIsAskedBeforeTheFilesOwnEntries(t *testing.T) {
	helper(t, "fake", `[ "$1" = get ] || exit 1
read -r server
case $server in
kept.example|https://index.docker.io/v1/) echo "{\"ServerURL\":\"$server\",\"Username\":\"helped\",\"Secret\":\"p:w\"}" ;;
token.example) echo '{"Username":"<token>","Secret":"identity"}' ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac
`)
	c := credentialsIn(t, `{"credsStore": "fake", "auths": {"kept.example": {}, "own.example": `+entry("own", "p")+`}}`)
	for registry, want := range map[string]string{"kept.example": "helped", "token.example": "identity", "own.example": "own", "none.example": "", "docker.io": "helped"} {
		got, told := found(t, c, registry, "a/b")
		if got != want {
			t.Errorf("%s: found %q, want %q", registry, got, want)
		}
		told.want(t)
	}
}

func TestAHelperOfOneRegistryIsAskedForThatAlone(t *testing.T) {
	helper(t, "one", `echo '{"Username":"helped","Secret":"p"}'`)
	c := credentialsIn(t, `{"credHelpers": {"one.example": "one"}, "auths": {"other.example": `+entry("own", "p")+`}}`)
	for registry, want := range map[string]string{"one.example": "helped", "other.example": "own", "none.example": ""} {
		if got, _ := found(t, c, registry, "a/b"); got != want {
			t.Errorf("%s: found %q, want %q", registry, got, want)
		}
	}
}

func TestAHelperThatDoesNotWorkIsReportedAndGoneWithout(t *testing.T) {
	helper(t, "broken", `echo "the keychain is locked"; exit 1`)
	helper(t, "silly", `echo "no JSON"`)
	for program, words := range map[string]string{"broken": "the keychain is locked", "missing": "not found", "silly": "no credentials in JSON"} {
		c := credentialsIn(t, `{"credsStore": "`+program+`"}`, `{"auths": {"own.example": `+entry("own", "p")+`}}`)
		for registry, want := range map[string]string{"own.example": "own", "none.example": ""} {
			got, told := found(t, c, registry, "a/b")
			if got != want {
				t.Errorf("%s: found %q, want %q", registry, got, want)
			}
			told.want(t, "docker-credential-"+program)
			told.want(t, words)
			told.want(t, c.paths[0])
		}
	}
}

func TestCredentialsInTheEnvironmentAreUsedAndNotWritten(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": basic("Basic", ann.Username, ann.Password, answer(http.StatusOK, "content"))})
	c := credentialsIn(t, `{"auths": {"`+s.host+`": `+entry("bob", "old")+`}}`)
	c.inline = `{"auths": {"` + s.host + `": ` + entry(ann.Username, ann.Password) + `}}`
	wantFetched(t, repo(t, s.host, Options{Credentials: c}), "content")
	told := &lines{}
	client := New(Options{Credentials: c, Warn: told.add})
	if err := client.Login(t.Context(), s.host, ann.Username, ann.Password); err != nil {
		t.Fatal(err)
	}
	told.want(t, "DOCKER_AUTH_CONFIG has other credentials for "+s.host)
	if err := client.Logout(t.Context(), s.host); err != nil {
		t.Error(err)
	}
	told.want(t, "which count before", "DOCKER_AUTH_CONFIG still has credentials for "+s.host)
	helper(t, "inline", `echo '{"Username":"`+ann.Username+`","Secret":"`+ann.Password+`"}'`)
	c.inline = `{"credHelpers": {"` + s.host + `": "inline"}}`
	wantFetched(t, repo(t, s.host, Options{Credentials: c}), "content")
}

func TestCredentialsInTheEnvironmentThatAreBrokenAreAnErrorThatDoesNotShowThem(t *testing.T) {
	for _, text := range []string{"{", "secret-path.json", `["secret"]`, `{"auths": "secret"}`, `{"auths": {"r.example": {}}, "credsStore": 123456789}`} {
		c := credentialsIn(t, "{}")
		c.inline = text
		_, err := c.find(t.Context(), "r.example", "a", nil)
		wantError(t, err, errdef.ErrUsage, "DOCKER_AUTH_CONFIG", "unset it")
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "123456789") {
			t.Errorf("%v shows what is in it", err)
		}
	}
}

func TestAFileThatOthersCanReadIsToldOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	for _, c := range []struct {
		dir, file os.FileMode
		text      string
		told      bool
	}{
		{0o755, 0o600, entry("ann", "p"), false},
		{0o755, 0o644, entry("ann", "p"), true},
		{0o755, 0o640, `{"identitytoken": "id"}`, true},
		{0o755, 0o620, entry("ann", "p"), true},
		{0o755, 0o644, `{}`, false}, // there is nothing to read
		{0o700, 0o644, entry("ann", "p"), false},
	} {
		creds := credentialsIn(t, `{"auths": {"r.example": `+c.text+`}}`)
		if err := errors.Join(os.Chmod(creds.paths[0], c.file), os.Chmod(filepath.Dir(creds.paths[0]), c.dir)); err != nil {
			t.Fatal(err)
		}
		_, told := found(t, creds, "r.example", "a/b")
		if c.told {
			told.want(t, "others on this machine can read it; run: chmod 600 "+creds.paths[0])
		} else {
			told.want(t)
		}
		if err := creds.keep(t.Context(), "r.example", ann, nil); err != nil {
			t.Fatal(err)
		}
		_, told = found(t, creds, "r.example", "a/b")
		told.want(t) // a login mends it
	}
}

func TestAFileThatCannotBeReadIsAnErrorThatNamesIt(t *testing.T) {
	c := &Credentials{paths: []string{t.TempDir()}}
	for _, do := range []func() error{
		func() error { _, err := c.find(t.Context(), "r.example", "a", nil); return err },
		func() error { return c.keep(t.Context(), "r.example", ann, nil) },
		func() error { _, err := c.forget(t.Context(), "r.example", nil); return err },
	} {
		wantError(t, do(), nil, c.paths[0]+" is a directory; move it away")
	}
}

func TestABrokenFileIsAnErrorThatNamesIt(t *testing.T) {
	for _, text := range []string{`{`, `[]`, `null`, `"x"`, `{"auths": []}`, `{"auths": {}} trailing`, `{"credsStore": 5}`, "\xFF\xFE{\x00}\x00"} {
		c := credentialsIn(t, text)
		s := serve(t, nil)
		_, err := fetch(t, repo(t, s.host, Options{Credentials: c}), blobOf("content"))
		wantError(t, err, nil, "read the credentials in "+c.paths[0], "mend the file")
		s.wantTimes(t, "", 0)
		if strings.Contains(text, "credsStore") {
			wantError(t, err, nil, "credsStore is not what docker has there")
		}
	}
}

func TestAPipeIsReadOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	read, written, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := written.WriteString(`{"auths": {"r.example": ` + entry("ann", "p") + `}}`); err != nil {
		t.Fatal(err)
	}
	written.Close()
	// As a shell's <(…) is.
	c := &Credentials{paths: []string{fmt.Sprintf("/dev/fd/%d", read.Fd())}}
	for range 2 { // repositories
		got, told := found(t, c, "r.example", "a")
		if got != "ann" {
			t.Errorf("found %q", got)
		}
		told.want(t)
	}
}

func TestAFileThatIsNotThereCountsAsEmpty(t *testing.T) {
	notADirectory := write(t, filepath.Join(t.TempDir(), "file"), "x")
	c := &Credentials{paths: []string{filepath.Join(t.TempDir(), "none", "config.json"), filepath.Join(notADirectory, ".docker", "config.json")}}
	if got, _ := found(t, c, "r.example", "a/b"); got != "" {
		t.Errorf("found %q", got)
	}
}

func TestAnEntryThatCannotBeReadIsReportedWithoutItsContent(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString([]byte("secret-without-colon"))
	for _, entry := range []string{`{"auth": "` + secret + `"}`, `{"auth": "%%%"}`, `"secret"`, `{"auth": 5, "password": "secret"}`} {
		c := credentialsIn(t, `{"auths": {"r.example": `+entry+`}}`)
		_, told := found(t, c, "r.example", "a/b")
		told.want(t, "the entry for r.example in "+c.paths[0])
		for _, line := range told.all {
			if strings.Contains(line, "secret") {
				t.Errorf("%q shows the secret", line)
			}
		}
	}
}

func TestALoginIsKeptWithTheRestOfTheFile(t *testing.T) {
	c := credentialsIn(t, `{"psFormat": "table", "auths": {"other.example": `+entry("other", "p")+`}, "credHelpers": {"x.example": "x"}}`)
	c.docker = c.paths[0]
	for _, registry := range []string{"localhost:5000", "127.0.0.1:5000", "[::1]:5000", "docker.io", "r.example"} {
		if err := c.keep(t.Context(), registry, ann, nil); err != nil {
			t.Fatal(err)
		}
		if got, _ := found(t, c, registry, "a/b"); got != "ann" {
			t.Errorf("%s: found %q after the login", registry, got)
		}
	}
	var doc struct {
		PsFormat    string
		Auths       map[string]any
		CredHelpers map[string]string
	}
	raw, err := os.ReadFile(c.paths[0])
	if err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	if err != nil || doc.PsFormat != "table" || doc.CredHelpers["x.example"] != "x" || len(doc.Auths) != 6 || doc.Auths["https://index.docker.io/v1/"] == nil {
		t.Errorf("the file is %s (%v)", raw, err)
	}
	info, err := os.Stat(c.paths[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v (%v)", info.Mode(), err)
	}
}

func TestALoginGoesThroughALinkToTheFile(t *testing.T) {
	target := write(t, filepath.Join(t.TempDir(), "dotfiles", "docker.json"), `{"psFormat": "x"}`)
	link := filepath.Join(t.TempDir(), "config.json")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	c := &Credentials{paths: []string{link}}
	if err := c.keep(t.Context(), "r.example", ann, nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is a %v (%v)", info.Mode(), err)
	}
	if got, _ := found(t, c, "r.example", "a"); got != "ann" {
		t.Errorf("found %q", got)
	}
}

func TestNilCredentialsHaveNone(t *testing.T) {
	cred, err := (*Credentials)(nil).find(t.Context(), "r.example", "a", nil)
	if cred != auth.EmptyCredential || err != nil {
		t.Errorf("found %v, %v", cred, err)
	}
}
