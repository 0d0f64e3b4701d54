package program

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
)

// recorder is a test whose errors are kept, and do not fail it.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Error(arguments ...any) { r.errors = append(r.errors, fmt.Sprint(arguments...)) }

func TestALinkedLibraryOfTheSystemFailsTheTest(t *testing.T) {
	// binutils needs this one, so that every system with a compiler has it.
	const system = "-l:libz.so.1"
	for name, test := range map[string]struct {
		line string
		want []string
	}{
		"the runtime":        {"g++ main.cc -pthread -lm -lgcc_s -latomic -o app", nil},
		"the static runtime": {"g++ -static main.cc -o app", nil},
		"an own library":     {"gcc -shared main.c -o libown.so && gcc main.c -L. -lown -o app", nil},
		"a library":          {"gcc main.c " + system + " -o app", []string{"app", "/libz.so.1"}},
		"with a list":        {"gcc main.c " + system + " -Wl,--dependency-file=list -o app && grep -q libz list", []string{"app", "/libz.so.1"}},
		"with lld":           {"clang -fuse-ld=lld main.c " + system + " -o app", []string{"app", "/libz.so.1"}},
		"of a library":       {"gcc -shared main.c " + system + " -o libown.so", []string{"libown.so", "/libz.so.1"}},
		"another target":     {"aarch64-linux-gnu-gcc main.c -o app && x86_64-w64-mingw32-gcc main.c -o app.exe", nil},
		"musl":               {"musl-gcc main.c -o app", nil},
	} {
		r := &recorder{}
		t.Run(name, func(t *testing.T) {
			r.TB = t
			s := newSession(r, tempdir.New(t), Options{})
			s.WriteFile("main.c", "int main(void) { return 0; }\n", 0o644)
			s.WriteFile("main.cc", "#include <iostream>\nint main() { std::cout << 1; }\n", 0o644)
			s.Run("sh", "-c", test.line).OK()
		})
		said := strings.Join(r.errors, "\n")
		if len(test.want) == 0 && said != "" || slices.ContainsFunc(test.want, func(word string) bool { return !strings.Contains(said, word) }) {
			t.Errorf("%s: the errors are %q, want one with %q", name, r.errors, test.want)
		}
	}
}
