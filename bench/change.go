package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
	"github.com/ocipkg/ocipkg/bench/internal/registry"
	"github.com/ocipkg/ocipkg/bench/internal/workload"
)

// change is what it costs to publish and get a package again of which little or
// nothing is new.
type change struct {
	Files      int    `json:"files"`
	Bytes      int64  `json:"bytes"`
	Library    int64  `json:"library"`    // size of the file that changes
	Compressed int64  `json:"compressed"` // what zstd -3 makes of it
	Steps      []step `json:"steps"`
}

// step is one command of the story.
type step struct {
	Name    string           `json:"name"`
	Costs   measure.Costs    `json:"costs"`
	Traffic registry.Traffic `json:"traffic"`
	script  string
}

// changeSteps are in the order in which a package lives. OLD and NEW are its
// directories before and after the change.
func changeSteps() []step {
	get := `OCIPKG_HOME=$OUT/store ocipkg --quiet get "$REG/$REPO:%d"`
	return []step{
		{Name: "push, cold", script: `ocipkg --quiet push "$OLD" "$REG/$REPO:1"`},
		{Name: "push again", script: `ocipkg --quiet push "$OLD" "$REG/$REPO:1"`},
		{Name: "get, cold", script: fmt.Sprintf(get, 1)},
		{Name: "get again", script: fmt.Sprintf(get, 1)},
		{Name: "push, one library changed", script: `ocipkg --quiet push "$NEW" "$REG/$REPO:2"`},
		{Name: "get, one library changed", script: fmt.Sprintf(get, 2)},
		{Name: "push of that, nothing remembered", script: `OCIPKG_HOME=$OUT/new ocipkg --quiet push "$NEW" "$REG/$REPO:3"`},
	}
}

func (b *bench) change(ctx context.Context) error {
	set, err := b.set(ctx, "change")
	if err != nil {
		return err
	}
	c := change{Files: len(set.Files), Bytes: set.Bytes, Steps: changeSteps()}
	changed := filepath.Join(b.work, "changed", set.Name)
	if c.Library, err = changeOne(set, changed, max(set.Bytes/200, 2e6)); err != nil {
		return err
	}
	if c.Compressed, err = b.compressed(ctx, filepath.Join(b.work, "changed", "library")); err != nil {
		return err
	}
	after := &workload.Set{Name: set.Name, Dir: changed}
	if after.Files, err = workload.List(changed); err != nil {
		return err
	}
	for round := range b.rounds + 1 {
		counted := round == b.rounds
		b.say("a change, round %d of %d", round+1, b.rounds+1)
		err := b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) error {
			if !counted {
				return turn.steps(ctx, set.Dir, changed, func(s int, cost measure.Cost) { c.Steps[s].Costs = append(c.Steps[s].Costs, cost) })
			}
			counter, err := turn.registry.Count()
			if err != nil {
				return err
			}
			defer counter.Close()
			turn.host = counter.Host
			var before registry.Traffic
			err = turn.steps(ctx, set.Dir, changed, func(s int, _ measure.Cost) {
				c.Steps[s].Traffic = counter.Traffic().Sub(before)
				before = counter.Traffic()
			})
			if err != nil {
				return err
			}
			return turn.check(ctx, tools[0], after)
		})
		if err != nil {
			return fmt.Errorf("change a library: %w", err)
		}
	}
	return b.save("change", c)
}

// steps takes all steps and tells what each cost.
func (t *turn) steps(ctx context.Context, before, after string, done func(step int, cost measure.Cost)) error {
	for i, s := range changeSteps() {
		cost, err := t.timed(ctx, fmt.Sprintf("OLD=%q NEW=%q\n", before, after)+s.script)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		done(i, cost)
	}
	return nil
}

// changeOne makes a copy of the set, of links, in which the library whose size is
// nearest to size has 64 KiB other bytes in its middle. It gives its size, and
// puts a link to it beside the copy.
func changeOne(set *workload.Set, to string, size int64) (int64, error) {
	chosen := set.Files[0]
	for _, f := range set.Files {
		if distance(f.Size, size) < distance(chosen.Size, size) {
			chosen = f
		}
	}
	for _, f := range set.Files {
		from, at := filepath.Join(set.Dir, f.Path), filepath.Join(to, f.Path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return 0, err
		}
		if f.Path != chosen.Path {
			if err := os.Link(from, at); err != nil {
				return 0, err
			}
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return 0, err
		}
		for i := range min(64<<10, len(text)/2) {
			text[len(text)/2+i] ^= 0x55
		}
		mode := fs.FileMode(0o644)
		if f.Exec {
			mode = 0o755
		}
		if err := errors.Join(os.WriteFile(at, text, mode), os.Link(at, filepath.Join(filepath.Dir(to), "library"))); err != nil {
			return 0, err
		}
	}
	return chosen.Size, nil
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

func (b *bench) compressed(ctx context.Context, file string) (int64, error) {
	out := filepath.Join(b.work, "compressed")
	if _, err := measure.Run(ctx, measure.Command{Script: fmt.Sprintf("zstd -q -3 -c %q >%q", file, out), Dir: b.work, Env: b.env(b.work)}); err != nil {
		return 0, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
