package dependencies

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// build is a way to build a program of testdata/app.
type build struct {
	name     string
	commands [][]string
	// program is what it makes.
	program string
	// ours is the program of ocipkg that it runs.
	ours   string
	shared bool
}

const provider = `-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES="$(ocipkg cmake-dir)/ocipkg.cmake"`

var builds = []build{
	{"go", [][]string{{"go", "build", "-o", "ssh-go", "."}}, "ssh-go", "ocipkg-pkg-config", false},
	{"cmake", [][]string{{"sh", "-c", "cmake -S . -B build " + provider}, {"cmake", "--build", "build"}}, "build/ssh-c", "ocipkg", false},
	{"cargo", [][]string{{"cargo", "build", "--manifest-path", "rust/Cargo.toml", "--target-dir", "target"}}, "target/debug/ssh", "ocipkg", false},
	{"cc", [][]string{{"sh", "-c", `mkdir -p dist && cc c/curl.c -o dist/curl $(ocipkg link --shared curl) -Wl,-rpath,'$ORIGIN/lib'`}}, "dist/curl", "ocipkg", true},
}

// newProject gives a builder with an empty project, beside which is the crate
// for build scripts.
func newProject(t *testing.T) *builder {
	t.Helper()
	b := newBuilder(t)
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	b.CopyTree(filepath.Join(root, "integrations/rust/src"), "ocipkg/src")
	b.WriteFile("ocipkg/Cargo.toml", "[package]\nname = \"ocipkg\"\nversion = \"0.0.0\"\nedition = \"2021\"\n", 0o644)
	b.WriteFile("ocipkg/README.md", "", 0o644)
	b.Dir = filepath.Join(b.Dir, "app")
	b.WriteFile("ocipkg.toml", "", 0o644)
	return b
}

// build builds a program, checks where its libraries are from, and runs it. The
// commands are given to another one, if there is any.
func (b *builder) build(way build, by ...string) {
	b.t.Helper()
	for _, command := range way.commands {
		command = slices.Concat(by, command)
		b.Run(command[0], command[1:]...).OK()
	}
	from := b.store() + "/packages/sha256/"
	path := filepath.Join(b.Dir, way.program)
	files := b.linkedFiles(sharedCurl())
	r := b.Run(path).OK()
	printed := r.Stdout + r.Stderr
	if way.shared {
		checkLibraries(b.t, way.name+": the linker took", files, from, ".so", sharedCurl())
		checkLibraries(b.t, way.name+": the program loaded", loaded(printed), from, ".so", sharedCurl())
		return
	}
	checkLibraries(b.t, way.name+": the linker took", files, from, ".a", staticSSH)
	if printed != "libssh2 1 compresses: zlib zlib@openssh.com none\n" {
		b.t.Errorf("%s: the program says %q", way.name, printed)
	}
	for _, name := range needed(b.t, path) {
		if slices.Contains(sharedCurl(), libraryOf(name)) {
			b.t.Errorf("%s: the program needs %s", way.name, name)
		}
	}
}

