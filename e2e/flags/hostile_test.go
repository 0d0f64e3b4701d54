package flags

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// document is a CPS document with those components.
func document(t *testing.T, components map[string]any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"name": "x", "cps_version": "0.13.0", "cps_path": "@prefix@", "components": components})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// attributes are those of the library of a package.
type attributes map[string]any

// hostile are packages that want something run, by what they do for it. MARKER
// is a file that shows that it ran.
var hostile = map[string]attributes{
	"plugin":             {"compile_flags": []string{"-fplugin=@prefix@/evil.so"}},
	"tools":              {"compile_flags": []string{"-B@prefix@/bin"}},
	"wrapper":            {"compile_flags": []string{"-wrapper", "@prefix@/bin/evil"}},
	"specs":              {"compile_flags": []string{"-specs=@prefix@/evil.specs"}},
	"response-file":      {"compile_flags": []string{"@@prefix@/evil.rsp"}},
	"response-as-lib":    {"link_libraries": []string{"@@prefix@/evil.rsp"}},
	"behind-a-blank":     {"compile_flags": []string{"-std=c11 -fplugin=@prefix@/evil.so"}},
	"link-plugin":        {"link_flags": []string{"-Wl,-plugin,@prefix@/evil.so"}},
	"link-plugin-apart":  {"link_flags": []string{"-Xlinker", "-plugin", "-Xlinker", "@prefix@/evil.so"}},
	"link-tools":         {"link_flags": []string{"-B@prefix@/bin"}},
	"link-file":          {"link_flags": []string{"-Wl,@@prefix@/evil.link"}},
	"link-blank":         {"link_flags": []string{"-O1 -fplugin=@prefix@/evil.so"}},
	"link-rpath":         {"link_flags": []string{"-Wl,-rpath,@prefix@/lib,-plugin,@prefix@/evil.so"}},
	"link-rpath-blank":   {"link_flags": []string{"-Wl,-rpath,@prefix@/lib -fplugin=@prefix@/evil.so"}},
	"library-list":       {"link_libraries": []string{"-Wl,-plugin,@prefix@/evil.so"}},
	"library-command":    {"link_libraries": []string{"m`touch MARKER`"}},
	"library-semicolon":  {"link_libraries": []string{"m;touch MARKER"}},
	"library-directive":  {"link_libraries": []string{"m\ncargo:rustc-link-arg=-Wl,-plugin,@prefix@/evil.so"}},
	"library-by-path":    {"link_libraries": []string{"/tmp/libevil.a"}},
	"library-dots":       {"link_libraries": []string{"@prefix@/../../../libevil.a"}},
	"cmake-option":       {"link_flags": []string{"SHELL:-fplugin=@prefix@/evil.so @prefix@/lib/libx.a"}},
	"definition-shell":   {"definitions": map[string]any{"*": map[string]any{"X": "$(touch MARKER)"}}},
	"definition-tick":    {"definitions": map[string]any{"*": map[string]any{"X": "`touch MARKER`"}}},
	"definition-make":    {"definitions": map[string]any{"*": map[string]any{"X": "$x;@prefix@/bin/evil;"}}},
	"definition-line":    {"definitions": map[string]any{"*": map[string]any{"X": "1\ncargo:rustc-link-arg=-Wl,-plugin,@prefix@/evil.so"}}},
	"definition-blank":   {"definitions": map[string]any{"*": map[string]any{"X": "1 -fplugin=MARKER.so"}}},
	"include-blank":      {"includes": []string{"@prefix@/a -fplugin=@prefix@/evil.so"}},
	"include-shell":      {"includes": []string{"@prefix@/$(touch MARKER)"}},
	"include-make":       {"includes": []string{"@prefix@/$x;touch MARKER;"}},
	"include-outside":    {"includes": []string{"/etc"}},
	"include-dots":       {"compile_flags": []string{"-I@prefix@/../../.."}},
	"forced-include":     {"compile_flags": []string{"-include", "@prefix@/include/x.inc"}},
	"requires-a-file":    {"requires": []string{"evil.pc"}},
	"requires-an-option": {"requires": []string{"--define-variable=x=y"}},
	"framework":          {"link_libraries": []string{"-framework x -Wl,-plugin,@prefix@/evil.so"}},
}

