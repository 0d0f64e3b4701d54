// Package memory tests how much memory the commands take for a package of a
// gigabyte, and for one of very many files. It is a package of its own because the kernel counts what the
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

// promised is the most memory, in bytes, that a command may have resident for a
// package of so many files, where it has two processors.
func promised(files int) int64 { return 64*mebibyte + int64(files)<<10 }

// session gives one as on a machine with two processors, since each further one
// may take more, with other variables beside.
func session(t *testing.T, env ...string) *program.Session {
	t.Helper()
	return program.New(t, program.Options{Env: append(env, fmt.Sprintf("GOMAXPROCS=%d", min(2, runtime.NumCPU())))})
}

// makeGigabyte makes a directory of 1 GiB that no compressor makes smaller:
// half of it in one file, the rest in files of 64 MiB, and in many small ones. It
// gives the number of files.
func makeGigabyte(t *testing.T, dir string) int {
	t.Helper()
	tree.WriteRandom(t, filepath.Join(dir, "lib/libhalf.a"), 512*mebibyte, 1)
	for i := range 6 {
		tree.WriteRandom(t, filepath.Join(dir, fmt.Sprintf("lib/lib%d.a", i)), 64*mebibyte, byte(2+i))
	}
	for i := range 1024 {
		tree.WriteRandom(t, filepath.Join(dir, fmt.Sprintf("share/%d/%d", i%16, i)), mebibyte/8, byte(i))
	}
	return 1 + 6 + 1024
}

func TestAPackageOfAGigabyteNeedsNoMoreMemoryThanIsPromised(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/large:1"
	s := session(t)
	limit := promised(makeGigabyte(t, filepath.Join(s.Dir, "in")))
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

// A file is held with its path and its digest, and little else.
func TestAFileMoreTakesLessThanAKibibyteOfMemory(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	const few, many = 15_000, 45_000
	peaks := map[int]map[string]int64{}
	for _, files := range []int{few, many} {
		peaks[files] = map[string]int64{}
		s := session(t)
		makeFiles(t, filepath.Join(s.Dir, "in"), files)
		s.Own(filepath.Join(s.Dir, "in"))
		name := fmt.Sprintf("%s/acme/files%d:", registry.Host, files)
		for _, step := range []struct {
			what      string
			arguments []string
		}{
			{"push", []string{"push", "in", name + "1"}},
			{"push again", []string{"push", "in", name + "2"}},
			{"get", []string{"get", name + "1"}},
			{"fsck", []string{"store", "fsck"}},
			{"inspect", []string{"inspect", "--json", name + "1"}},
		} {
			r := s.Run("ocipkg", step.arguments...).OK()
			peaks[files][step.what] = r.PeakRSS
			t.Logf("%d files: %-10s %3d MiB, %v", files, step.what, r.PeakRSS/mebibyte, r.Elapsed)
			if r.PeakRSS > promised(files) {
				t.Errorf("%s of %d files had %d MiB of memory, more than %d", step.what, files, r.PeakRSS/mebibyte, promised(files)/mebibyte)
			}
		}
	}
	for what, peak := range peaks[many] {
		if each := (peak - peaks[few][what]) / (many - few); each >= 1<<10 {
			t.Errorf("%s took %d bytes of memory for each file more", what, each)
		}
	}
}

// makeFiles makes a directory of files of some bytes each.
func makeFiles(t *testing.T, dir string, files int) {
	t.Helper()
	for i := range files {
		at := filepath.Join(dir, fmt.Sprintf("include/part%03d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(at, fmt.Sprintf("header%d.h", i)), fmt.Appendf(nil, "int function%d(void);\n", i), 0o644); err != nil {
			t.Fatal(err)
		}
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
