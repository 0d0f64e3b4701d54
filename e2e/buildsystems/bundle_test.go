package buildsystems

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestABundleTellsWhatIsInItAndKeepsWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	name := u.host + "/acme/libpng:1.6"
	var paths []string
	out := u.Run("ocipkg", "bundle", "--json", "dist", name).OK().Stdout
	if err := json.Unmarshal([]byte(out), &paths); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"libpng16.so.16", "libz.so.1"} {
		if !slices.Contains(paths, filepath.Join("dist", want)) {
			t.Errorf("the bundle has %q, and not %s", paths, want)
		}
	}
	if again := u.Run("ocipkg", "bundle", "dist", name).OK().Stdout; again != strings.Join(paths, "\n")+"\n" {
		t.Errorf("the second time it prints\n%s", again)
	}
	u.WriteFile("other/libz.so.1", "mine", 0o644)
	u.Run("ocipkg", "bundle", "other", name).Fails(2, "other/libz.so.1", "add -f")
	if r := u.Run("ls", "other").OK(); r.Stdout != "libz.so.1\n" {
		t.Errorf("the refused bundle left %q", r.Stdout)
	}
	u.Run("ocipkg", "bundle", "-f", "other", name).OK()
}
