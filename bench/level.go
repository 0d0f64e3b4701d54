package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
	"github.com/ocipkg/ocipkg/bench/internal/registry"
)

// level pushes the big set with the level of zstd that layers are packed with, and
// with the fastest, over lines of several rates, and prints what that took.
func (b *bench) level(ctx context.Context) error {
	set, err := b.set(ctx, "big")
	if err != nil {
		return err
	}
	programs := []struct{ name, path string }{{"default", filepath.Join(b.ours, "ocipkg")}, {"fastest", filepath.Join(b.work, "fastest")}}
	if err := b.buildFastest(ctx, programs[1].path); err != nil {
		return err
	}
	lines := []struct {
		name string
		rate float64 // bytes a second; 0 is as it is
	}{{"100 Mbit/s", 12.5e6}, {"1 Gbit/s", 125e6}, {"loopback", 0}}
	costs := make([]map[string]measure.Costs, len(lines))
	for i := range costs {
		costs[i] = map[string]measure.Costs{}
	}
	for round := range b.rounds {
		for i, line := range lines {
			for _, program := range programs {
				b.say("%s, %s, round %d of %d", line.name, program.name, round+1, b.rounds)
				err := b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) error {
					one := ""
					if line.rate > 0 {
						far, err := turn.registry.Far(registry.Line{Rate: line.rate}, false)
						if err != nil {
							return err
						}
						defer far.Close()
						turn.host, one = far.Host, "--connections 1" // the line is all that there is
					}
					cost, err := turn.timed(ctx, fmt.Sprintf(`%s --quiet %s push "$SET" "$REG/$REPO:1"`, program.path, one))
					costs[i][program.name] = append(costs[i][program.name], cost)
					return err
				})
				if err != nil {
					return err
				}
			}
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "line\tdefault s\tfastest s\tfastest to default\tCPU default\tCPU fastest")
	for i, line := range lines {
		usual, fastest := costs[i]["default"], costs[i]["fastest"]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", line.name, seconds(span(usual).Median), seconds(span(fastest).Median),
			ratio(fastest.Ratio(usual)), seconds(usual.CPU()), seconds(fastest.CPU()))
	}
	return w.Flush()
}

// buildFastest builds the program with another level in the place of its own.
func (b *bench) buildFastest(ctx context.Context, to string) error {
	source := filepath.Join(b.root, "internal", "layer", "compression.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	const option = "zstd.WithEncoderConcurrency(1)"
	if bytes.Count(text, []byte(option)) != 1 {
		return fmt.Errorf("%s does not say %s once", source, option)
	}
	changed, overlay := filepath.Join(b.work, "compression.go"), filepath.Join(b.work, "overlay.json")
	text = bytes.Replace(text, []byte(option), []byte(option+", zstd.WithEncoderLevel(zstd.SpeedFastest)"), 1)
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err := errors.Join(err, os.WriteFile(changed, text, 0o644), os.WriteFile(overlay, replace, 0o644)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", to, "./cmd/ocipkg")
	cmd.Dir = b.root
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program with the fastest level: %w\n%s", err, output)
	}
	return nil
}
