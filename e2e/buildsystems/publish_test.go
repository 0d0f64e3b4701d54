package buildsystems

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

func TestALibraryThatMesonInstallsIsLinkedWithoutTheTreesItWasMadeOf(t *testing.T) {
	t.Parallel()
	maker := newUser(t)
	maker.CopyTree("testdata/frame", "frame")
	maker.Dir = filepath.Join(maker.Dir, "frame")
	maker.follow(t, readSection(t, "meson.md", "Publish a library"))
	if err := os.Rename(maker.Dir, maker.Dir+".moved"); err != nil {
		t.Fatal(err)
	}

	u := &user{Session: program.New(t, program.Options{}), host: maker.host}
	u.linked = filepath.Join(u.Temp, "linked.d")
	u.CopyTree("testdata/frame", ".")
	u.Run("sh", "-c", "cc main.c -o app -Wl,--dependency-file="+u.linked+" $(ocipkg link "+u.host+"/acme/frame:1.0)").OK()
	if got := u.Run(filepath.Join(u.Dir, "app")).OK().Stdout; got != "a frame of 1\n" {
		t.Errorf("the program printed %q", got)
	}
	files := linked(t, u.linked)
	checkFiles(t, "the linker took", files, storetest.Dir(u.Session)+"/packages/", ".a", "libframe", "libpng16", "libz")
}
