package layer

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/limit"
)

// subjects are what the benchmarks pack: a program, this one, and many headers.
func subjects(b *testing.B) map[string][]File {
	program, err := os.Executable()
	must(b, err)
	raw, err := os.ReadFile(program)
	must(b, err)
	large, small := b.TempDir(), b.TempDir()
	must(b, os.WriteFile(filepath.Join(large, "program"), raw, 0o755))
	headers := map[string]string{}
	for i := range 500 {
		headers[fmt.Sprintf("include/part%d/header%d.h", i/50, i)] = strings.Repeat(fmt.Sprintf("int function_%d(int, const char *name);\n", i), 1+i%200)
	}
	write(b, small, headers)
	return map[string][]File{"program": scan(b, large), "headers": scan(b, small)}
}

func sizeOf(files []File) (sum int64) {
	for _, f := range files {
		sum += f.Size
	}
	return sum
}

func BenchmarkPack(b *testing.B) {
	for name, files := range subjects(b) {
		for _, compression := range []Compression{Zstd, Gzip} {
			b.Run(name+"/"+string(compression), func(b *testing.B) {
				b.SetBytes(sizeOf(files))
				b.ReportAllocs()
				var packed Packed
				for b.Loop() {
					var err error
					packed, err = Pack(ctx, io.Discard, nil, pointers(files), compression)
					must(b, err)
				}
				b.ReportMetric(float64(packed.Size), "bytes-packed")
			})
		}
	}
}

func BenchmarkExpand(b *testing.B) {
	for name, files := range subjects(b) {
		for _, compression := range []Compression{Zstd, Gzip} {
			raw, _ := packed(b, files, compression)
			b.Run(name+"/"+string(compression), func(b *testing.B) {
				b.SetBytes(sizeOf(files))
				b.ReportAllocs()
				dir := b.TempDir()
				for i := 0; b.Loop(); i++ {
					at := filepath.Join(dir, fmt.Sprint(i))
					must(b, os.Mkdir(at, 0o755))
					root, err := os.OpenRoot(at)
					must(b, err)
					must(b, NewTree(root, limit.Default).Expand(ctx, bytes.NewReader(raw), compression, files))
					must(b, root.Close())
					b.StopTimer()
					must(b, Remove(at))
					b.StartTimer()
				}
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	for i := range 500 {
		write(b, dir, map[string]string{fmt.Sprintf("include/part%d/header%d.h", i/50, i): "int f(void);\n"})
	}
	for b.Loop() {
		_, err := Scan(dir, nil)
		must(b, err)
	}
}

func BenchmarkGroup(b *testing.B) {
	files := make([]File, 10_000)
	for i := range files {
		files[i] = File{Path: fmt.Sprintf("lib/part%d/file%d", i/100, i), Size: int64(i%500) * 5000}
	}
	for b.Loop() {
		Group(files)
	}
}
