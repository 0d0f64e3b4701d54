package dependencies

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestPackagesThatRequireEachOtherAreLockedAndLinked(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := func(of string) string { return registry.Host + "/acme/" + of + ":1" }
	made{name: name("one"), value: 1, requires: []string{name("two")}}.publish(t)
	made{name: name("two"), value: 2, requires: []string{name("three")}}.publish(t)
	made{name: name("three"), value: 3, requires: []string{name("one")}}.publish(t)
	s := program.New(t, program.Options{})
	s.Run("ocipkg", "add", name("one")).OK()
	for _, arguments := range [][]string{{"update", "--check"}, {"restore"}, {"tree"}, {"get", name("one")}} {
		s.Run("ocipkg", arguments...).OK()
	}
	s.Run("ocipkg", "link", "--libs", "one").OK().Says("-Wl,--start-group").Says("-Wl,--end-group")
	s.Run("ocipkg-pkg-config", "--libs", name("two")).OK().Says("-Wl,--start-group")
	s.Run("ocipkg", "vendor", "vendored").OK()
}

func TestTwoTagsOfALibraryInOneProgramAreRefusedUntilAnOverrideChooses(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := func(of string) string { return registry.Host + "/acme/" + of }
	one := made{name: name("base:1"), value: 1}.publish(t)
	two := made{name: name("base:2"), value: 2}.publish(t)
	made{name: name("left:1"), value: 10, requires: []string{name("base:1")}}.publish(t)
	made{name: name("right:1"), value: 100, requires: []string{name("base:2")}}.publish(t)
	s := program.New(t, program.Options{})
	s.Run("ocipkg", "add", name("left:1")).OK()
	words := []string{
		"two packages of " + name("base") + " cannot be linked together",
		name("base:1") + " by way of left → " + name("left:1"), name("base:2") + " by way of right → " + name("right:1"),
		fmt.Sprintf("choose one under [overrides] in ocipkg.toml: %q = ", name("base")),
	}
	refuses(t, s, usage, append(words, "add "+name("right:1")), "add", name("right:1"))

	project := "[dependencies]\nleft = \"" + name("left:1") + "\"\nright = \"" + name("right:1") + "\"\n"
	lock := read(t, s, "ocipkg.lock")
	s.WriteFile("ocipkg.toml", project, 0o644)
	refuses(t, s, usage, words, "lock")
	s.Run("rm", "ocipkg.lock").OK()
	refuses(t, s, usage, words, "lock")
	for _, given := range []string{"", lock} {
		if given != "" {
			s.WriteFile("ocipkg.lock", given, 0o644)
		}
		s.Run("ocipkg", "link", "left", "right").Exit(usage).Says("two packages of "+name("base"), name("base:1")+" by way of left", name("base:2")+" by way of right")
		s.Run("ocipkg-pkg-config", "--libs", "left", "right").Exit(1).Says("two packages of "+name("base"), name("base:1")+" by way of left", name("base:2")+" by way of right")
	}

	s.WriteFile("main.c", "#include <stdio.h>\n#include <left.h>\n#include <right.h>\nint main(void) { printf(\"%d\\n\", left() + right()); return 0; }\n", 0o644)
	for tag, digest := range map[string]string{"1": one, "2": two} {
		s.WriteFile("ocipkg.toml", project+"\n[overrides]\n\""+name("base")+"\" = \""+name("base:"+tag)+"\"\n", 0o644)
		s.Run("ocipkg", "lock").OK()
		if got := read(t, s, "ocipkg.lock"); strings.Count(got, name("base:")) != 3 || !strings.Contains(got, fmt.Sprintf("name = %q\ndigest = %q\n", name("base:"+tag), digest)) {
			t.Errorf("with an override of %s the lock is\n%s", tag, got)
		}
		s.Run("ocipkg", "lock", "--locked").OK()
		want := map[string]string{"1": "112\n", "2": "114\n"}[tag]
		for _, flags := range []string{"ocipkg link left right", "ocipkg-pkg-config --cflags --libs left right"} {
			s.Run("sh", "-c", "cc main.c -o app $("+flags+")").OK()
			if got := s.Run("./app").OK().Stdout; got != want {
				t.Errorf("with an override of %s, by %s, the program says %q, want %q", tag, flags, got, want)
			}
		}
	}
}

func TestAddsAndLocksAtTheSameTimeLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := program.New(t, program.Options{})
	names := map[string]string{"base": w.base.name, "top": w.top.name, "other": w.other.name, "again": w.other.name, "more": w.base.name}
	var all []*program.Process
	for alias, name := range names {
		all = append(all, s.Start("ocipkg", "add", "--as", alias, name))
	}
	for _, p := range all {
		p.Wait().OK()
	}
	project, lock := read(t, s, "ocipkg.toml"), read(t, s, "ocipkg.lock")
	for alias, name := range names {
		if strings.Count(project, alias+" = \""+name+"\"\n") != 1 || strings.Count(lock, "name = \""+name+"\"\n") != 1 {
			t.Errorf("the files have not %s once:\n%s\n%s", alias, project, lock)
		}
	}
	s.Run("ocipkg", "lock", "--locked").OK()

	s.Run("rm", "ocipkg.lock").OK()
	all = []*program.Process{s.Start("ocipkg", "lock"), s.Start("ocipkg", "lock"), s.Start("ocipkg", "update")}
	for _, p := range all {
		p.Wait().OK()
	}
	if got := read(t, s, "ocipkg.lock"); got != lock {
		t.Errorf("the lock is\n%s\nand was\n%s", got, lock)
	}
	if r := s.Run("ls", "-A").OK(); r.Stdout != "ocipkg.lock\nocipkg.toml\n" {
		t.Errorf("there is more than the files:\n%s", r.Stdout)
	}
}

func TestAnAliasThatAnotherAddTakesMeanwhileIsNotReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := made{name: w.Host + "/theirs/base:1", value: 5}
	theirs.publish(t)
	s := program.New(t, program.Options{})
	asked, release := make(chan struct{}), make(chan struct{})
	w.SetIntercept(registrytest.When(registrytest.Path("", "/acme/base/manifests/1"), registrytest.Times(1, func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		close(asked)
		<-release
		next.ServeHTTP(rw, r)
	})))
	first := s.Start("ocipkg", "add", w.base.name)
	<-asked
	trace := filepath.Join(s.Temp, "trace")
	second := s.Start("strace", "-f", "-qq", "-o", trace, "-e", "trace=flock", "ocipkg", "add", theirs.name)
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C { // until it waits for the first
		if text, err := os.ReadFile(trace); err == nil && strings.Contains(string(text), "EAGAIN") {
			tick.Stop()
			break
		}
	}
	close(release)
	first.Wait().OK()
	second.Wait().Fails(usage, "/ocipkg.toml: it has base as "+w.base.name+" already", "--as")
	if got := read(t, s, "ocipkg.toml"); got != "[dependencies]\nbase = \""+w.base.name+"\"\n" {
		t.Errorf("the project is\n%s", got)
	}
}