// quiet are packages that are harmless to who links them, and would not be if
// anything of theirs were read as code.
var quiet = map[string]map[string]any{
	"own-cmake-files": {"x": library(nil)},
	"cmake-code":      {"x": library(nil), "]==]message(FATAL_ERROR)[==[": library(nil), "]=]message(FATAL_ERROR)[=[": library(nil), "x;y": library(nil), "$<1:x>": library(nil), "${x}": library(nil)},
}

func library(more attributes) attributes {
	a := attributes{"type": "archive", "location": "@prefix@/lib/libx.a", "includes": []string{"@prefix@/include"}}
	maps.Copy(a, more)
	return a
}

// evil is a library that makes the marker when it is loaded.
const evil = `#include <fcntl.h>
int plugin_is_GPL_compatible;
__attribute__((constructor)) static void run(void) { creat("MARKER", 0600); }
`

// publisher publishes packages that no program of ours would make.
type publisher struct {
	*program.Session
	t        *testing.T
	registry *registrytest.Registry
	marker   string
}

func (p *publisher) request(method, path, mediaType string, content []byte) *http.Response {
	p.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = p.registry.URL + path
	}
	request, err := http.NewRequest(method, path, bytes.NewReader(content))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Accept", mediaType)
	response, err := p.registry.Client().Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	if response.StatusCode/100 != 2 {
		p.t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	return response
}

