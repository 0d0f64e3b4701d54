// Package workload makes the sets of files that are packed, pushed and pulled:
// real content, taken from the toolchains and libraries on the machine by rules
// that choose the same files each time.
package workload

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Shape says what a set looks like.
type Shape struct {
	Name  string
	Files int
	Bytes int64
	// Largest is the size that no file exceeds.
	Largest int64
	// Binary takes programs and libraries of this machine's architecture alone;
	// otherwise headers, documents and source are taken.
	Binary bool
	// Times is how often the files come, below a directory for each time and with
	// that many bytes more at their ends, so that no two are the same. Zero is
	// once, as they are: for sets that the machine has files enough for.
	Times int
}

// Set is a directory of files.
type Set struct {
	Name  string `json:"name"`
	Dir   string `json:"-"`
	Bytes int64  `json:"bytes"`
	Files []File `json:"files"` // sorted by path
}

// File is one of a set.
type File struct {
	Path   string `json:"path"`
	Source string `json:"source"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // SHA-256, hexadecimal
	Exec   bool   `json:"exec,omitempty"`
}

// Make gives the set of a shape, which it makes in a directory of cache unless
// it is there. An error says when the machine has not enough files for it.
func Make(ctx context.Context, cache string, shape Shape) (*Set, error) {
	dir := filepath.Join(cache, fmt.Sprintf("%s-%d-%d", shape.Name, shape.Files, shape.Bytes))
	list := dir + ".json"
	set := &Set{Name: shape.Name, Dir: filepath.Join(dir, shape.Name)}
	if raw, err := os.ReadFile(list); err == nil {
		return set, json.Unmarshal(raw, set)
	}
	fmt.Fprintf(os.Stderr, "make the set %s: %d files, %d MB\n", shape.Name, shape.Files, shape.Bytes/1e6)
	candidates, err := find(ctx, shape)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(candidates, shape)
	if err != nil {
		return nil, fmt.Errorf("make the set %s: %w", shape.Name, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	for time := range max(shape.Times, 1) {
		below := ""
		if shape.Times > 0 {
			below = fmt.Sprint(time)
		}
		for _, c := range chosen {
			f, err := c.copyTo(set.Dir, below, time)
			if err != nil {
				return nil, err
			}
			set.Bytes += f.Size
			set.Files = append(set.Files, f)
		}
	}
	slices.SortFunc(set.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	raw, err := json.MarshalIndent(set, "", " ")
	if err != nil {
		return nil, err
	}
	return set, os.WriteFile(list, raw, 0o644) // last: with it the set counts as whole
}

// choose takes files at even steps of the list by size, from the largest down
// to where the sum comes nearest to what is wanted: so large and small ones are
// there as they are on the machine.
func choose(candidates []candidate, shape Shape) ([]candidate, error) {
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.path, b.path))
	})
	pick := func(of int) (files []candidate, sum int64) {
		for i := range shape.Files {
			c := candidates[i*of/shape.Files]
			files, sum = append(files, c), sum+c.size
		}
		return files, sum
	}
	low, high := shape.Files, len(candidates)
	if high < low {
		return nil, fmt.Errorf("the machine has %d files for it, not %d", high, low)
	}
	if _, sum := pick(low); sum < shape.Bytes {
		return nil, fmt.Errorf("the %d largest files on the machine have %d bytes, not %d", low, sum, shape.Bytes)
	}
	for low < high {
		middle := (low + high + 1) / 2
		if _, sum := pick(middle); sum >= shape.Bytes {
			low = middle
		} else {
			high = middle - 1
		}
	}
	files, _ := pick(low)
	return files, nil
}

// copyTo copies the file to its place below a directory of dir, with so many zeros
// after it.
func (c candidate) copyTo(dir, below string, zeros int) (File, error) {
	// As a package has them: lib/, include/, share/.
	f := File{Path: path.Join(below, strings.TrimPrefix(c.path[1:], "usr/")), Source: c.path, Exec: c.exec}
	to := filepath.Join(dir, f.Path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return f, err
	}
	in, err := os.Open(c.path)
	if err != nil {
		return f, err
	}
	defer in.Close()
	mode := fs.FileMode(0o644) // the modes that every format keeps
	if c.exec {
		mode = 0o755
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return f, err
	}
	sum := sha256.New()
	f.Size, err = io.Copy(io.MultiWriter(out, sum), io.MultiReader(in, bytes.NewReader(make([]byte, zeros))))
	f.Digest = hex.EncodeToString(sum.Sum(nil))
	if closed := out.Close(); err == nil {
		err = closed
	}
	return f, err
}
