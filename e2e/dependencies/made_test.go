package dependencies

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// made is a library that is made for a test: its function, which goes by the
// name of the library, gives value and what those of the required ones give.
type made struct {
	name     string // in the registry
	value    int
	requires []string // names in the registry
	// locked packs it with a lock, so that the package has the digests of what it
	// was built with.
	locked bool
}

// publish packs and pushes the library, and gives its digest.
func (m made) publish(t *testing.T) string {
	t.Helper()
	s := program.New(t, program.Options{})
	function := m.function()
	declared, sum := "", fmt.Sprint(m.value)
	file := "[package]\nname = \"" + function + "\"\nversion = \"1.0\"\n[dependencies]\n"
	for _, name := range m.requires {
		other := made{name: name}.function()
		declared += "int " + other + "(void);\n"
		sum += " + " + other + "()"
		file += fmt.Sprintf("%s = %q\n", other, name)
	}
	s.WriteFile("ocipkg.toml", file, 0o644)
	s.WriteFile("library.c", fmt.Sprintf("%sint %s(void) { return %s; }\n", declared, function, sum), 0o644)
	s.WriteFile("tree/include/"+function+".h", "int "+function+"(void);\n", 0o644)
	s.WriteFile("tree/lib/README", m.name+"\n", 0o644)
	s.Run("cc", "-c", "-O2", "-fPIC", "-o", "library.o", "library.c").OK()
	s.Run("ar", "rcs", "tree/lib/lib"+function+".a", "library.o").OK()
	if m.locked {
		s.Run("ocipkg", "lock").OK()
	}
	return s.Run("ocipkg", "push", "tree", m.name).Digest()
}

// function is the name of the library and of its function.
func (m made) function() string {
	name, _, _ := strings.Cut(path.Base(m.name), ":")
	return name
}
