package layer

import (
	"crypto/sha256"
	"slices"
)

// Rule says how files are grouped into layers. It is part of the format only in
// so far as another one gives other digests.
type Rule struct {
	Large      int64 // bytes from which a file is a layer of its own
	MaxLarge   int   // layers of one file each, at most
	Bucket     int64 // bytes of small files in a layer, about
	MaxBuckets int   // a power of two, at most 256
}

// DefaultRule is the one that packages are made by.
var DefaultRule = Rule{Large: 1 << 20, MaxLarge: 128, Bucket: 4 << 20, MaxBuckets: 32}

// Group says which files go into which layer, by [DefaultRule].
func Group(files []File) [][]int { return DefaultRule.Group(files) }

// Group says which files go into which layer: indexes into files, one slice a
// layer, none of them empty. Large files are alone; the others are spread by
// the hash of their path. It is a pure function of the paths and sizes, and
// adding, removing or growing one file changes at most two layers, save where a
// count crosses a power of two.
func (r Rule) Group(files []File) [][]int {
	threshold := r.threshold(files)
	var small int64
	var large []int
	for i, f := range files {
		if f.Size >= threshold {
			large = append(large, i)
		} else {
			small += f.Size
		}
	}
	buckets := make([][]int, r.buckets(small))
	for i, f := range files {
		if f.Size < threshold {
			hash := sha256.Sum256([]byte(f.Path))
			b := int(hash[len(hash)-1]) % len(buckets) // all of the number modulo a power of two
			buckets[b] = append(buckets[b], i)
		}
	}
	groups := slices.DeleteFunc(buckets, func(b []int) bool { return len(b) == 0 })
	for _, i := range large {
		groups = append(groups, []int{i})
	}
	return groups
}

// threshold gives from which size on files are alone. It doubles until few
// enough reach it.
func (r Rule) threshold(files []File) int64 {
	for threshold := r.Large; ; threshold *= 2 {
		n := 0
		for _, f := range files {
			if f.Size >= threshold {
				n++
			}
		}
		if n <= r.MaxLarge {
			return threshold
		}
	}
}

// buckets gives the power of two, at most MaxBuckets, that leaves about Bucket
// bytes to a bucket.
func (r Rule) buckets(small int64) int {
	n := 1
	for n < r.MaxBuckets && small > int64(n)*r.Bucket {
		n *= 2
	}
	return n
}
