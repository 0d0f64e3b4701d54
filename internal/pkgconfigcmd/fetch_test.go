//go:build linux

package pkgconfigcmd_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
)

// treeOf makes a tree with an archive and gives its path.
func (s *session) treeOf(name string) string {
	s.t.Helper()
	s.build(name+"/lib/lib"+name+".a", "int "+name+"(void) { return 1; }")
	return filepath.Join(s.base, name)
}

// getter makes a program that stands for ocipkg, notes how it is called, and
// does what the shell commands say.
func (s *session) getter(commands string) (calls string) {
	calls = filepath.Join(s.base, "calls")
	s.set("OCIPKG", s.write("getter/get it", "#!/bin/sh\necho \"$@\" >> '"+calls+"'\n"+commands))
	return calls
}

func TestAMissingPackageIsFetchedInSilence(t *testing.T) {
	s := newSession(t)
	archive := s.archive(s.treeOf("one"), "localhost:1/acme/one:1")
	calls := s.getter("echo some progress >&2; echo sha256:00; exec '" + ocipkg + "' load '" + archive + "'\n")
	if got := s.answer("--libs-only-l", "localhost:1/acme/one:1"); got != "-lone \n" {
		t.Errorf("got %q", got)
	}
	if got := s.answer("--libs-only-l", "localhost:1/acme/one:1"); got != "-lone \n" {
		t.Errorf("a second time: got %q", got)
	}
	if noted, _ := os.ReadFile(calls); string(noted) != "get --quiet localhost:1/acme/one:1\n" {
		t.Errorf("the program ocipkg was called with %q", noted)
	}
}

func TestAFetchThatFailsGivesItsReasonInOneLine(t *testing.T) {
	s := newSession(t)
	s.getter("echo a warning >&2\necho get x: the registry does not know it >&2\nexit 3\n")
	if line := s.refusal("--cflags", "localhost:1/acme/one:1"); line != "get x: the registry does not know it\n" {
		t.Errorf("got %q", line)
	}
	if r := s.ours("--exists", "localhost:1/acme/one:1"); r.code != 1 || r.out+r.err != "" {
		t.Errorf("a question alone: got %+v", r)
	}
	s.getter("exit 3\n")
	if line := s.refusal("--cflags", "localhost:1/acme/one:1"); !strings.Contains(line, "localhost:1/acme/one:1") || !strings.Contains(line, "exit status 3") {
		t.Errorf("a failure without a word: got %q", line)
	}
	s.getter("exit 0\n")
	if line := s.refusal("--cflags", "localhost:1/acme/one:1"); !strings.Contains(line, "not in the store") {
		t.Errorf("a success without a package: got %q", line)
	}
}

func TestTheProgramOcipkgIsFoundBesideOursOrOnPath(t *testing.T) {
	s := newSession(t)
	const name = "localhost:1/acme/one:1" // at a port where nobody listens
	if line := s.refusal("--libs", name); !strings.Contains(line, name) || !strings.Contains(line, "localhost:1") || strings.Contains(line, "go get -tool") {
		t.Errorf("beside ours: got %q", line)
	}
	alone := filepath.Join(s.dir, "ocipkg-pkg-config")
	raw, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(alone, raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.set("PATH", s.dir)
	r := s.exec(alone, "--libs", name)
	for _, want := range []string{name, "go get -tool github.com/ocipkg/ocipkg/cmd/ocipkg", "go install github.com/ocipkg/ocipkg/cmd/ocipkg@latest"} {
		if r.code != 1 || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, want) {
			t.Errorf("nowhere: got %+v, want %s in it", r, want)
		}
	}
	s.write("work/ocipkg", "#!/bin/sh\necho found on PATH >&2; exit 1\n")
	s.set("PATH", s.dir+":/bin")
	if r := s.exec(alone, "--libs", name); r.err != "found on PATH\n" {
		t.Errorf("on PATH: got %+v", r)
	}
	s.set("OCIPKG", "/not/there")
	if line := s.refusal("--libs", name); !strings.Contains(line, `OCIPKG is "/not/there"`) {
		t.Errorf("named and not there: got %q", line)
	}
}

