package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
	"github.com/ocipkg/ocipkg/bench/internal/registry"
	"github.com/ocipkg/ocipkg/bench/internal/workload"
)

// comparison is one set of files through one registry, by all tools.
type comparison struct {
	Set      string `json:"set"`
	Files    int    `json:"files"`
	Bytes    int64  `json:"bytes"`
	Registry string `json:"registry"`
	Rows     []row  `json:"rows"`
}

// row is one tool's.
type row struct {
	Tool   string        `json:"tool"`
	Push   measure.Costs `json:"push"`
	Pull   measure.Costs `json:"pull"`
	Stored int64         `json:"stored"` // bytes in the registry
	// What went over the wire; counted in a run of its own.
	PushTraffic registry.Traffic `json:"pushTraffic"`
	PullTraffic registry.Traffic `json:"pullTraffic"`
}

// compare measures the tools with the two registries.
func (b *bench) compare(ctx context.Context) error {
	var all []comparison
	for _, server := range []string{distribution, dockerRegistry} {
		for _, shape := range []string{"small", "many", "big"} {
			if b.quick && server != distribution && shape != "many" || !chosen(b.only.sets, shape) {
				continue
			}
			set, err := b.set(ctx, shape)
			if err != nil {
				return err
			}
			all = append(all, comparison{Set: set.Name, Files: len(set.Files), Bytes: set.Bytes, Registry: server})
			// Saved after each round: it is long, and a part of it is worth something.
			err = b.compareOne(ctx, set, &all[len(all)-1], func() error { return b.save("compare", all) })
			if err != nil {
				return fmt.Errorf("compare with the set %s and %s: %w", shape, server, err)
			}
		}
	}
	return nil
}

// compareOne has the tools take turns: rounds are the outer loop, and each begins
// with another tool, so that what the machine does meanwhile meets all alike. What
// they move is counted first, for one registry, since it is the same for both.
func (b *bench) compareOne(ctx context.Context, set *workload.Set, c *comparison, save func() error) error {
	var taken []tool
	for _, t := range tools {
		if (c.Registry == distribution || t.Short) && (t.Name == reference || chosen(b.only.tools, t.Name)) {
			taken = append(taken, t)
			c.Rows = append(c.Rows, row{Tool: t.Name})
		}
	}
	for at, t := range taken {
		if c.Registry != distribution {
			break
		}
		b.say("%s, %s, counted: %s", c.Registry, set.Name, t.Name)
		if err := b.runCounted(ctx, t, set, c.Registry, &c.Rows[at]); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	for round := range b.rounds {
		for i := range taken {
			at := (i + round) % len(taken)
			b.say("%s, %s, round %d of %d: %s", c.Registry, set.Name, round+1, b.rounds, taken[at].Name)
			if err := b.runTimed(ctx, taken[at], set, c.Registry, &c.Rows[at]); err != nil {
				return fmt.Errorf("%s: %w", taken[at].Name, err)
			}
		}
		if err := save(); err != nil {
			return err
		}
	}
	return nil
}

// runTimed lets a tool push and pull once, with a new registry, and checks what
// arrived.
func (b *bench) runTimed(ctx context.Context, t tool, set *workload.Set, server string, to *row) error {
	return b.inTurn(ctx, t, set, server, func(turn *turn) error {
		pushed, err := turn.timed(ctx, t.Push)
		if err != nil {
			return err
		}
		if to.Stored, err = turn.registry.Stored(); err != nil {
			return err
		}
		pulled, err := turn.timed(ctx, t.Pull)
		if err != nil {
			return err
		}
		to.Push, to.Pull = append(to.Push, pushed), append(to.Pull, pulled)
		return turn.check(ctx, t, set)
	})
}

// runCounted is as runTimed through a counter, and takes no times.
func (b *bench) runCounted(ctx context.Context, t tool, set *workload.Set, server string, to *row) error {
	return b.inTurn(ctx, t, set, server, func(turn *turn) error {
		counter, err := turn.registry.Count()
		if err != nil {
			return err
		}
		defer counter.Close()
		turn.host = counter.Host
		if _, err := turn.run(ctx, t.Push); err != nil {
			return err
		}
		to.PushTraffic = counter.Traffic()
		if _, err := turn.run(ctx, t.Pull); err != nil {
			return err
		}
		to.PullTraffic = counter.Traffic().Sub(to.PushTraffic)
		return turn.check(ctx, t, set)
	})
}

// turn is what one run of a tool has for itself.
type turn struct {
	b         *bench
	registry  *registry.Registry
	host      string
	work, out string
	set       string
}

// kept is up to how many bytes of a set turns leave behind what they made until
// their section is done. ext4 gives no inode away again for minutes after it was
// freed, and looks at each that it cannot give: what thousands of files that were
// just removed cost is several times what making as many does.
const kept = 100e6

// inTurn gives do a registry and directories that are empty, and removes them.
func (b *bench) inTurn(ctx context.Context, t tool, set *workload.Set, server string, do func(*turn) error) (err error) {
	dir, err := os.MkdirTemp(b.work, "turn-")
	if err != nil {
		return err
	}
	if set.Bytes > kept {
		defer func() { err = errors.Join(err, removeAll(dir)) }()
	}
	turn := &turn{b: b, work: filepath.Join(dir, "work"), out: filepath.Join(dir, "out"), set: set.Dir}
	if err := errors.Join(os.Mkdir(turn.work, 0o755), os.Mkdir(turn.out, 0o755)); err != nil {
		return err
	}
	if turn.registry, err = registry.Start(ctx, b.server(server), dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, turn.registry.Stop()) }()
	turn.host = turn.registry.Host
	if t.Prepare != "" {
		if _, err := turn.run(ctx, t.Prepare); err != nil {
			return err
		}
	}
	return do(turn)
}

// timed runs a script once what was written before is on the disk, so that no
// run pays for another's.
func (t *turn) timed(ctx context.Context, script string) (measure.Cost, error) {
	syscall.Sync()
	return t.run(ctx, script)
}

func (t *turn) run(ctx context.Context, script string) (measure.Cost, error) {
	return measure.Run(ctx, measure.Command{Script: script, Dir: t.work, Env: t.env()})
}

func (t *turn) env() []string {
	return t.b.env(t.work, "SET="+t.set, "REG="+t.host, "REPO=bench/"+filepath.Base(t.set), "OUT="+t.out)
}

// check compares what arrived with what was sent.
func (t *turn) check(ctx context.Context, of tool, set *workload.Set) error {
	if of.Tree == "" {
		_, err := t.run(ctx, "cmp blob got")
		return err
	}
	place := filepath.Join(t.work, "place")
	if _, err := t.run(ctx, "{ "+of.Tree+"; } >"+place); err != nil {
		return err
	}
	text, err := os.ReadFile(place)
	if err != nil {
		return err
	}
	return set.Compare(strings.TrimSpace(string(text)), of.Modes)
}

// find returns the row of a tool; nil when it was not measured.
func (c comparison) find(tool string) *row {
	i := slices.IndexFunc(c.Rows, func(r row) bool { return r.Tool == tool })
	if i < 0 {
		return nil
	}
	return &c.Rows[i]
}
