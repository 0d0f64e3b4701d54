package robustness

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// smallDisk mounts a file system of the given size in bytes, such as "10m", for
// everybody to write to. It gives its directory, and what changes its size.
func smallDisk(t *testing.T, size string) (dir string, resize func(size string)) {
	t.Helper()
	dir = tempdir.New(t)
	mount := func(arguments ...string) {
		t.Helper()
		if output, err := exec.Command("mount", append(arguments, dir)...).CombinedOutput(); err != nil {
			t.Fatalf("mount a small disk: %v: %s; run these tests as root, in a container with --cap-add SYS_ADMIN", err, output)
		}
	}
	mount("-t", "tmpfs", "-o", "mode=1777,size="+size, "ocipkg-e2e")
	t.Cleanup(func() {
		if output, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmount %s: %v: %s", dir, err, output)
		}
	})
	return dir, func(size string) { mount("-o", "remount,size="+size) }
}

func TestGetOntoAFullDiskFailsKeepsWhatIsThereAndWorksOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	producer := program.New(t, program.Options{})
	name := registry.Host + "/acme/library:1"
	want := makePackage(t, producer, 24*megabyte)
	producer.Run("ocipkg", "push", "in", name).OK()
	producer.Run("ocipkg", "pack", "in", "out.tar", "-t", name).OK()
	producer.WriteFile("small/file", "small", 0o644)
	small := registry.Host + "/acme/small:1"
	producer.Run("ocipkg", "push", "small", small).OK()

	disk, resize := smallDisk(t, "10m")
	store := filepath.Join(disk, "store")
	s := program.New(t, program.Options{Store: store})
	s.Run("ocipkg", "get", small).OK()
	before := packagesOf(t, store)

	for _, arguments := range [][]string{{"get", name}, {"load", filepath.Join(producer.Dir, "out.tar")}} {
		s.Run("ocipkg", arguments...).Fails(1, "no space left on device")
		storetest.CheckTmpEmpty(t, store)
		tree.Check(t, "packages", packagesOf(t, store), before)
		s.Run("ocipkg", "image-directory", small).OK()
	}
	resize("100m")
	s.Run("ocipkg", "get", name).OK()
	storetest.CheckTmpEmpty(t, store)
	dir := s.Run("ocipkg", "image-directory", name).OK().Stdout
	tree.Check(t, "the package", tree.Content(t, strings.TrimSpace(dir)), want)
}

func packagesOf(t *testing.T, store string) tree.Tree {
	t.Helper()
	return tree.Of(t, filepath.Join(store, "packages"))
}

// What is kept of a large layer for another try takes no room from the package.
func TestGetOntoADiskThatHoldsThePackageButNotWhatIsKeptOfIt(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	producer := program.New(t, program.Options{})
	name := registry.Host + "/acme/library:1"
	tree.WriteRandom(t, filepath.Join(producer.Dir, "in/large"), 66*megabyte, 1)
	producer.Own(filepath.Join(producer.Dir, "in"))
	want := tree.Content(t, filepath.Join(producer.Dir, "in"))
	producer.Run("ocipkg", "push", "in", name).OK()
	disk, _ := smallDisk(t, "80m")
	store := filepath.Join(disk, "store")
	s := program.New(t, program.Options{Store: store})
	s.Run("ocipkg", "get", name).OK()
	storetest.CheckTmpEmpty(t, store)
	storetest.CheckPackages(t, store, want)
}

func TestGetOntoADiskWithoutInodesFailsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	producer := program.New(t, program.Options{})
	name := registry.Host + "/acme/library:1"
	want := makePackage(t, producer, 2*megabyte)
	producer.Run("ocipkg", "push", "in", name).OK()
	disk, resize := smallDisk(t, "20m,nr_inodes=40")
	store := filepath.Join(disk, "store")
	s := program.New(t, program.Options{Store: store})
	s.Run("ocipkg", "get", name).Fails(1, "no space left on device")
	storetest.CheckTmpEmpty(t, store)
	storetest.CheckPackages(t, store, nil)
	resize("20m,nr_inodes=4000")
	s.Run("ocipkg", "get", name).OK()
	storetest.CheckPackages(t, store, want)
}

func TestPackOntoAFullDiskFailsAndKeepsTheOldArchive(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	makePackage(t, s, 24*megabyte)
	s.WriteFile("small/file", "small", 0o644)
	disk, resize := smallDisk(t, "10m")
	output := filepath.Join(disk, "out.tar")
	s.Run("ocipkg", "pack", "small", output).OK()
	before := tree.Of(t, disk)
	s.Run("ocipkg", "pack", "in", output, "--overwrite").Fails(1, "in", output, "no space left on device")
	s.Run("ocipkg", "pack", "in", filepath.Join(disk, "other.tar")).Fails(1, "no space left on device")
	s.Run("ocipkg", "pack", "in", "oci:"+filepath.Join(disk, "layout")).Fails(1, "no space left on device")
	tree.Check(t, "the disk", tree.Of(t, disk), before)
	resize("100m")
	s.Run("ocipkg", "pack", "in", output, "--overwrite").OK()
}

func TestPushOfADirectoryWithAFullTemporaryDirectoryFailsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	disk, _ := smallDisk(t, "10m")
	s := program.New(t, program.Options{Env: []string{"TMPDIR=" + disk}})
	makePackage(t, s, 24*megabyte)
	name := registry.Host + "/acme/library:1"
	s.Run("ocipkg", "push", "in", name).Fails(1, "push in", disk, "no space left on device")
	tree.Check(t, "TMPDIR", tree.Of(t, disk), tree.Tree{})
	// A layer may have gone before the disk was full.
	if n := registry.Count("PUT", "/manifests/"); n != 0 {
		t.Errorf("the registry got %d manifests", n)
	}
}