func TestInForeignSourceOnlyPinnedNamesAreFetched(t *testing.T) {
	s := newSession(t)
	calls := s.getter("echo refused >&2; exit 1\n")
	for _, dir := range []string{"work/vendor/example.org/m", "home/go/pkg/mod/example.org/m@v1.0.0"} {
		s.dir = filepath.Dir(s.write(dir+"/x.go", ""))
		s.set("PWD", s.dir)
		if line := s.refusal("--cflags", "localhost:1/acme/one:1"); !strings.Contains(line, "ocipkg pin") || !strings.Contains(line, "OCIPKG_ALLOW_UNPINNED=1") {
			t.Errorf("%s: got %q", dir, line)
		}
		if _, err := os.Stat(calls); err == nil {
			t.Errorf("%s: a name without a digest was fetched", dir)
		}
		if line := s.refusal("--cflags", "localhost:1/acme/one:1@sha256:"+strings.Repeat("0", 64)); line != "refused\n" {
			t.Errorf("%s, with a digest: got %q", dir, line)
		}
		s.set("OCIPKG_ALLOW_UNPINNED", "1")
		if line := s.refusal("--cflags", "localhost:1/acme/one:1"); line != "refused\n" {
			t.Errorf("%s, allowed: got %q", dir, line)
		}
		s.set("OCIPKG_ALLOW_UNPINNED", "")
		os.Remove(calls)
	}
}

func TestAnAliasOfTheProjectIsOurs(t *testing.T) {
	s := newSession(t)
	s.build("two/lib/libtwo.so", "int two(void) { return 2; }")
	s.build("two/lib/libtwo.a", "int two(void) { return 2; }")
	s.load(filepath.Join(s.base, "two"), "localhost:1/acme/two:1")
	s.load(s.treeOf("one"), "localhost:1/acme/one:1")
	s.write("work/ocipkg.toml", "[dependencies]\none = \"localhost:1/acme/one:1\"\ntwo = { image = \"localhost:1/acme/two\", tag = \"1\", shared = true }\n")
	s.dir = filepath.Dir(s.write("work/deep/down/x", ""))
	if got := s.answer("--libs-only-l", "one"); got != "-lone \n" {
		t.Errorf("got %q", got)
	}
	if got := s.answer("--libs", "two", "one"); !strings.Contains(got, "/shared ") || strings.Contains(got, "/static ") || !strings.HasSuffix(got, "-lone -ltwo \n") && !strings.Contains(got, "-Wl,-rpath,") {
		t.Errorf("one that the project wants shared: got %q", got)
	}
	if got := s.answer("--libs", "--static", "two"); !strings.Contains(got, "/static ") || strings.Contains(got, "-rpath") {
		t.Errorf("the same with --static: got %q", got)
	}
	s.write("work/ocipkg.toml", "[dependencies\n")
	if line := s.refusal("--libs", "one"); !strings.Contains(line, "ocipkg.toml") {
		t.Errorf("a project file that does not parse: got %q", line)
	}
}

func TestTheProjectSaysWhichLibrariesAreLinked(t *testing.T) {
	s := newSession(t)
	s.build("two/lib/libtwo.so", "int two(void) { return 2; }")
	s.build("two/lib/libtwo.a", "int two(void) { return 2; }")
	s.load(filepath.Join(s.base, "two"), "localhost:1/acme/two:1")
	s.build("only/lib/libonly.so", "int only(void) { return 3; }")
	s.load(filepath.Join(s.base, "only"), "localhost:1/acme/only:1")
	const dependencies = "[dependencies]\nonly = \"localhost:1/acme/only:1\"\ntwo = \"localhost:1/acme/two:1\"\nboth = { image = \"localhost:1/acme/two\", tag = \"1\", shared = false }\n"
	for _, test := range []struct {
		toml, args string
		want       []string // in this order
		not        string
	}{
		{"[link]\nshared = true\n", "--libs two", []string{"/shared ", "-rpath", "-ltwo "}, "/static"},
		{"[link]\nshared = true\n", "--libs localhost:1/acme/two:1", []string{"/shared ", "-ltwo "}, "/static"},
		{"[link]\nshared = true\n", "--libs both", []string{"/static ", "-ltwo "}, "/shared"},
		{"[link]\nshared = true\n", "--libs --static two", []string{"/static ", "-ltwo "}, "/shared"},
		{"[link]\nshared = \"fallback\"\n", "--libs two only", []string{"/static ", "/lib ", "-rpath", "-ltwo -lonly "}, "/shared"},
		{"[link]\nshared = \"fallback\"\n", "--libs --shared two", []string{"/shared ", "-ltwo "}, "/static"},
		// Meson looks for archives of all names that it gets so, in the system's directories, too.
		{"[link]\nshared = \"fallback\"\n", "--libs --static two only", []string{"/static ", "-rpath", "-ltwo ", "/lib/libonly.so "}, "-lonly"},
		// CMake asks for each part by itself, and takes no library by its path.
		{"[link]\nshared = \"fallback\"\n", "--libs-only-l --static two only", []string{"-ltwo -lonly "}, "libonly.so"},
	} {
		s.write("work/ocipkg.toml", test.toml+dependencies)
		got := s.answer(strings.Fields(test.args)...)
		rest := got
		for _, want := range test.want {
			_, after, found := strings.Cut(rest, want)
			if rest = after; !found {
				t.Errorf("%s%s: got %q, want %q in it", test.toml, test.args, got, test.want)
			}
		}
		if strings.Contains(got, test.not) {
			t.Errorf("%s%s: got %q, with %q", test.toml, test.args, got, test.not)
		}
	}
	s.write("work/ocipkg.toml", dependencies)
	if line := s.refusal("--libs", "only"); !strings.Contains(line, `shared = "fallback"`) {
		t.Errorf("a shared library alone: got %q", line)
	}
}

