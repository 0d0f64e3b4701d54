package layer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// packed packs all files as one layer.
func packed(t testing.TB, files []File, compression Compression) ([]byte, Packed) {
	t.Helper()
	var out bytes.Buffer
	desc, err := Pack(ctx, &out, nil, pointers(files), compression)
	must(t, err)
	return out.Bytes(), desc
}

func pointers(files []File) []*File {
	list := make([]*File, len(files))
	for i := range files {
		list[i] = &files[i]
	}
	return list
}

func scan(t testing.TB, dir string) []File {
	t.Helper()
	files, err := Scan(dir, nil)
	must(t, err)
	return files
}

var small = map[string]string{
	"include/greet.h": "void greet(void);\n", "lib/libgreet.a": "!<arch>\n", "lib/libgreet.so": "-> libgreet.so.1",
	"lib/libgreet.so.1": strings.Repeat("greet ", 5000), "share/empty/": "", "share/Grüße": "", "bin/greet": "#!/bin/sh\n",
	"share/" + strings.Repeat("long/", 40) + "name": "deep",
}

func smallTree(t testing.TB) string {
	dir := write(t, t.TempDir(), small)
	must(t, os.Chmod(filepath.Join(dir, "bin/greet"), 0o755))
	return dir
}

// The digests change with the encoders of klauspost/compress and with what
// archive/tar writes. Then every package that is made has another digest than
// before: say so in the release notes.
func TestThePackedBytesAreThoseOfTheLastRelease(t *testing.T) {
	files := scan(t, smallTree(t))
	for compression, want := range map[Compression]string{
		Zstd: "sha256:dc207744a9f304b305c38207776476c8a17dae855625307252b71c28677fa6d8",
		Gzip: "sha256:781c7720482a2c9bc7e806e37fae67d2f4ad1d510e3ebc8d88d4a6afcb2ed26f",
	} {
		if _, desc := packed(t, files, compression); desc.Digest.String() != want {
			t.Errorf("%s: the digest is %s, and was %s", compression, desc.Digest, want)
		}
	}
}

func TestPackingDependsOnTheContentAlone(t *testing.T) {
	want, _ := packed(t, scan(t, smallTree(t)), Zstd)
	for name, change := range map[string]func(t *testing.T, dir string){
		"another directory": func(*testing.T, string) {},
		"another time": func(t *testing.T, dir string) {
			must(t, os.Chtimes(filepath.Join(dir, "include/greet.h"), time.Now(), time.Unix(1e9, 5)))
		},
		"modes that only the user has": func(t *testing.T, dir string) {
			must(t, os.Chmod(filepath.Join(dir, "include/greet.h"), 0o600))
			must(t, os.Chmod(filepath.Join(dir, "bin/greet"), 0o700))
			must(t, os.Chmod(filepath.Join(dir, "lib"), 0o700))
		},
		"modes of a group": func(t *testing.T, dir string) {
			must(t, os.Chmod(filepath.Join(dir, "include/greet.h"), 0o664))
			must(t, os.Chmod(filepath.Join(dir, "lib/libgreet.a"), 0o640))
			must(t, os.Chmod(filepath.Join(dir, "bin/greet"), 0o775))
		},
		"another order on the disk": func(t *testing.T, dir string) {
			for _, name := range []string{"include/greet.h", "lib/libgreet.a"} {
				at := filepath.Join(dir, name)
				must(t, os.Remove(at))
				must(t, os.WriteFile(at, []byte(small[name]), 0o644))
			}
		},
		"one processor": func(t *testing.T, _ string) {
			before := runtime.GOMAXPROCS(1)
			t.Cleanup(func() { runtime.GOMAXPROCS(before) })
		},
		"many processors": func(t *testing.T, _ string) {
			before := runtime.GOMAXPROCS(16)
			t.Cleanup(func() { runtime.GOMAXPROCS(before) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := smallTree(t)
			change(t, dir)
			if got, _ := packed(t, scan(t, dir), Zstd); !bytes.Equal(got, want) {
				t.Errorf("the bytes are others")
			}
		})
	}
}

func TestTheOrderInWhichFilesWereGivenDoesNotShow(t *testing.T) {
	src := smallTree(t)
	paths := []string{"lib/libgreet.a", "include/greet.h", "lib/libgreet.so.1", "bin/greet"}
	var want []byte
	for i := range 8 {
		rand.New(rand.NewPCG(uint64(i), 1)).Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
		var files []File
		for _, p := range paths {
			f, err := Entry(filepath.Join(src, p), p, nil)
			must(t, err)
			files = append(files, f)
		}
		must(t, Arrange(files))
		got, _ := packed(t, files, Zstd)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("the order %q gives other bytes", paths)
		}
	}
}