func TestAWordThatAProjectFileDoesNotKnowIsNamedWithTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("tree/include/a.h", "\n", 0o644)
	for _, c := range []struct {
		text  string
		words []string
	}{
		{"[dependancies]\nzlib = \"ghcr.io/acme/zlib:1\"\n", []string{"line 1", `"dependancies"`, "did you mean dependencies?"}},
		{"\n[override]\n\"ghcr.io/acme/zlib\" = \"ghcr.io/acme/zlib:1\"\n", []string{"line 2", `"override"`, "did you mean overrides?"}},
		{"[package]\nverison = \"1\"\n", []string{"line 2", `"package.verison"`, "did you mean package.version?"}},
		{"[dependencies]\nzlib = { imagge = \"ghcr.io/acme/zlib\", tag = \"1\" }\n", []string{`"imagge"`, "did you mean image?", `"zlib"`}},
		{"[dependencies]\nzlib = { image = \"ghcr.io/acme/zlib\", tag = \"1\", frobnicate = 1 }\n", []string{`"frobnicate"`, "the keys are image, tag, cmake, shared and modules"}},
		{"[overrides]\n\"ghcr.io/acme/zlib\" = \"ghcr.io/acme/zlib\"\n", []string{"has neither a tag nor a digest"}},
		{"[dependencies]\nzlib = \"ghcr.io/acme/zlib:1\"\nzlib = \"ghcr.io/acme/zlib:2\"\n", []string{"line 3", "zlib"}},
	} {
		s.WriteFile("ocipkg.toml", c.text, 0o644)
		for _, arguments := range [][]string{
			{"lock"}, {"update"}, {"tree"}, {"add", "ghcr.io/acme/zlib:1"}, {"remove", "zlib"}, {"link", "zlib"}, {"get", "zlib"}, {"restore"},
			{"vendor", "vendored"}, {"pack", "tree", "out.tar"}, {"ocipkg-pkg-config", "--libs", "zlib"},
		} {
			refuses(t, s, usage, append(c.words, "ocipkg.toml"), arguments...)
		}
	}
}

func TestAProjectFileOfSomebodyElseIsNotObeyed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := program.New(t, program.Options{})
	if os.Geteuid() != 0 {
		t.Fatal("run these tests as root, in a container: they need two accounts")
	}
	text := "[dependencies]\ntop = \"" + w.top.name + "\"\n"
	above := filepath.Join(filepath.Dir(s.Dir), "ocipkg.toml")
	if err := os.WriteFile(above, []byte(text), 0o644); err != nil { // it and its directory are root's
		t.Fatal(err)
	}
	s.Run("ocipkg", "restore").OK().Says("nothing to restore")
	refuses(t, s, notFound, []string{"there is no ocipkg.toml here or above, within this project"}, "tree")
	s.Run("ocipkg-pkg-config", "--libs", "top").Exit(1).Says("'top', required by 'virtual:world', not found") // which pkgconf says
	s.Run("ocipkg", "add", "--as", "mine", w.base.name).OK()
	if got, err := os.ReadFile(above); err != nil || string(got) != text {
		t.Errorf("the file of somebody else is %q (%v)", got, err)
	}
	if got := read(t, s, "ocipkg.toml"); got != "[dependencies]\nmine = \""+w.base.name+"\"\n" {
		t.Errorf("the own file is %q", got)
	}

	// In a directory that all can write to, anybody can put such a file there.
	root := program.New(t, program.Options{Privileged: true})
	planted := root.WriteFile("ocipkg.toml", text, 0o644)
	s.Own(planted)
	if err := os.Chmod(root.Dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	root.Dir = filepath.Join(root.Dir, "project")
	root.WriteFile("main.c", "", 0o644)
	root.Run("ocipkg", "restore").OK().Says("nothing to restore")
	root.Run("ocipkg-pkg-config", "--libs", "top").Exit(1)
	if err := os.Chown(planted, os.Geteuid(), -1); err != nil {
		t.Fatal(err)
	}
	root.Run("ocipkg-pkg-config", "--libs", "top").OK()

	// Runners of CI check out as root, for everybody to write to, and build as
	// somebody else.
	s.Dir = root.Dir
	if err := os.Chmod(s.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s.Run("ocipkg-pkg-config", "--libs", "top").OK()
}

func TestVendorOntoAFullDiskLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disk := tempdir.New(t)
	mount := func(arguments ...string) {
		t.Helper()
		if output, err := exec.Command("mount", append(arguments, disk)...).CombinedOutput(); err != nil {
			t.Fatalf("mount a small disk: %v: %s; run these tests as root, in a container with --cap-add SYS_ADMIN", err, output)
		}
	}
	mount("-t", "tmpfs", "-o", "mode=1777,size=6m", "ocipkg-e2e")
	t.Cleanup(func() {
		if output, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("unmount %s: %v: %s", disk, err, output)
		}
	})
	producer := program.New(t, program.Options{})
	tree.WriteRandom(t, filepath.Join(producer.Dir, "large/share/data"), 12<<20, 1)
	producer.Own(producer.Dir)
	large := w.Host + "/acme/large:1"
	producer.Run("ocipkg", "push", "large", large).OK()

	s := w.newUser(t)
	dir := filepath.Join(disk, "vendored")
	s.Run("ocipkg", "vendor", dir).OK()
	before := tree.Of(t, disk)
	s.Run("ocipkg", "add", large).OK()
	s.Run("ocipkg", "vendor", dir).Fails(failed, "vendor into "+dir, "no space left on device")
	s.Run("ocipkg", "vendor", filepath.Join(disk, "fresh")).Fails(failed, "no space left on device")
	tree.Check(t, "the disk", tree.Of(t, disk), before)

	s.Env = append(s.Env, "OCIPKG_MIRROR=oci:"+dir+",off", "OCIPKG_OFFLINE=1")
	empty(t, s, storetest.Dir(s))
	s.Run("ocipkg", "link", "top").OK()
	s.Env = s.Env[:len(s.Env)-2]
	mount("-o", "remount,size=40m")
	s.Run("ocipkg", "vendor", dir).OK().Says(large)
	s.Env = append(s.Env, "OCIPKG_MIRROR=oci:"+dir+",off", "OCIPKG_OFFLINE=1")
	empty(t, s, storetest.Dir(s))
	s.Run("ocipkg", "restore").OK().Says(large)
}