func TestThePackageOfTheTargetIsTaken(t *testing.T) {
	s := newSession(t)
	tree := s.treeOf("one")
	roots := map[string]string{}
	type platform struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	}
	type descriptor struct {
		MediaType string   `json:"mediaType"`
		Digest    string   `json:"digest"`
		Size      int      `json:"size"`
		Platform  platform `json:"platform"`
	}
	var manifests []descriptor
	for _, arch := range []string{"amd64", "arm64", "s390x"} {
		s.write("one/share/for", arch)
		digest := s.load(tree, "localhost:1/acme/"+arch+":1", "--platform", "any") // its files are for this machine: the index says otherwise
		roots[arch] = s.root(digest)
		raw, err := os.ReadFile(filepath.Join(s.home, "blobs/sha256", strings.TrimPrefix(digest, "sha256:")))
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, descriptor{"application/vnd.oci.image.manifest.v1+json", digest, len(raw), platform{"linux", arch}})
	}
	const name = "localhost:1/acme/one:1"
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
	if err != nil {
		t.Fatal(err)
	}
	s.name(name, raw)
	cross := filepath.Join(s.dir, "aarch64-linux-gnu-pkg-config")
	if err := os.Symlink(program, cross); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ program, variables, want string }{
		{program, "GOOS=linux GOARCH=arm64", "arm64"},
		{program, "OCIPKG_TARGET=s390x-linux-gnu", "s390x"},
		{cross, "", "arm64"},
		{cross, "GOOS=linux GOARCH=amd64", "arm64"},
		{cross, "OCIPKG_TARGET=s390x-linux-gnu", "s390x"},
		{program, "GOOS=linux GOARCH=amd64", "amd64"},
	} {
		before := s.env
		s.env = append(s.env[:len(s.env):len(s.env)], strings.Fields(test.variables)...)
		if r := s.exec(test.program, "--variable=prefix", name); r.out != roots[test.want]+"\n" {
			t.Errorf("%s with %q: got %+v, want %s", filepath.Base(test.program), test.variables, r, roots[test.want])
		}
		s.env = before
	}
	s.set("OCIPKG_TARGET", "windows/amd64")
	if line := s.refusal("--libs", name); !strings.Contains(line, "windows/amd64") {
		t.Errorf("a target without a package: got %q", line)
	}
}

// name has a name stand for an index in the store.
func (s *session) name(name string, index []byte) {
	s.t.Helper()
	into, err := store.Open(s.home)
	if err != nil {
		s.t.Fatal(err)
	}
	ref, err := reference.Parse(name)
	if err != nil {
		s.t.Fatal(err)
	}
	hash := sha256.Sum256(index)
	digest := hex.EncodeToString(hash[:])
	if err := errors.Join(
		os.WriteFile(into.Path("blobs", "sha256", digest), index, 0o644),
		into.SetRef(s.t.Context(), ref, "sha256:"+digest),
	); err != nil {
		s.t.Fatal(err)
	}
}

func TestAFetchIsForTheTargetInTheProgramsName(t *testing.T) {
	s := newSession(t)
	calls := s.getter("exit 1\n")
	cross := filepath.Join(s.dir, "aarch64-linux-gnu-pkg-config")
	if err := os.Symlink(program, cross); err != nil {
		t.Fatal(err)
	}
	s.exec(cross, "--libs", "localhost:1/acme/one:1")
	if noted, _ := os.ReadFile(calls); string(noted) != "get --quiet --platform aarch64-linux-gnu localhost:1/acme/one:1\n" {
		t.Errorf("the program ocipkg was called with %q", noted)
	}
}