func TestCompressionDoesNotDependOnHowTheInputIsCut(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	input := make([]byte, 3<<20)
	for i := range input {
		input[i] = byte(random.IntN(16) * random.IntN(4))
	}
	for _, compression := range []Compression{Zstd, Gzip} {
		want := compressed(t, input, compression)
		for round := range 4 {
			var out bytes.Buffer
			w, err := compression.compressor(&out)
			must(t, err)
			for rest := input; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(1<<(8+4*round)))
				_, err := w.Write(rest[:n])
				must(t, err)
				rest = rest[n:]
			}
			must(t, w.Close())
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%s: other cuts give other bytes", compression)
			}
		}
	}
}

func TestGzipCarriesNoTimeAndNoName(t *testing.T) {
	raw, _ := packed(t, scan(t, smallTree(t)), Gzip)
	r, err := gzip.NewReader(bytes.NewReader(raw))
	must(t, err)
	if !r.ModTime.IsZero() || r.Name != "" || r.Comment != "" || len(r.Extra) > 0 {
		t.Errorf("the header is %+v", r.Header)
	}
}

func TestPackNotesWhatItWrote(t *testing.T) {
	files := scan(t, smallTree(t))
	raw, desc := packed(t, files, Zstd)
	if desc.Size != int64(len(raw)) || desc.Digest != digestOf(raw) {
		t.Errorf("it is said to be %v, and is %d bytes of %s", desc, len(raw), digestOf(raw))
	}
	for _, f := range files {
		if f.IsRegular() && f.Digest != digestOf([]byte(small[f.Path])) {
			t.Errorf("%s has the digest %s", f.Path, f.Digest)
		}
	}
	if got := TopLevel(pointers(files)); !slices.Equal(got, []string{"bin", "include", "lib", "share"}) {
		t.Errorf("the top holds %q", got)
	}
}

func TestAFileThatChangesWhileItIsPackedIsAnError(t *testing.T) {
	for name, size := range map[string]int64{"grew": 11, "grew from nothing": 1, "shrank": 5, "emptied": 0} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), map[string]string{"a": "0123456789"})
			if name == "grew from nothing" {
				write(t, dir, map[string]string{"a": ""})
			}
			files := scan(t, dir)
			must(t, os.Truncate(filepath.Join(dir, "a"), size))
			_, err := Pack(ctx, &bytes.Buffer{}, nil, pointers(files), Zstd)
			if err == nil || !strings.Contains(err.Error(), "changed while it was packed") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestAFileThatVanishesWhileItIsPackedIsAnError(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"a": "0123456789"})
	files := scan(t, dir)
	must(t, os.Remove(filepath.Join(dir, "a")))
	if _, err := Pack(ctx, &bytes.Buffer{}, nil, pointers(files), Gzip); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
}

// stopping calls stop at the first write.
type stopping struct {
	stop context.CancelFunc
	n    int
}

func (s *stopping) Write(p []byte) (int, error) {
	s.stop()
	s.n += len(p)
	return len(p), nil
}

func TestALargeFileIsNotPackedToItsEndWhenItIsStopped(t *testing.T) {
	files := scan(t, write(t, t.TempDir(), map[string]string{"large": strings.Repeat("0123456789abcdef", 1<<20)}))
	ctx, stop := context.WithCancel(t.Context())
	plain := &stopping{stop: stop}
	if _, err := Pack(ctx, io.Discard, plain, pointers(files), Zstd); !errors.Is(err, context.Canceled) || plain.n > 1<<20 {
		t.Errorf("after %d bytes: %v", plain.n, err)
	}
	if _, err := files[0].Sum(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("its digest: %v", err)
	}
}

func TestAFailedWriteIsReported(t *testing.T) {
	for _, compression := range []Compression{Zstd, Gzip} {
		w := &failingWriter{left: 10}
		if _, err := Pack(ctx, w, nil, pointers(scan(t, smallTree(t))), compression); !errors.Is(err, errFull) {
			t.Errorf("%s: the error is %v", compression, err)
		}
	}
	// The encoder that failed must not spoil what is packed next.
	TestThePackedBytesAreThoseOfTheLastRelease(t)
}

