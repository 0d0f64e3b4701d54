package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"text/tabwriter"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/layer"
)

// The line that a change is sent over.
const (
	roundTrip = 0.050 // seconds
	rate      = 10e6  // bytes a second
)

// rules are those that are weighed.
var rules = []layer.Rule{
	layer.DefaultRule,
	{Large: 512 << 10, MaxLarge: 128, Bucket: 4 << 20, MaxBuckets: 32},
	{Large: 2 << 20, MaxLarge: 128, Bucket: 4 << 20, MaxBuckets: 32},
	{Large: 4 << 20, MaxLarge: 128, Bucket: 4 << 20, MaxBuckets: 32},
	{Large: 1 << 20, MaxLarge: 32, Bucket: 4 << 20, MaxBuckets: 32},
	{Large: 1 << 20, MaxLarge: 64, Bucket: 4 << 20, MaxBuckets: 32},
	{Large: 1 << 20, MaxLarge: 256, Bucket: 4 << 20, MaxBuckets: 32},
	{Large: 1 << 20, MaxLarge: 128, Bucket: 1 << 20, MaxBuckets: 64},
	{Large: 1 << 20, MaxLarge: 128, Bucket: 2 << 20, MaxBuckets: 32},
	{Large: 1 << 20, MaxLarge: 128, Bucket: 2 << 20, MaxBuckets: 64},
	{Large: 1 << 20, MaxLarge: 128, Bucket: 8 << 20, MaxBuckets: 32},
	{Large: 2 << 20, MaxLarge: 128, Bucket: 8 << 20, MaxBuckets: 16},
}

// parts is over how many parts of a set the costs are averaged. The rule doubles
// and halves, so that one set alone says more about where it crosses a power of
// two than about the rule.
const parts = 64

// grouping prints what one changed file costs with each of the rules: bytes of
// layers and manifest, and the seconds that they and the questions for layers
// take on a line of 10 MB/s with round trips of 50 ms, once they are packed.
func (b *bench) grouping(ctx context.Context) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "set\talone from, KiB\tat most\tbucket, MiB\tat most\tlayers\tmanifest, B\tany file, KB\tany byte, KB\tno questions, s\t12 at once\t4\t8 cores busy, %\t")
	for _, name := range []string{"big", "many", "change"} {
		set, err := b.set(ctx, name)
		if err != nil {
			return err
		}
		files, err := layer.Scan(set.Dir, nil)
		if err != nil {
			return err
		}
		ratio, err := ratioOf(ctx, files)
		if err != nil {
			return err
		}
		for _, rule := range rules {
			var c ruleCost
			random := rand.New(rand.NewPCG(1, 2))
			for i := range parts {
				part := slices.Clone(files)
				random.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
				c.add(part[:len(part)*(parts+i+1)/(2*parts)], rule, ratio) // from the half on
			}
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%.1f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t\n", name, rule.Large>>10, rule.MaxLarge, rule.Bucket>>20, rule.MaxBuckets,
				c.layers, c.manifest, c.byFile/1e3, c.byByte/1e3, c.seconds(math.Inf(1)), c.seconds(12), c.seconds(4), 100*c.busy)
		}
	}
	return table.Flush()
}

// ratioOf gives the share of their bytes that files have when they are packed.
func ratioOf(ctx context.Context, files []layer.File) (float64, error) {
	var plain, packed int64
	for _, group := range layer.Group(files) {
		var in []*layer.File
		for _, i := range group {
			in = append(in, &files[i])
			plain += files[i].Size
		}
		p, err := layer.Pack(ctx, io.Discard, nil, in, layer.Zstd)
		if err != nil {
			return 0, err
		}
		packed += p.Size
	}
	return float64(packed) / float64(plain), nil
}

// ruleCost is what a rule makes of a package, on average over the parts.
type ruleCost struct {
	layers   float64
	manifest float64 // bytes
	byFile   float64 // bytes of layers sent after a change, where each file is as likely to change
	byByte   float64 // the same, where each byte is
	busy     float64 // the share of eight cores' time that packing uses, each layer being packed by one of them
}

// add takes a part of a package into the average.
func (c *ruleCost) add(files []layer.File, rule layer.Rule, ratio float64) {
	groups := rule.Group(files)
	manifest := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifact.ArtifactType}
	var sizes []int64
	var total int64
	var byFile, byByte float64
	for _, group := range groups {
		var size int64
		for _, i := range group {
			size += files[i].Size
		}
		packed := float64(size) * ratio
		byFile += packed * float64(len(group)) / float64(len(files))
		byByte += packed * float64(size)
		sizes = append(sizes, size)
		total += size
		manifest.Layers = append(manifest.Layers, ocispec.Descriptor{MediaType: artifact.LayerTypeZstd, Digest: ocispec.DescriptorEmptyJSON.Digest, Size: int64(packed)})
	}
	raw, _ := json.Marshal(manifest) // of plain values
	c.layers += float64(len(groups)) / parts
	c.manifest += float64(len(raw)) / parts
	c.byFile += byFile / parts
	c.byByte += byByte / float64(total) / parts
	c.busy += busy(sizes, total, 8) / parts
}

// seconds gives how long the push of a change takes that asks for so many layers
// at once.
func (c *ruleCost) seconds(atOnce float64) float64 {
	return math.Ceil(c.layers/atOnce)*roundTrip + (c.byFile+c.manifest)/rate
}

// busy gives the share of the workers' time that layers of these sizes fill, the
// largest packed first.
func busy(sizes []int64, total int64, workers int) float64 {
	load := make([]int64, workers)
	slices.Sort(sizes)
	for _, size := range slices.Backward(sizes) {
		load[slices.Index(load, slices.Min(load))] += size
	}
	return float64(total) / float64(slices.Max(load)*int64(workers))
}
