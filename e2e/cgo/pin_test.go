package cgo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// someDigest is that of no package.
const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestPinChangesNamesOfPackagesAndNothingElse(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	host := registry.Host
	one, two := publish(t, host+"/acme/one:1", 1, nil), publish(t, host+"/acme/two", 2, nil)
	s := program.New(t, program.Options{})
	for path, text := range map[string]string{
		"go.mod":                  "module example.com\n",
		"a.go":                    "package p\r\n\r\n/*\r\n#cgo linux,amd64 !cgo pkg-config: --static  HOST/acme/one:1\t\"HOST/acme/two\" zlib ${SRCDIR}/x.pc alias\r\n#cgo LDFLAGS: -lHOST/acme/one:1\r\n*/\r\nimport   \"C\"\r\n// #cgo pkg-config: HOST/acme/one:1",
		"windows/w_windows.go":    "//go:build ignore\n\npackage p\n\n// #cgo pkg-config: HOST/acme/one@DIGEST HOST/acme/one:1\nimport \"C\"\n",
		"plain/p.go":              "package  p // HOST/acme/one:1\n",
		"testdata/t.go":           "package p\n\n// #cgo pkg-config: HOST/acme/one:1\nimport \"C\"\n",
		"nested/n.go":             "package p\n\n// #cgo pkg-config: HOST/acme/one:1\nimport \"C\"\n",
		"nested/go.mod":           "module example.com/nested\n",
		"vendor/example.org/v.go": "package p\n\n// #cgo pkg-config: HOST/acme/one:1\nimport \"C\"\n",
	} {
		s.WriteFile(path, strings.NewReplacer("HOST", host, "DIGEST", someDigest).Replace(text), 0o640)
	}
	if err := os.Symlink("a.go", filepath.Join(s.Dir, "link.go")); err != nil {
		t.Fatal(err)
	}
	untouched := map[string]string{}
	for _, path := range []string{"plain/p.go", "testdata/t.go", "nested/n.go", "vendor/example.org/v.go"} {
		untouched[path] = read(t, s, path)
	}

	s.Run("ocipkg", "pin", "./...").OK()
	pinnedOne, pinnedTwo := host+"/acme/one:1@"+one, host+"/acme/two:latest@"+two
	for path, want := range map[string]string{
		"a.go":                 "package p\r\n\r\n/*\r\n#cgo linux,amd64 !cgo pkg-config: --static  " + pinnedOne + "\t\"" + pinnedTwo + "\" zlib ${SRCDIR}/x.pc alias\r\n#cgo LDFLAGS: -l" + host + "/acme/one:1\r\n*/\r\nimport   \"C\"\r\n// #cgo pkg-config: " + host + "/acme/one:1",
		"windows/w_windows.go": "//go:build ignore\n\npackage p\n\n// #cgo pkg-config: " + host + "/acme/one@" + someDigest + " " + pinnedOne + "\nimport \"C\"\n",
	} {
		if got := read(t, s, path); got != want {
			t.Errorf("%s is\n%q, want\n%q", path, got, want)
		}
		if info, err := os.Stat(filepath.Join(s.Dir, path)); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s has the mode %v, %v", path, info.Mode(), err)
		}
	}
	for path, want := range untouched {
		if got := read(t, s, path); got != want {
			t.Errorf("%s was changed to %q", path, got)
		}
	}
	if target, err := os.Readlink(filepath.Join(s.Dir, "link.go")); err != nil || target != "a.go" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	var pins []struct{ File, Name, Pinned string }
	if err := json.Unmarshal([]byte(s.Run("ocipkg", "pin", "--json", "windows").OK().Stdout), &pins); err != nil {
		t.Fatal(err)
	}
	if len(pins) != 2 || pins[1].Name != pinnedOne || pins[1].Pinned != pinnedOne || pins[1].File != filepath.Join("windows", "w_windows.go") {
		t.Errorf("in JSON the pins are %+v", pins)
	}
}

func TestPinTakesTheDigestThatIsKnownAlready(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	got := publish(t, name, 1, nil)
	s := program.New(t, program.Options{})
	s.Run("ocipkg", "get", name).OK()
	publish(t, name, 2, nil)
	registry.ClearRequests()

	s.WriteFile("stored/a.go", useAnswer(name), 0o644)
	s.Run("ocipkg", "pin", "./stored").OK()
	if text := read(t, s, "stored/a.go"); text != useAnswer(name+"@"+got) {
		t.Errorf("what the store has is not what was pinned:\n%s", text)
	}
	s.WriteFile("same/a.go", useAnswer(name), 0o644)
	s.WriteFile("same/b.go", useAnswer(name+"@"+someDigest), 0o644)
	s.Run("ocipkg", "pin", "./same").OK()
	if text := read(t, s, "same/a.go"); text != useAnswer(name+"@"+someDigest) {
		t.Errorf("one name has two digests in one package:\n%s", text)
	}
	checkNoRequest(t, registry)
}