// loaded lists the libraries in what a program prints of its own
// /proc/self/maps, but for those of the C library.
func loaded(maps string) []string {
	var files []string
	for line := range strings.Lines(maps) {
		fields := strings.Fields(line)
		file := fields[len(fields)-1]
		if name := libraryOf(file); name != "" && !slices.Contains([]string{"libc", "libm", "libdl", "libresolv", "libpthread", "ld-linux-x86-64"}, name) && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// clean removes what builds made, but for Go's cache.
func (b *builder) clean() {
	b.t.Helper()
	b.Run("rm", "-rf", "ssh-go", "build", "target", "dist").OK()
}

func TestDebiansLibrariesAreLinkedByOneNameWithAllThatTheyRequire(t *testing.T) {
	registry := registrytest.StartMemory(t)
	publish(t, registry.Host)
	b := newProject(t)
	b.CopyTree("testdata/app", ".")
	checkAdd(t, b, registry.Host)
	checkTree(t, b, registry.Host)
	checkLockElsewhere(t, b)
	if trace := b.traced(build{name: "restore", commands: [][]string{{"ocipkg", "restore"}}}, false); !connects(trace) {
		t.Fatalf("the trace does not show how packages are fetched:\n%s", trace)
	}
	registry.ClearRequests()
	for _, way := range builds {
		trace := b.traced(way, true)
		if connects(trace) {
			t.Errorf("%s: with a lock and a store there are connections:\n%s", way.name, trace)
		}
		if !strings.Contains(trace, "/"+way.ours+`"`) {
			t.Errorf("%s: %s was not run:\n%s", way.name, way.ours, trace)
		}
	}
	for _, r := range registry.Requests() {
		t.Errorf("the registry was asked: %s %s", r.Method, r.Path)
	}
	checkBundle(t, b)

	vendored := filepath.Join(b.Temp, "vendored")
	if got := b.Run("ocipkg", "vendor", vendored).OK().Stdout; strings.Count(got, "\n") != len(libraries) {
		t.Errorf("vendor wrote\n%s", got)
	}
	registry.Stop()
	b.clean()
	// Go asks again for a package that it has built when its flags have changed.
	b = b.in("", "OCIPKG_MIRROR=oci:"+vendored+",off", "OCIPKG_OFFLINE=1", "CGO_CPPFLAGS=-DVENDORED")
	for _, way := range builds {
		empty(t, b.Session, b.store())
		b.build(way)
	}
	checkBundle(t, b)
}

// traced builds something, and gives what strace saw of its network and its
// programs. https://man7.org/linux/man-pages/man1/strace.1.html
func (b *builder) traced(way build, check bool) string {
	b.t.Helper()
	var all strings.Builder
	path := filepath.Join(b.Temp, "trace")
	strace := []string{"strace", "-f", "--seccomp-bpf", "-qq", "-s", "256", "-o", path, "-A", "-e", "trace=network,execve"}
	if check {
		b.build(way, strace...)
	} else {
		for _, command := range way.commands {
			b.Run(strace[0], append(strace[1:], command...)...).OK()
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "ENOENT") { // a program that is looked for on PATH
			all.WriteString(line)
		}
	}
	return all.String()
}

func connects(trace string) bool { return strings.Contains(trace, "AF_INET") }

// checkAdd adds two packages to the project, and checks what the files say.
func checkAdd(t *testing.T, b *builder, host string) {
	t.Helper()
	for _, name := range []string{"libssh2", "curl"} {
		if got := b.Run("ocipkg", "add", find(name).reference(host)).OK().Stdout; got != name+"\n" {
			t.Errorf("add printed %q", got)
		}
		var locked []string
		for _, l := range libraries {
			if name == "curl" || slices.Contains(append(find(name).requires, name), l.name) {
				locked = append(locked, l.reference(host))
			}
		}
		slices.Sort(locked)
		var got []string
		for _, found := range regexp.MustCompile(`(?m)^name = "(.*)"$`).FindAllStringSubmatch(read(t, b.Session, "ocipkg.lock"), -1) {
			got = append(got, found[1])
		}
		if !slices.Equal(got, locked) {
			t.Errorf("the lock with %s has %q, want %q", name, got, locked)
		}
	}
	want := "[dependencies]\nlibssh2 = \"" + find("libssh2").reference(host) + "\"\ncurl = \"" + find("curl").reference(host) + "\"\n"
	if got := read(t, b.Session, "ocipkg.toml"); got != want {
		t.Errorf("ocipkg.toml is\n%s\nwant\n%s", got, want)
	}
	b.Run("ocipkg", "lock", "--locked").OK()
}

// checkTree checks that all packages are shown, each once with its size.
func checkTree(t *testing.T, b *builder, host string) {
	t.Helper()
	tree := b.Run("ocipkg", "tree").OK().Stdout
	for _, root := range []string{"curl = " + find("curl").reference(host) + "  sha256:", "\nlibssh2 = " + find("libssh2").reference(host) + " (*)\n"} {
		if !strings.Contains(tree, root) {
			t.Errorf("the tree does not show %q:\n%s", root, tree)
		}
	}
	for _, l := range libraries {
		shown := regexp.MustCompile(regexp.QuoteMeta(l.reference(host)) + `  sha256:[0-9a-f]{12}\n[│ ]* +linux/amd64 glibc 2\.[0-9]+.*  [0-9.]+ [kM]B\n`)
		if n := len(shown.FindAllString(tree, -1)); n != 1 {
			t.Errorf("the tree shows %s %d times with its size:\n%s", l.name, n, tree)
		}
	}
	if !strings.Contains(tree, "├─ "+find("zlib").reference(host)+" (*)\n") {
		t.Errorf("the tree does not show that zlib was there before:\n%s", tree)
	}
}

// checkLockElsewhere checks that a lock is the same whoever makes it where.
func checkLockElsewhere(t *testing.T, b *builder) {
	t.Helper()
	other := program.New(t, program.Options{})
	other.Dir = filepath.Join(other.Dir, "another", "place")
	other.WriteFile("ocipkg.toml", read(t, b.Session, "ocipkg.toml"), 0o644)
	other.Run("ocipkg", "lock").OK()
	if got, want := read(t, other, "ocipkg.lock"), read(t, b.Session, "ocipkg.lock"); got != want {
		t.Errorf("the lock that another made is\n%s\nand not\n%s", got, want)
	}
}

// checkBundle checks that the program with shared libraries has all of them in a
// bundle.
func checkBundle(t *testing.T, b *builder) {
	t.Helper()
	b.Run("ocipkg", "bundle", "dist/lib", "curl").OK()
	away := b.store() + ".away"
	if err := os.Rename(b.store(), away); err != nil {
		t.Fatal(err)
	}
	printed := b.Run(filepath.Join(b.Dir, "dist/curl")).OK().Stdout
	checkLibraries(t, "with a bundle the program loaded", loaded(printed), filepath.Join(b.Dir, "dist/lib")+"/", ".so", sharedCurl())
	if err := os.Rename(away, b.store()); err != nil {
		t.Fatal(err)
	}
}
