package stories

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// newCrate puts a small crate under git into a session's directory, which
// becomes the working directory, and gives its commit.
func newCrate(t *testing.T, s *program.Session, registry string) (commit string) {
	t.Helper()
	directoryOf(t, "git", "apt-get install git")
	s.CopyTree("testdata/crate", "crate")
	s.Dir = filepath.Join(s.Dir, "crate")
	manifest, err := os.ReadFile("testdata/crate/Cargo.toml")
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFile("Cargo.toml", strings.ReplaceAll(string(manifest), "REGISTRY", registry), 0o644)
	s.WriteFile(".gitignore", "/target\n", 0o644)
	s.Run("cargo", "generate-lockfile", "--offline").OK()
	s.Run("sh", "-c", `git init --quiet && git add . &&
		git -c user.name=Alice -c user.email=alice@example.com commit --quiet -m "Greet"`).OK()
	return strings.TrimSpace(s.Run("git", "rev-parse", "HEAD").OK().Stdout)
}

func TestCrateIsPublishedByCargoAndLinkedIntoAProgramInC(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := rustUser(t)
	commit := newCrate(t, s, registry.Host)
	name := registry.Host + "/acme/greet:" + commit[:7]

	archive := strings.TrimSpace(s.Run("cargo", "ocipkg", "build", "--release", "--offline").OK().Stdout)
	if !regexp.MustCompile(`^` + regexp.QuoteMeta(s.Dir) + `/target/release/ocipkg_[0-9a-f]+\.tar$`).MatchString(archive) {
		t.Errorf("build printed %q", archive)
	}
	shown := s.Run("ocipkg", "inspect", archive).OK().Stdout
	for _, want := range []string{
		name, "libe2e_greet.a", "libe2e_greet.so", "e2e_greet.h",
		"org.opencontainers.image.version = 1.2.3", "org.opencontainers.image.licenses = MIT",
		"org.opencontainers.image.description = Greets in Rust, for C",
		"org.opencontainers.image.revision = " + commit,
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("inspect does not show %q:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, ".rlib") || strings.Contains(shown, ".d  ") {
		t.Errorf("the package has what no other language can use:\n%s", shown)
	}
	digest := s.Run("cargo", "ocipkg", "publish", "--release", "--offline").Digest()
	if got := s.Run("ocipkg", "push", archive).Digest(); got != digest {
		t.Errorf("built twice, the digest is %s and was %s", got, digest)
	}

	user := program.New(t, program.Options{})
	if got := user.Run("ocipkg", "get", name).Digest(); got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	user.WriteFile("main.c", "#include <e2e_greet.h>\nint main(void) { e2e_greet(\"C\"); return 0; }\n", 0o644)
	for _, kind := range []string{"", "--shared"} {
		user.Run("sh", "-c", "cc main.c -o main -Wl,--trace $(ocipkg link "+kind+" "+name+") > trace").OK()
		if got := user.Run(filepath.Join(user.Dir, "main")).OK().Stdout; got != "Hello, C, from Rust. true\n" {
			t.Errorf("the program printed %q", got)
		}
		shared := false
		for _, library := range neededLibraries(t, filepath.Join(user.Dir, "main")) {
			shared = shared || library == "libe2e_greet.so" || strings.Contains(library, user.Home)
		}
		if shared != (kind == "--shared") {
			t.Errorf("link %s: the program needs the shared library: %t", kind, shared)
		}
	}
}

func TestCargoOcipkgPassesOnFeaturesProfilesTargetsAndTags(t *testing.T) {
	t.Parallel()
	s := rustUser(t)
	newCrate(t, s, "registry.example")
	archive := strings.TrimSpace(s.Run("cargo", "ocipkg", "build", "-p", "e2e-greet", "--features", "loud", "-t", "registry.example/other/name:7").OK().Stdout)
	if !strings.Contains(archive, "/target/debug/") {
		t.Errorf("the archive of a debug build is %s", archive)
	}
	s.Run("ocipkg", "load", archive).OK()
	s.WriteFile("target/main.c", "#include <e2e_greet.h>\nint main(void) { e2e_greet(\"C\"); return 0; }\n", 0o644)
	s.Run("sh", "-c", "cc target/main.c -o target/main $(ocipkg link registry.example/other/name:7)").OK()
	if got := s.Run(filepath.Join(s.Dir, "target/main")).OK().Stdout; got != "Hello, C, from Rust! true\n" {
		t.Errorf("the program printed %q", got)
	}
	version := s.Run("rustc", "--version", "--verbose").OK().Stdout
	_, host, _ := strings.Cut(version, "host: ")
	host, _, _ = strings.Cut(host, "\n")
	s.Dir = filepath.Dir(s.Dir)
	archive = strings.TrimSpace(s.Run("cargo", "ocipkg", "build", "--manifest-path", "crate/Cargo.toml", "--target", host).OK().Stdout)
	if !strings.Contains(archive, "/target/"+host+"/debug/") {
		t.Errorf("the archive for a target is %s", archive)
	}
}

func TestCargoOcipkgRefusesWhatItCannotNameOrBuild(t *testing.T) {
	t.Parallel()
	s := rustUser(t)
	newCrate(t, s, "registry.example")
	// check runs a build that must fail and leave nothing that it had not.
	check := func(code int, last string, words ...string) {
		t.Helper()
		before := tree.Of(t, s.Dir)
		r := s.Run("cargo", "ocipkg", "build", "--offline").Exit(code)
		if r.Stdout != "" {
			t.Errorf("a failure printed a result\n%s", r)
		}
		lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
		for _, word := range append(words, last) {
			if !strings.Contains(lines[len(lines)-1], word) {
				t.Errorf("the error does not say %q\n%s", word, r)
			}
		}
		if archives, err := filepath.Glob(filepath.Join(s.Dir, "target/*/*.tar")); err != nil || len(archives) > 0 {
			t.Errorf("there are the archives %v (%v)", archives, err)
		}
		if _, built := before["target/"]; !built {
			got := tree.Of(t, s.Dir)
			for name := range got {
				if strings.HasPrefix(name, "target/") {
					delete(got, name)
				}
			}
			tree.Check(t, "the crate", got, before)
		}
	}
	s.WriteFile("untracked", "x", 0o644)
	check(2, "untracked", "-t NAME")
	s.Run("rm", "untracked").OK()
	s.WriteFile("include/e2e_greet.h", "/* changed */\n", 0o644)
	check(2, "include/e2e_greet.h", "commit", "-t NAME")
	s.Run("git", "checkout", "--quiet", ".").OK()
	// Cargo's own failures keep cargo's code, and come after cargo's words.
	s.Run("sh", "-c", `echo 'fn broken(' >> src/lib.rs && git -c user.name=A -c user.email=a@example.com commit --quiet -am broken`).OK()
	check(101, "exit code 101", "cargo")
	s.Run("mv", ".git", "../git").OK()
	check(2, "git", "-t NAME")
	s.WriteFile("Cargo.toml", "[package]\nname = \n", 0o644)
	check(101, "exit code 101")
}
