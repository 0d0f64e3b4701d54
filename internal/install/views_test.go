package install_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// installTwins installs a package of files whose description names a static
// library and a shared one.
func installTwins(t *testing.T, files map[string]string, static, shared, soname string) (*store.Package, error) {
	t.Helper()
	m, s := newMemory(), newStore(t)
	scanned, err := layer.Scan(writeFiles(t, files), nil)
	if err != nil {
		t.Fatal(err)
	}
	document := &cps.Package{Name: "z", CPSPath: cps.PrefixMarker + "/cps", Components: map[string]*cps.Component{
		"static": {Type: cps.Archive, Attributes: cps.Attributes{Location: cps.PrefixMarker + "/" + static}},
		"shared": {Type: cps.Dylib, Attributes: cps.Attributes{Location: cps.PrefixMarker + "/" + shared, Soname: soname}},
	}}
	desc, err := artifact.Build(t.Context(), m, artifact.Spec{Files: scanned, CPS: document})
	if err != nil {
		t.Fatal(err)
	}
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
	return p, err
}

func TestAPackageOfBothKindsHasADirectoryOfEach(t *testing.T) {
	files := map[string]string{"lib/libz.a": "static", "lib/libz.so.1.3": "shared", "lib/libz.so.1": "-> libz.so.1.3", "lib/libz.so": "-> libz.so.1"}
	p, err := installTwins(t, files, "lib/libz.a", "lib/libz.so.1.3", "libz.so.1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]string{p.Static: {"libz.a": "static"}, p.Shared: {"libz.so": "shared", "libz.so.1": "shared", "libz.so.1.3": "shared"}}
	for dir, libraries := range want {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != len(libraries) {
			t.Errorf("%s has %d entries (%v), want %d", dir, len(entries), err, len(libraries))
		}
		for name, text := range libraries {
			if raw, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(raw) != text {
				t.Errorf("%s in %s holds %q, %v", name, dir, raw, err)
			}
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o555 {
			t.Errorf("%s has the mode %v", dir, info.Mode())
		}
	}
}

func TestAPackageOfOneKindHasNoSuchDirectories(t *testing.T) {
	m, s := newMemory(), newStore(t)
	p, err := install.Package(t.Context(), s, m, build(t, m, map[string]string{"lib/libz.a": "static"}), nil, install.Options{})
	if err != nil || p.Static != "" || p.Shared != "" {
		t.Errorf("it has %q and %q, %v", p.Static, p.Shared, err)
	}
}

func TestSharedLibrariesThatLackANameHaveADirectoryWithIt(t *testing.T) {
	component := func(location, link, soname string) *cps.Component {
		c := &cps.Component{Type: cps.Dylib}
		c.Location, c.LinkLocation, c.Soname = cps.PrefixMarker+"/"+location, link, soname
		if link != "" {
			c.LinkLocation = cps.PrefixMarker + "/" + link
		}
		return c
	}
	for name, c := range map[string]struct {
		files     []string
		component *cps.Component
		want      string
	}{
		"a soname that no file has":    {[]string{"lib/libz.so"}, component("lib/libz.so", "", "libz.so.1"), "libz.so libz.so.1"},
		"a runtime file alone":         {[]string{"lib/libz.so.1.2"}, component("lib/libz.so.1.2", "", ""), "libz.so libz.so.1.2"},
		"no name to link with":         {[]string{"lib/libz.so.1.2", "lib/libz.so.1"}, component("lib/libz.so.1", "lib/libz.so.1.2", ""), "libz.so libz.so.1 libz.so.1.2"},
		"the soname elsewhere":         {[]string{"lib/libz.so", "lib64/libz.so.1"}, component("lib/libz.so", "", "libz.so.1"), "libz.so libz.so.1"},
		"all names":                    {[]string{"lib/libz.so", "lib/libz.so.1"}, component("lib/libz.so.1", "lib/libz.so", ""), ""},
		"all names, by links":          {[]string{"real/libz.so", "real/libz.so.1", "lib/x -> ../real"}, component("lib/x/libz.so", "", "libz.so.1"), ""},
		"a DLL and its import library": {[]string{"bin/z.dll", "lib/z.lib"}, component("bin/z.dll", "lib/z.lib", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			for _, file := range c.files {
				name, target, isLink := strings.Cut(file, " -> ")
				files[name] = "shared"
				if isLink {
					files[name] = "-> " + target
				}
			}
			m, s := newMemory(), newStore(t)
			scanned, err := layer.Scan(writeFiles(t, files), nil)
			if err != nil {
				t.Fatal(err)
			}
			document := &cps.Package{Name: "z", CPSPath: cps.PrefixMarker + "/cps", Components: map[string]*cps.Component{"z": c.component}}
			desc, err := artifact.Build(t.Context(), m, artifact.Spec{Files: scanned, CPS: document})
			if err != nil {
				t.Fatal(err)
			}
			p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if p.Static != "" || (p.Shared != "") != (c.want != "") {
				t.Errorf("it has %q and %q", p.Static, p.Shared)
			}
			var names []string
			if p.Shared != "" {
				for name := range content(t, p.Shared) {
					if raw, err := os.ReadFile(filepath.Join(p.Shared, name)); err != nil || string(raw) != "shared" {
						t.Errorf("%s holds %q, %v", name, raw, err)
					}
					names = append(names, name)
				}
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("its shared libraries have the names %q, want %q", got, c.want)
			}
			if contents, err := install.ReadContents(s, p.Digest); err != nil || len(contents.Shared) != len(names) || contents.Static != nil {
				t.Errorf("what is checked is %v, %v", contents, err)
			}
		})
	}
}

func TestAViewHasCopiesWhereNoLinksCanBe(t *testing.T) {
	dir := writeFiles(t, map[string]string{"libz.so": "shared"})
	if err := install.LinkOrCopy(filepath.Join(dir, "libz.so"), filepath.Join(dir, "copy")); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "copy")); err != nil || string(raw) != "shared" {
		t.Errorf("the copy holds %q, %v", raw, err)
	}
}

func TestADescriptionLeadsNoLinkOutOfThePackage(t *testing.T) {
	files := map[string]string{"lib/libz.a": "static", "lib/libz.so": "shared"}
	for _, c := range [][3]string{
		{"../../../../etc/passwd", "lib/libz.so", ""}, {"lib/libz.a", "lib/../../libz.so", ""}, {"/etc/libz.a", "lib/libz.so", ""},
		{"lib/gone.a", "lib/libz.so", ""}, {"lib/libz.a", "lib/libz.so", "../../../evil"}, {"lib/libz.a", "lib/libz.so", ".."}, {"lib/libz.a", "lib/libz.so", "a/b"},
	} {
		p, err := installTwins(t, files, c[0], c[1], c[2])
		if err != nil {
			if !errors.Is(err, errdef.ErrVerification) {
				t.Errorf("%q: the error is %v", c, err)
			}
			continue
		}
		root, err := filepath.EvalSymlinks(p.Root)
		if err != nil {
			t.Fatal(err)
		}
		for _, view := range []string{p.Static, p.Shared} {
			if view == "" {
				continue // nothing of that kind was taken for a library
			}
			for name := range content(t, view) {
				if to, err := filepath.EvalSymlinks(filepath.Join(view, name)); err != nil || !strings.HasPrefix(to, root+string(filepath.Separator)) {
					t.Errorf("%q: %s leads to %s (%v)", c, name, to, err)
				}
			}
		}
	}
}
