package layer

import (
	"crypto/sha256"
	"slices"
)

// The constants of the grouping rule. They are part of the format only in so
// far as changing them changes digests.
const (
	largeFile  = 1 << 20 // bytes from which a file is a layer of its own
	maxLarge   = 128     // layers of one file each, at most
	bucketSize = 4 << 20 // bytes of small files in a layer, about
	maxBuckets = 32
)

// Group says which files go into which layer: indexes into files, one slice a
// layer, none of them empty. Large files are alone; the others are spread by
// the hash of their path. It is a pure function of the paths and sizes, and
// adding, removing or growing one file changes at most two layers, save where a
// count crosses a power of two.
func Group(files []File) [][]int {
	threshold := largeThreshold(files)
	var small int64
	var large []int
	for i, f := range files {
		if f.Size >= threshold {
			large = append(large, i)
		} else {
			small += f.Size
		}
	}
	buckets := make([][]int, bucketCount(small))
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

// largeThreshold doubles from largeFile until few enough files reach it.
func largeThreshold(files []File) int64 {
	for threshold := int64(largeFile); ; threshold *= 2 {
		n := 0
		for _, f := range files {
			if f.Size >= threshold {
				n++
			}
		}
		if n <= maxLarge {
			return threshold
		}
	}
}

// bucketCount gives the power of two, at most maxBuckets, that leaves about
// bucketSize bytes to a bucket.
func bucketCount(small int64) int {
	n := 1
	for n < maxBuckets && small > int64(n)*bucketSize {
		n *= 2
	}
	return n
}