func TestPinOfATagForSeveralPlatformsIsThatOfAll(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	linux := publish(t, name+"-linux", 41, nil)
	producer := program.New(t, program.Options{})
	producer.WriteFile("tree/include/answer.h", "int answer(void);\n", 0o644)
	windows := producer.Run("ocipkg", "push", "tree", name+"-windows", "--platform", "windows/amd64").Digest()
	index := pushIndex(t, registry, "acme/answer", "1", map[string]string{"linux": linux, "windows": windows})
	s := goUser(t)
	writeModule(s, name)
	s.Run("ocipkg", "pin").OK()
	if text := read(t, s, "answer/answer.go"); text != useAnswer(name+"@"+index) {
		t.Errorf("the index %s is not what was pinned:\n%s", index, text)
	}
	s.Run("go", "build", "-o", "app", ".").OK()
	checkAnswer(t, s, "app", 41)
	if got := s.Run("ocipkg", "restore", "--platform", "windows/amd64").OK().Stdout; !strings.HasPrefix(got, name+"@"+index+" "+windows+" ") {
		t.Errorf("for Windows, restore printed %q, want %s", got, windows)
	}
}

// pushIndex pushes an image index of packages by their system, and gives its
// digest.
func pushIndex(t *testing.T, registry *registrytest.Registry, repository, tag string, packages map[string]string) string {
	t.Helper()
	type descriptor struct {
		MediaType string            `json:"mediaType"`
		Digest    string            `json:"digest"`
		Size      int64             `json:"size"`
		Platform  map[string]string `json:"platform"`
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	url := registry.URL + "/v2/" + repository + "/manifests/"
	var manifests []descriptor
	for _, system := range []string{"linux", "windows"} {
		request, err := http.NewRequest(http.MethodHead, url+packages[system], nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", manifestType)
		answer, err := registry.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		manifests = append(manifests, descriptor{manifestType, packages[system], answer.ContentLength, map[string]string{"os": system, "architecture": "amd64"}})
	}
	const indexType = "application/vnd.oci.image.index.v1+json"
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": manifests})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPut, url+tag, strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", indexType)
	answer, err := registry.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("push the index: status %d", answer.StatusCode)
	}
	return answer.Header.Get("Docker-Content-Digest")
}

func TestPinThatFailsChangesNoFile(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	publish(t, name, 1, nil)
	for _, test := range []struct {
		what, source string
		code         int
		words        []string
	}{
		{"tag", useAnswer(registry.Host + "/acme/answer:2"), 3, []string{"pin ./...: look up", "/acme/answer:2"}},
		{"registry", useAnswer("127.0.0.1:1/acme/answer:1"), 8, []string{"127.0.0.1:1"}},
		{"name", useAnswer(registry.Host + "/Acme/answer:1"), 2, []string{filepath.Join("z", "z.go") + ":5: ", "lower case"}},
		{"source", "package z\n\n// #cgo pkg-config: " + name + "\nimport \"C\n", 2, []string{filepath.Join("z", "z.go") + ":4:"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			s := program.New(t, program.Options{})
			s.WriteFile("a/a.go", useAnswer(name), 0o644)
			s.WriteFile("z/z.go", test.source, 0o644)
			s.Run("ocipkg", "pin", "./...").Fails(test.code, test.words...)
			if got := read(t, s, "a/a.go"); got != useAnswer(name) {
				t.Errorf("a file was changed:\n%s", got)
			}
		})
	}
}

func TestPinRefusesWhatIsNotThereToBePinned(t *testing.T) {
	t.Parallel()
	s := goUser(t)
	name := "127.0.0.1:1/acme/answer:1@" + someDigest
	s.WriteFile("vendor/x/x.go", useAnswer(name), 0o644)
	s.Run("ocipkg", "pin", "example.com/x/...").Fails(2, `"example.com/x/..." is no directory`, "./...")
	s.Run("ocipkg", "pin", "./vendor/x").Fails(2, filepath.Join("vendor", "x", "x.go"), "not yours")
	s.Run("ocipkg", "pin", "--check", "./vendor/x").OK()
	s.WriteFile("read/only.go", useAnswer("127.0.0.1:1/acme/answer:1"), 0o444)
	s.WriteFile("read/pinned.go", useAnswer(name), 0o644)
	s.Run("ocipkg", "pin", "./read").Fails(1, "only.go is read-only")
	if r := s.Run("ocipkg", "restore"); r.ExitCode != 0 || r.Stdout != "" || !strings.Contains(r.Stderr, "nothing") {
		t.Errorf("where there is nothing to restore\n%s", r)
	}
	s.WriteFile("go.mod", "module example.com\n\ngo 1.24\n", 0o644)
	empty(t, filepath.Join(s.Dir, "read", "only.go"))
	s.Run("ocipkg", "restore", "./read").Fails(8, fmt.Sprintf("restore: %s, which the Go package example.com/read asks for", name))
}