func TestALockForSomePlatformsSaysSoToOthers(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/headers:1"
	s := program.New(t, program.Options{})
	s.WriteFile("tree/include/headers.h", "\n", 0o644)
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		s.Run("ocipkg", "pack", "tree", filepath.Base(platform)+".tar", "--platform", platform).OK()
	}
	s.Run("ocipkg", "push", "amd64.tar", "arm64.tar", name).OK()
	s.Run("ocipkg", "add", name).OK()
	arm := []string{"--platform", "linux/arm64"}
	s.Run("ocipkg", append([]string{"link", "headers"}, arm...)...).OK()
	s.Run("ocipkg", "lock", "--platform", "linux/amd64").OK().Says("nothing moved in the lock")
	words := []string{"ocipkg.lock has " + name + " for linux/amd64 alone, and the target is linux/arm64; run: ocipkg lock --platform linux/amd64,linux/arm64"}
	for _, arguments := range [][]string{{"link", "headers"}, {"get", "headers"}, {"restore"}, {"vendor", "vendored"}} {
		refuses(t, s, stale, words, append(arguments, arm...)...)
	}
	s.Env = append(s.Env, "OCIPKG_TARGET=linux/arm64")
	s.Run("ocipkg-pkg-config", "--cflags", "headers").Exit(1).Says(words...)
	s.Run("ocipkg", "lock", "--platform", "linux/amd64,linux/arm64").OK()
	s.Run("ocipkg-pkg-config", "--cflags", "headers").OK()
	refuses(t, s, noPlatform, []string{"nothing in the index fits the target windows/amd64"}, "lock", "--platform", "windows/amd64")

	// What is vendored for one platform says what else it lacks.
	s.Run("ocipkg", append([]string{"vendor", "vendored"}, arm...)...).OK()
	s.Env = append(s.Env, "OCIPKG_MIRROR=oci:vendored,off")
	empty(t, s, storetest.Dir(s))
	s.Run("ocipkg", "restore").OK().Says(name)
	refuses(t, s, notFound, []string{"which the lock has for " + name + ": ", "the mirrors, oci:vendored, do not have it, and falling back to " + registry.Host + " is off"},
		"restore", "--platform", "linux/amd64")
}

func TestAnAliasThatNoBuildSystemTakesIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := program.New(t, program.Options{})
	for _, alias := range []string{"a b", "a/b", "-a", `a"b`} {
		refuses(t, s, usage, []string{fmt.Sprintf("the dependency %q: an alias has no blank", alias)}, "add", "--as="+alias, w.base.name)
	}
	s.Run("ocipkg", "add", "--as", "a+b.c", w.base.name).OK()
	s.Run("ocipkg", "link", "a+b.c").OK().Says("-lbase")
}
