package install_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/store"
)

const (
	childStore   = "OCIPKG_TEST_CHILD_STORE" // the store that this process is to install into
	childLayout  = "OCIPKG_TEST_CHILD_LAYOUT"
	childReplace = "OCIPKG_TEST_CHILD_REPLACE"
)

func TestMain(m *testing.M) {
	if os.Getenv(childStore) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child installs the package of a layout.
func child() error {
	s, err := store.Open(os.Getenv(childStore))
	if err != nil {
		return err
	}
	from, err := layout.OpenDir(context.Background(), os.Getenv(childLayout))
	if err != nil {
		return err
	}
	root, err := from.Root("")
	if err != nil {
		return err
	}
	_, err = install.Package(context.Background(), s, noting{from}, root, nil, install.Options{Replace: os.Getenv(childReplace) != ""})
	return err
}

// noting is a layout that notes each fetch in a file that processes share.
type noting struct{ *layout.Layout }

func (n noting) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	notes, err := os.OpenFile(n.Path+".fetched", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(notes, desc.Digest)
	blob, fetchErr := n.Layout.Fetch(ctx, desc)
	return blob, errors.Join(err, notes.Close(), fetchErr)
}

// layoutOf writes a package as a layout directory.
func layoutOf(t *testing.T, files map[string]string) (string, ocispec.Descriptor) {
	t.Helper()
	m := newMemory()
	desc := build(t, m, files)
	dir := filepath.Join(t.TempDir(), "layout")
	w, err := layout.CreateDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for d, raw := range m.blobs {
		b, err := w.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(ocispec.Descriptor{Digest: d, Size: int64(len(raw))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(desc, ""); err != nil {
		t.Fatal(err)
	}
	return dir, desc
}

func childCommand(t *testing.T, s *store.Store, layout string, replace bool) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childStore+"="+s.Dir(), childLayout+"="+layout)
	if replace {
		cmd.Env = append(cmd.Env, childReplace+"=1")
	}
	return cmd
}

func TestManyProcessesAtOnceFetchEachBlobOnce(t *testing.T) {
	dir, desc := layoutOf(t, library)
	s := newStore(t)
	var children []*exec.Cmd
	for range 8 {
		cmd := childCommand(t, s, dir, false)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, cmd)
	}
	for _, cmd := range children {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	p, err := s.Package(desc.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, library) {
		t.Errorf("the tree has %v", maps.Keys(got))
	}
	raw, err := os.ReadFile(dir + ".fetched")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, line := range strings.Fields(string(raw)) {
		if seen[line] {
			t.Errorf("%s was fetched twice", line)
		}
		seen[line] = true
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

// manyFiles is a package that takes a while to unpack.
func manyFiles() map[string]string {
	files := maps.Clone(library)
	for i := range 150 {
		files[fmt.Sprintf("share/%d/%d.txt", i%20, i)] = strings.Repeat(fmt.Sprint(i), i)
	}
	return files
}

func TestAProcessKilledAtAnyMomentLeavesAGoodStore(t *testing.T) {
	files := manyFiles()
	dir, desc := layoutOf(t, files)
	for _, replace := range []bool{false, true} {
		t.Run(fmt.Sprintf("replace %v", replace), func(t *testing.T) {
			s := newStore(t)
			start := time.Now()
			for range 2 {
				if out, err := childCommand(t, s, dir, true).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			duration := time.Since(start)
			if !replace {
				s = newStore(t)
			}
			random := rand.New(rand.NewPCG(11, 12))
			killed, whole := 0, 0
			for range 15 {
				cmd := childCommand(t, s, dir, replace)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				timer := time.AfterFunc(time.Duration(random.Int64N(int64(duration))), func() { cmd.Process.Kill() })
				if cmd.Wait() != nil {
					killed++
				}
				timer.Stop()
				p, err := s.Package(desc.Digest.String())
				switch {
				case err == nil:
					whole++
					if got := content(t, p.Root); !maps.Equal(got, files) {
						t.Fatalf("a package of %d files is in place with %d", len(files), len(got))
					}
					if !replace { // begin again
						s = newStore(t)
					}
				case replace || !errors.Is(err, errdef.ErrNotFound):
					t.Fatalf("a package that was there: %v", err)
				}
			}
			t.Logf("%d of 15 were killed within %v, and %d times the package was there", killed, duration, whole)
			if killed == 0 {
				t.Error("none was killed")
			}
			if out, err := childCommand(t, s, dir, replace).CombinedOutput(); err != nil {
				t.Errorf("the next one fails: %v: %s", err, out)
			}
			if left := leftovers(t, s); len(left) > 0 {
				t.Errorf("left in tmp: %v", left)
			}
			if p, err := s.Package(desc.Digest.String()); err != nil || !maps.Equal(content(t, p.Root), files) {
				t.Errorf("the package is not whole: %v", err)
			}
		})
	}
}

// A package that is being unpacked anew may be what others take layers from.
func TestPackagesThatShareLayersAreInstalledAndReplacedAtOnce(t *testing.T) {
	m, s := newMemory(), newStore(t)
	var descs []ocispec.Descriptor
	var want []map[string]string
	for i := range 4 {
		files := maps.Clone(library)
		files["include/foo.h"] = fmt.Sprint("int foo", i)
		descs, want = append(descs, build(t, m, files)), append(want, files)
	}
	done := make(chan error)
	for i := range 24 {
		go func() {
			_, err := install.Package(context.Background(), s, m, descs[i%4], nil, install.Options{Replace: i%3 == 0})
			done <- err
		}()
	}
	for range 24 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for i, desc := range descs {
		p, err := s.Package(desc.Digest.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, p.Root); !maps.Equal(got, want[i]) {
			t.Errorf("package %d has %v", i, maps.Keys(got))
		}
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestReplaceTakesNothingFromOtherPackages(t *testing.T) {
	m, s := newMemory(), newStore(t)
	first := build(t, m, library)
	changed := maps.Clone(library)
	changed["include/foo.h"] = "int foo(int);\n"
	second := build(t, m, changed)
	for _, desc := range []ocispec.Descriptor{first, second} {
		if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	// Both packages have this very file.
	big := filepath.Join(s.PackageDir(first.Digest.String()), "root", "lib", "big.bin")
	if err := errors.Join(os.Chmod(big, 0o644), os.WriteFile(big, []byte(strings.Repeat("x", 2<<20)), 0o644)); err != nil {
		t.Fatal(err)
	}
	for desc, want := range map[*ocispec.Descriptor]map[string]string{&first: library, &second: changed} {
		p, err := install.Package(t.Context(), s, m, *desc, nil, install.Options{Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, p.Root); !maps.Equal(got, want) {
			t.Error("the damage came back from the other package")
		}
	}
}

func TestAPackageThatWasSetAsideIsPutBack(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// As a process leaves it that was killed where directories cannot be
	// exchanged at once.
	if err := os.Rename(filepath.Dir(p.Root), s.Path("tmp", desc.Digest.Encoded()+".old")); err != nil {
		t.Fatal(err)
	}
	install.Sweep(s)
	if again, err := s.Package(p.Digest); err != nil || !maps.Equal(content(t, again.Root), library) {
		t.Errorf("it is lost: %v", err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestALayerThatIsAFileIsNoPartOfAListedPackage(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	raw := strings.Replace(string(m.blobs[desc.Digest]), `"mediaType":"application/vnd.ocipkg.v1.layer.tar+zstd"`, `"mediaType":"text/plain","annotations":{"org.opencontainers.image.title":"x"}`, 1)
	_, err := install.Package(t.Context(), s, m, m.put(ocispec.MediaTypeImageManifest, []byte(raw)), nil, install.Options{})
	if !errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), "not an archive") {
		t.Errorf("the error is %v", err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}
