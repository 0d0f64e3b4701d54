// Package memory tests how much memory and time the commands take for a package
// of a gigabyte. It is a package of its own because the kernel counts what the
// test process itself has in memory as the program's.
package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestMain(m *testing.M) { program.Main(m) }

const mebibyte = 1 << 20

// limit is the most memory, in bytes, that a command may have resident.
const limit = 100 * mebibyte

// makeGigabyte makes a directory of 1 GiB that no compressor makes smaller:
// half of it in one file, the rest in files of 64 MiB, and in many small ones.
func makeGigabyte(t *testing.T, dir string) {
	t.Helper()
	tree.WriteRandom(t, filepath.Join(dir, "lib/libhalf.a"), 512*mebibyte, 1)
	for i := range 6 {
		tree.WriteRandom(t, filepath.Join(dir, fmt.Sprintf("lib/lib%d.a", i)), 64*mebibyte, byte(2+i))
	}
	for i := range 1024 {
		tree.WriteRandom(t, filepath.Join(dir, fmt.Sprintf("share/%d/%d", i%16, i)), mebibyte/8, byte(i))
	}
}

func TestAPackageOfAGigabyteNeedsLessThanAHundredMebibytesOfMemory(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/large:1"
	// As on a machine with two processors: each further one may take more.
	s := program.New(t, program.Options{Env: []string{fmt.Sprintf("GOMAXPROCS=%d", min(2, runtime.NumCPU()))}})
	makeGigabyte(t, filepath.Join(s.Dir, "in"))
	s.Own(filepath.Join(s.Dir, "in"))
	run := func(arguments ...string) string {
		t.Helper()
		r := s.Run("ocipkg", arguments...)
		digest := r.Digest()
		t.Logf("%-10s %3d MiB, %v", arguments[0]+" "+filepath.Base(arguments[1]), r.PeakRSS/mebibyte, r.Elapsed)
		if r.PeakRSS > limit {
			t.Errorf("%s had %d MiB of memory, more than %d", r.Command, r.PeakRSS/mebibyte, limit/mebibyte)
		}
		return digest
	}
	remove := func(path string) {
		t.Helper()
		if err := tempdir.Remove(path); err != nil {
			t.Fatal(err)
		}
	}

	digest := run("pack", "in", "out.tar", "-t", name)
	steps := [][]string{{"push", "out.tar"}, {"get", name}}
	for _, step := range steps {
		if got := run(step...); got != digest {
			t.Errorf("%v has the digest %s, want %s", step, got, digest)
		}
	}
	roots := storetest.Roots(t, storetest.Dir(s))
	if len(roots) != 1 {
		t.Fatalf("the store has the packages %v", roots)
	}
	// Whole, without hashing it all once more: what is unpacked was verified.
	if got, want := sizes(t, roots[0]), sizes(t, filepath.Join(s.Dir, "in")); got != want {
		t.Errorf("the package in the store has %s, want %s", got, want)
	}

	remove(storetest.Dir(s))
	if got := run("load", "out.tar"); got != digest {
		t.Errorf("loaded %s, want %s", got, digest)
	}
	remove(storetest.Dir(s))
	remove(filepath.Join(s.Dir, "out.tar"))
	if got := run("push", "in", registry.Host+"/acme/direct:1"); got != digest {
		t.Errorf("pushed %s, want %s", got, digest)
	}
}

// sizes sums up the files of a directory.
func sizes(t *testing.T, dir string) string {
	t.Helper()
	files, bytes := 0, int64(0)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d files with %d bytes", files, bytes)
}