func (p *publisher) get(path, mediaType string, into any) {
	p.t.Helper()
	response := p.request(http.MethodGet, path, mediaType, nil)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// honest publishes a package with all that others want to have run.
func (p *publisher) honest() {
	p.t.Helper()
	run := "#!/bin/sh\ntouch '" + p.marker + "'\n"
	for _, tool := range []string{"evil", "as", "ld", "cc1", "collect2"} {
		p.WriteFile("x/bin/"+tool, run, 0o755)
	}
	p.WriteFile("x/include/x.h", "int x(void);\n", 0o644)
	p.WriteFile("x.c", "int x(void) { return 0; }\n", 0o644)
	p.WriteFile("x/lib/README", "the library\n", 0o644)
	p.WriteFile("evil.c", strings.ReplaceAll(evil, "MARKER", p.marker), 0o644)
	p.WriteFile("x/evil.specs", "*asm:\n%{!fnothing:-B@prefix@/bin} \n", 0o644)
	for _, file := range []string{"evil.rsp", "evil.link"} {
		p.WriteFile("x/"+file, "-fplugin=evil.so -plugin evil.so\n", 0o644)
	}
	cmake := "file(WRITE [[" + p.marker + "]] x)\n"
	for _, file := range []string{
		"lib/cmake/x/xConfig.cmake", "lib/cmake/x/x-config.cmake", "lib/cmake/own/ownConfig.cmake", "share/cmake/Findx.cmake", "cmake/xConfig.cmake",
		"xConfig.cmake", "x-config.cmake", "Findx.cmake", "share/x/cmake/xConfig.cmake", "lib/cmake/own/ownConfigVersion.cmake", "CMakeLists.txt",
	} {
		p.WriteFile("x/"+file, cmake, 0o644)
	}
	p.Run("gcc", "-c", "x.c").OK()
	p.Run("ar", "rcs", "x/lib/libx.a", "x.o").OK()
	p.Run("gcc", "-shared", "-fPIC", "-o", "x/evil.so", "evil.c").OK()
	p.Run("ocipkg", "push", "x", p.registry.Host+"/acme/x:honest").OK()
}

// publish publishes the honest package with another description.
func (p *publisher) publish(tag string, cps any) {
	p.t.Helper()
	const repository = "/v2/acme/x"
	var manifest ocispec.Manifest
	p.get(repository+"/manifests/honest", ocispec.MediaTypeImageManifest, &manifest)
	var config map[string]any
	p.get(repository+"/blobs/"+manifest.Config.Digest.String(), "*/*", &config)
	config["cps"] = cps
	text, err := json.Marshal(config)
	if err != nil {
		p.t.Fatal(err)
	}
	manifest.Config.Digest, manifest.Config.Size = digest.FromBytes(text), int64(len(text))
	response := p.request(http.MethodPost, repository+"/blobs/uploads/", "application/octet-stream", nil)
	response.Body.Close()
	at := response.Header.Get("Location")
	separator := "?"
	if strings.Contains(at, "?") {
		separator = "&"
	}
	p.request(http.MethodPut, at+separator+"digest="+url.QueryEscape(manifest.Config.Digest.String()), "application/octet-stream", text).Body.Close()
	if text, err = json.Marshal(manifest); err != nil {
		p.t.Fatal(err)
	}
	p.request(http.MethodPut, repository+"/manifests/"+tag, ocispec.MediaTypeImageManifest, text).Body.Close()
}

// ran tells whether something ran since the last time.
func (p *publisher) ran() bool {
	err := os.Remove(p.marker)
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	return err == nil
}

func TestNothingOfAPackageRunsWhereverItIsLinked(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	u := newBuilder(t)
	p := &publisher{Session: program.New(t, program.Options{Privileged: true}), t: t, registry: registry, marker: filepath.Join(u.Temp, "marker")}
	p.honest()
	fill := func(value any) (filled any) {
		text, err := json.Marshal(value)
		if err == nil {
			err = json.Unmarshal([]byte(strings.ReplaceAll(string(text), "MARKER", p.marker)), &filled)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filled
	}
	names := map[string]string{}
	add := func(tag string, components map[string]any) {
		var cps any
		if err := json.Unmarshal([]byte(document(t, components)), &cps); err != nil {
			t.Fatal(err)
		}
		p.publish(tag, fill(cps))
		names[tag] = registry.Host + "/acme/x:" + tag
	}
	for tag, a := range hostile {
		add(tag, map[string]any{"x": library(a)})
	}
	for tag, components := range quiet {
		add(tag, components)
	}
	// A description that we make of what comes with the package.
	p.WriteFile("pc/lib/pkgconfig/x.pc", "prefix=/x\nevil=-Wl,-plugin\nName: x\nDescription: of a test\nVersion: 1\nCflags: -I${prefix}/include\nLibs: -L${prefix}/lib -lx ${evil},${prefix}/evil.so\n", 0o644)
	p.Run("cp", "-r", "x/lib", "x/evil.so", "pc/").OK()
	p.Run("ocipkg", "push", "pc", registry.Host+"/acme/pc:1").OK()
	names["pc"] = registry.Host + "/acme/pc:1"
	tags := slices.Sorted(maps.Keys(names))

	// What is refused must be what would run.
	root := filepath.Join(p.Dir, "x")
	for _, command := range []string{
		"gcc -fplugin=ROOT/evil.so -c x.c", "gcc -B ROOT/bin -c x.c", "gcc -wrapper ROOT/bin/evil -c x.c", "gcc -shared x.o -o y.so -Wl,-plugin,ROOT/evil.so",
		"gcc -shared x.o -o y.so -B ROOT/bin", "cmake -P ROOT/xConfig.cmake",
	} {
		if p.Run("sh", "-c", strings.ReplaceAll(command, "ROOT", root)); !p.ran() {
			t.Errorf("%s runs nothing: this test would not see it", command)
		}
	}

	u.Run("cp", filepath.Join(p.Dir, "x/evil.so"), p.marker+".so").OK() // as if the place of one were known
	u.WriteFile("main.c", "#include <x.h>\nint main(void) { return x(); }\n", 0o644)
	for _, tag := range tags {
		name := names[tag]
		_, isQuiet := quiet[tag]
		for _, command := range []string{"ocipkg link NAME", "ocipkg-pkg-config --cflags --libs NAME", "ocipkg cmake-config --name x --output-dir out NAME"} {
			words := strings.Fields(strings.ReplaceAll(command, "NAME", name))
			r := u.Run(words[0], words[1:]...)
			if (r.ExitCode == 0) != isQuiet {
				t.Errorf("%s: %s", tag, r)
			}
			if !isQuiet && !strings.Contains(r.Stderr, "acme/") {
				t.Errorf("%s: the error does not name the package: %s", tag, r)
			}
			if r.ExitCode == 0 && words[1] == "link" {
				u.Run("sh", "-c", `flags=$(`+r.Command+`); cc main.c -o app $flags; eval "cc main.c -o app $flags"; printf 'F = %s\nall:\n\tcc main.c -o app $(F)\n' "$flags" >Makefile; make`)
			}
		}
		if isQuiet {
			u.Run("ocipkg", "bundle", "dist", name)
		}
		if p.ran() {
			t.Errorf("%s: something ran in a shell", tag)
		}
	}

	// The build systems, each with many packages at once.
	tags = slices.DeleteFunc(tags, func(tag string) bool {
		return quiet[tag] == nil && !slices.Contains([]string{
			"plugin", "tools", "response-file", "behind-a-blank", "link-plugin", "link-blank", "library-command", "library-directive", "definition-make", "pc",
		}, tag)
	})
	var dependencies, finds, modules, packages strings.Builder
	u.WriteFile("go.mod", "module example.org/app\n\ngo 1.26\n", 0o644)
	for i, tag := range tags {
		fmt.Fprintf(&dependencies, "p%d = %q\n", i, names[tag])
		fmt.Fprintf(&packages, "%s\n", names[tag])
		fmt.Fprintf(&finds, "find_package(p%d)\npkg_check_modules(m%d IMPORTED_TARGET p%d)\nif(p%d_FOUND)\nadd_executable(a%d main.c)\ntarget_link_libraries(a%d p%d::p%d)\nadd_executable(v%d main.c)\ntarget_include_directories(v%d PRIVATE ${p%d_INCLUDE_DIRS})\ntarget_link_libraries(v%d ${p%d_LIBRARIES})\nelse()\nmessage(NOTICE \"not found: %s\")\nendif()\nif(m%d_FOUND)\nadd_executable(c%d main.c)\ntarget_link_libraries(c%d PkgConfig::m%d)\nendif()\n",
			i, i, i, i, i, i, i, i, i, i, i, i, i, tag, i, i, i, i)
		fmt.Fprintf(&modules, "d%d = dependency('p%d', required: false)\nif d%d.found()\nexecutable('a%d', 'main.c', dependencies: d%d)\nelse\nmessage('not found: %s')\nendif\n", i, i, i, i, i, tag)
		u.WriteFile(fmt.Sprintf("go/a%d/main.go", i), "package main\n\n// #cgo pkg-config: "+names[tag]+"\n// #include <x.h>\nimport \"C\"\n\nfunc main() { C.x() }\n", 0o644)
	}
	u.WriteFile("ocipkg.toml", "[dependencies]\n"+dependencies.String(), 0o644)
	u.WriteFile("CMakeLists.txt", "cmake_minimum_required(VERSION 3.24)\nproject(app C)\nfind_package(PkgConfig REQUIRED)\n"+finds.String(), 0o644)
	u.WriteFile("meson.build", "project('app', 'c')\n"+modules.String(), 0o644)
	u.WriteFile("rust/Cargo.toml", cargoToml, 0o644)
	u.WriteFile("rust/build.rs", buildScript, 0o644)
	u.WriteFile("rust/src/main.rs", "fn main() {}\n", 0o644)
	u.Env = append(u.Env, "PACKAGES="+packages.String())
	for tool, script := range map[string]string{
		"cmake": "cmake -B build-cmake " + provider + " && cmake --build build-cmake",
		"meson": "meson setup build-meson && meson compile -C build-meson",
		"cargo": "cd rust && cargo build && target/debug/app",
	} {
		r := u.Run("sh", "-ec", script).OK()
		if p.ran() {
			t.Errorf("something ran in %s: %s", tool, r)
		}
		for _, tag := range tags {
			_, isQuiet := quiet[tag]
			if tool != "cargo" && strings.Contains(r.Stdout+r.Stderr, "not found: "+tag+"\n") == isQuiet {
				t.Errorf("%s: %s is found: %v", tool, tag, !isQuiet)
			}
		}
	}
	r := u.Run("go", "build", "-o", filepath.Join(u.Temp, "bin")+"/", "./...")
	if r.ExitCode == 0 || p.ran() {
		t.Errorf("cgo: %s", r)
	}
	for i, tag := range tags {
		if _, isQuiet := quiet[tag]; !isQuiet && !strings.Contains(r.Stderr, fmt.Sprintf("example.org/app/go/a%d\n", i)) {
			t.Errorf("cgo does not refuse %s", tag)
		}
	}
}
