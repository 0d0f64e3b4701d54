package stories

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// greetProgram declares what it calls: the Rust programs put files where they
// were told to, headers at the top included, where no compiler looks.
const greetProgram = "void greet(const char *who);\nint main(void) { greet(\"Rust\"); return 0; }\n"

func TestPackagesOfTheRustProgramAreLoadedInspectedLinkedPushedAndGot(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob(filepath.Join(root(t), "internal/layout/testdata/rust-*.tar"))
	if err != nil || len(archives) < 4 {
		t.Fatalf("found the archives %v (%v), want those of two versions and two commands", archives, err)
	}
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	const original = "registry.example/acme/greet:1.0.0"
	for _, archive := range archives {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			s := program.New(t, program.Options{})
			text, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			s.WriteFile("greet.tar", string(text), 0o644)
			s.WriteFile("main.c", greetProgram, 0o644)

			shown := s.Run("ocipkg", "inspect", "--verify", "greet.tar").OK().Stdout
			wanted := []string{original, "libgreet.a", "greet.h"}
			if strings.Contains(archive, "0.2.9") { // whose annotations are labels of the config
				wanted = append(wanted, "org.opencontainers.image.url = https://example.com/greet", "MIT")
			}
			for _, want := range wanted {
				if !strings.Contains(shown, want) {
					t.Errorf("inspect does not show %q:\n%s", want, shown)
				}
			}
			digest := s.Run("ocipkg", "load", "greet.tar").Digest()
			linkAndGreet(t, s, original)

			name := registry.Host + "/acme/" + strings.TrimSuffix(filepath.Base(archive), ".tar") + ":1"
			if got := s.Run("ocipkg", "push", "greet.tar", name).Digest(); got != digest {
				t.Errorf("pushed %s, want %s", got, digest)
			}
			user := program.New(t, program.Options{})
			user.WriteFile("main.c", greetProgram, 0o644)
			if got := user.Run("ocipkg", "get", name).Digest(); got != digest {
				t.Errorf("got %s, want %s", got, digest)
			}
			linkAndGreet(t, user, name)
		})
	}
}

// linkAndGreet builds main.c with the package and runs it.
func linkAndGreet(t *testing.T, s *program.Session, name string) {
	t.Helper()
	s.Run("sh", "-c", "cc main.c -o main $(ocipkg link "+name+") -Wl,--trace > trace").OK()
	trace, err := os.ReadFile(filepath.Join(s.Dir, "trace"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(trace), s.Home) || !strings.Contains(string(trace), "libgreet.a") {
		t.Errorf("the linker took %s", trace)
	}
	if got := s.Run(filepath.Join(s.Dir, "main")).OK().Stdout; got != "Hello, Rust, from C!\n" {
		t.Errorf("the program printed %q", got)
	}
}