var errFull = errors.New("full")

type failingWriter struct{ left int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestTheNameOfACompression(t *testing.T) {
	for name, want := range map[string]Compression{"": Zstd, "zstd": Zstd, "gzip": Gzip} {
		if got, err := ParseCompression(name); got != want || err != nil {
			t.Errorf("%q gives %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"xz", "ZSTD", "gz"} {
		if _, err := ParseCompression(name); !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("%q gives %v", name, err)
		}
	}
}

func randomFiles(random *rand.Rand, n int) []File {
	files := make([]File, n)
	for i := range files {
		size := random.Int64N(1 << random.IntN(24))
		files[i] = File{Path: fmt.Sprintf("%c/%d", 'a'+random.IntN(5), i), Size: size}
	}
	return files
}

// layersOf gives the content of each layer, and the counts that decide on the
// grouping.
func layersOf(files []File) (layers map[string]bool, threshold int64, buckets int) {
	layers = map[string]bool{}
	for _, group := range Group(files) {
		var key strings.Builder
		for _, i := range group {
			fmt.Fprintf(&key, "%s %d\n", files[i].Path, files[i].Size)
		}
		layers[key.String()] = true
	}
	threshold = DefaultRule.threshold(files)
	var small int64
	for _, f := range files {
		if f.Size < threshold {
			small += f.Size
		}
	}
	return layers, threshold, DefaultRule.buckets(small)
}

func TestEveryFileIsInOneLayerAndLayersAreFew(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		files := randomFiles(random, 1+random.IntN(1<<random.IntN(12)))
		seen := make([]bool, len(files))
		groups := Group(files)
		if len(groups) > DefaultRule.MaxLarge+DefaultRule.MaxBuckets {
			t.Fatalf("round %d: %d files make %d layers", round, len(files), len(groups))
		}
		for _, group := range groups {
			if len(group) == 0 {
				t.Fatalf("round %d: a layer is empty", round)
			}
			if !slices.IsSorted(group) {
				t.Fatalf("round %d: a layer's files are out of order", round)
			}
			for _, i := range group {
				if seen[i] {
					t.Fatalf("round %d: file %d comes twice", round, i)
				}
				seen[i] = true
			}
		}
		if slices.Contains(seen, false) {
			t.Fatalf("round %d: a file is in no layer", round)
		}
	}
}

func TestChangingOneFileChangesAtMostTwoLayers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	compared := 0
	for range 600 {
		files := randomFiles(random, 2+random.IntN(400))
		at := random.IntN(len(files))
		changed := slices.Clone(files)
		switch random.IntN(3) {
		case 0:
			changed = slices.Delete(changed, at, at+1)
		case 1:
			changed = slices.Insert(changed, at, File{Path: "new", Size: random.Int64N(1 << random.IntN(24))})
		case 2:
			changed[at].Size += random.Int64N(1 << random.IntN(24))
		}
		before, threshold, buckets := layersOf(files)
		after, newThreshold, newBuckets := layersOf(changed)
		if threshold != newThreshold || buckets != newBuckets {
			continue // a count crossed a power of two
		}
		compared++
		fresh := 0
		for l := range after {
			if !before[l] {
				fresh++
			}
		}
		if fresh > 2 {
			t.Fatalf("one file more or less changed %d layers of %d", fresh, len(after))
		}
	}
	if compared < 300 {
		t.Errorf("only %d of the changes could be compared", compared)
	}
}

func TestLargeFilesAreLayersOfTheirOwnUntilTheyAreTooMany(t *testing.T) {
	var files []File
	for i := range 300 {
		files = append(files, File{Path: fmt.Sprint(i), Size: DefaultRule.Large << (i % 3)})
	}
	alone := 0
	for _, group := range Group(files) {
		if len(group) == 1 && files[group[0]].Size >= 4*DefaultRule.Large {
			alone++
		}
	}
	if alone != 100 {
		t.Errorf("%d of the 100 largest files are alone", alone)
	}
	if got := Group(files[:128]); len(got) != 128 {
		t.Errorf("128 large files make %d layers", len(got))
	}
}

func digestOf(raw []byte) digest.Digest { return digest.FromBytes(raw) }
