package platforms

import (
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// newer makes and packs two builds of a shared library: new.tar needs
// GLIBC_2.38, old.tar GLIBC_2.17. No such C library is at hand everywhere, so
// that each is linked with a stub of it, which has a symbol of that version.
func newer(t *testing.T) *program.Session {
	t.Helper()
	s := program.New(t, program.Options{})
	s.WriteFile("lib.c", "int f(void);\nint g(void) { return f(); }\n", 0o644)
	s.WriteFile("stub.c", "int f(void) { return 0; }\n", 0o644)
	for name, version := range map[string]string{"new": "2.38", "old": "2.17"} {
		s.WriteFile(name+"/include/g.h", "int g(void);\n", 0o644)
		s.WriteFile(name+"/lib/README", "for glibc "+version+"\n", 0o644)
		s.WriteFile(name+".map", "GLIBC_"+version+" { f; };\n", 0o644)
		s.Run("gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libc.so.6", "-Wl,--version-script="+name+".map", "stub.c", "-o", "libc.so.6").OK()
		s.Run("gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libg.so", "lib.c", "libc.so.6", "-o", name+"/lib/libg.so").OK()
		s.Run("ocipkg", "pack", name, name+".tar").OK()
	}
	return s
}

func TestAPackageThatNeedsANewerGlibcIsRefusedAndAnOlderOneTaken(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := newer(t)
	name := registry.Host + "/acme/g"
	s.Run("ocipkg", "push", "new.tar", name+":alone").OK()
	s.Run("ocipkg", "index", "create", name+":new", name+":alone").OK()
	oldest := s.Run("ocipkg", "push", "old.tar", name+"@").OK().Digest()
	s.Run("ocipkg", "index", "create", name+":both", name+":alone", name+"@"+oldest).OK()

	target := []string{"--platform", "linux/amd64", "--libc", "glibc:2.36"}
	s.Run("ocipkg", append([]string{"get", "--explain", name + ":new"}, target...)...).Exit(7).Says("target linux/amd64 glibc 2.36", "needs glibc 2.38, the target has 2.36")
	s.Run("ocipkg", append([]string{"get", name + ":new"}, target...)...).Fails(7, "needs glibc 2.38, the target has 2.36")
	s.Run("ocipkg", append([]string{"link", "--shared", name + ":alone"}, target...)...).Fails(7, "needs glibc 2.38, the target has 2.36")

	taken := s.Run("ocipkg", append([]string{"get", "--explain", name + ":both"}, target...)...).OK()
	if taken.Digest() != oldest {
		t.Errorf("the package taken is %s, not the one for the older glibc, %s", taken.Digest(), oldest)
	}
	taken.Says("target linux/amd64 glibc 2.36", "needs glibc 2.38, the target has 2.36", "fits best")

	// Where the target has it, the newer one is better; where it is not known
	// what the target has, the older one runs on more.
	for libc, want := range map[string]bool{"glibc:2.40": false, "glibc": true} {
		got := s.Run("ocipkg", "get", "--platform", "linux/amd64", "--libc", libc, name+":both").OK().Digest()
		if (got == oldest) != want {
			t.Errorf("for %s the older one is taken: %t", libc, got == oldest)
		}
	}
	// The store chooses as the registry's index does.
	if dir := s.Run("ocipkg", append([]string{"image-directory", name + ":both"}, target...)...).OK().Stdout; !strings.Contains(dir, strings.TrimPrefix(oldest, "sha256:")) {
		t.Errorf("the store gives %s, and not %s", dir, oldest)
	}
	s.Run("ocipkg", "image-directory", "--platform", "linux/amd64", "--libc", "glibc:2.10", name+":both").Fails(7, "needs glibc 2.17, the target has 2.10")
}

func TestTheTableOfAnIndexShowsPlatformsFloorsAndSizes(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := newer(t)
	name := registry.Host + "/acme/g:1"
	s.Run("ocipkg", "push", "new.tar", "old.tar", name).OK()
	s.Run("ocipkg", "inspect", name).OK().Says("PLATFORM", "linux/amd64", "glibc 2.38", "glibc 2.17", " kB  sha256:")
}
