package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
	"github.com/ocipkg/ocipkg/bench/internal/workload"
)

// scale is what commands cost as a number grows.
type scale struct {
	Files    []scaled `json:"files"`    // in one package
	Packages []scaled `json:"packages"` // in the store
	Tags     []scaled `json:"tags"`     // in a repository
}

// scaled are the commands at one number.
type scaled struct {
	Number   int       `json:"number"`
	Commands []startup `json:"commands"`
}

type scaleCommand struct{ title, script string }

func (b *bench) scale(ctx context.Context) error {
	files, packages, tags := []int{1000, 10_000, 100_000, 200_000}, []int{1000, 3000, 10_000}, []int{100, 1000, 10_000}
	if b.quick {
		files, packages, tags = []int{100, 1000, 10_000}, []int{100, 300, 1000}, []int{10, 100, 1000}
	}
	var result scale
	for _, number := range files {
		b.say("a package of %d files", number)
		s, err := b.scaleFiles(ctx, number)
		if err != nil {
			return fmt.Errorf("a package of %d files: %w", number, err)
		}
		result.Files = append(result.Files, s)
	}
	for _, number := range packages {
		b.say("a store of %d packages", number)
		s, err := b.scalePackages(ctx, number)
		if err != nil {
			return fmt.Errorf("a store of %d packages: %w", number, err)
		}
		result.Packages = append(result.Packages, s)
	}
	for _, number := range tags {
		b.say("a repository of %d tags", number)
		s, err := b.scaleTags(ctx, number)
		if err != nil {
			return fmt.Errorf("a repository of %d tags: %w", number, err)
		}
		result.Tags = append(result.Tags, s)
	}
	return b.save("scale", result)
}

// scaleFiles brings a package of many small files through a registry.
func (b *bench) scaleFiles(ctx context.Context, number int) (scaled, error) {
	set := &workload.Set{Name: "files", Dir: filepath.Join(b.work, fmt.Sprintf("files-%d", number))}
	if err := writeSmall(set.Dir, number); err != nil {
		return scaled{}, err
	}
	defer removeAll(set.Dir)
	s := scaled{Number: number}
	err := b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) error {
		return turn.scaled(ctx, &s, 1, []scaleCommand{
			{"push", `ocipkg --quiet push "$SET" "$REG/$REPO:1"`},
			{"get", `ocipkg --quiet get "$REG/$REPO:1"`},
			{"link, warm", `ocipkg link "$REG/$REPO:1"`},
			{"store fsck", `ocipkg --quiet store fsck`},
		})
	})
	return s, err
}

// writeSmall writes number files of some hundred bytes, a hundred a directory, and
// a library.
func writeSmall(dir string, number int) error {
	for i := range number {
		at := filepath.Join(dir, "include", fmt.Sprintf("part%03d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
		}
		var text []byte // of which no line is as another: what shrinks beyond all proportion is refused
		for line := range 2 + i%20 {
			sum := sha256.Sum256(fmt.Append(nil, i, line))
			text = fmt.Appendf(text, "int function_%d(int argument_%x);\n", i, sum[:6])
		}
		if err := os.WriteFile(filepath.Join(at, fmt.Sprintf("header%d.h", i)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// scalePackages looks after a store of many packages.
func (b *bench) scalePackages(ctx context.Context, number int) (scaled, error) {
	set, err := b.set(ctx, "small")
	if err != nil {
		return scaled{}, err
	}
	s := scaled{Number: number}
	err = b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) error {
		_, err := turn.run(ctx, linkable+`
export OCIPKG_HOME=$OUT/store
ocipkg --quiet push package "$REG/$REPO:1"
ocipkg --quiet get "$REG/$REPO:1" >digest
`)
		if err != nil {
			return err
		}
		digest, err := os.ReadFile(filepath.Join(turn.work, "digest"))
		if err != nil {
			return err
		}
		if err := multiply(filepath.Join(turn.out, "store"), strings.TrimSpace(string(digest)), number); err != nil {
			return err
		}
		return turn.scaled(ctx, &s, 5, []scaleCommand{
			{"list, first", `rm -f $OCIPKG_HOME/summary; ocipkg list`},
			{"list", `ocipkg list`},
			{"link, warm", `ocipkg link "$REG/$REPO:1"`},
			{"get, of what is there", `ocipkg --quiet get "$REG/$REPO:1"`},
			{"get, anew", `ocipkg --quiet get --overwrite "$REG/$REPO:1"`},
			{"store prune --dry-run", `ocipkg store prune --dry-run`},
		})
	})
	return s, err
}

// scaleTags works with a repository of many tags: those who write an index look
// through them for what others add to it.
func (b *bench) scaleTags(ctx context.Context, number int) (scaled, error) {
	set, err := b.set(ctx, "small")
	if err != nil {
		return scaled{}, err
	}
	s := scaled{Number: number}
	err = b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) error {
		_, err := turn.run(ctx, linkable+`
export OCIPKG_HOME=$OUT/store
ocipkg --quiet push package "$REG/$REPO:1" >digest
`)
		if err != nil {
			return err
		}
		digest, err := os.ReadFile(filepath.Join(turn.work, "digest"))
		if err != nil {
			return err
		}
		more := make([]string, number-1)
		for i := range more {
			more[i] = fmt.Sprintf("1.%d.%d", i/100, i%100)
		}
		if err := turn.registry.Tag("bench/"+filepath.Base(set.Dir), strings.TrimSpace(string(digest)), more); err != nil {
			return err
		}
		return turn.scaled(ctx, &s, 5, []scaleCommand{
			{"tags", fmt.Sprintf(`test "$(ocipkg tags "$REG/$REPO" | wc -l)" -ge %d`, number)},
			{"index add", `ocipkg --quiet index add "$REG/$REPO:all" "$REG/$REPO:1"`},
			{"get", `OCIPKG_HOME=$PWD/anew ocipkg --quiet get "$REG/$REPO:1"; chmod -R u+w anew; rm -r anew`},
		})
	})
	return s, err
}

// scaled runs each command some times.
func (t *turn) scaled(ctx context.Context, to *scaled, times int, commands []scaleCommand) error {
	for _, c := range commands {
		var costs measure.Costs
		for range times {
			cost, err := t.run(ctx, "export OCIPKG_HOME=$OUT/store\n"+c.script)
			if err != nil {
				return err
			}
			costs = append(costs, cost)
		}
		to.Commands = append(to.Commands, startup{c.title, costs})
	}
	return nil
}

// multiply makes number packages out of one that is in the store, whose files
// they share, each with a name. They were used long ago.
func multiply(store, digest string, number int) error {
	from := filepath.Join(store, "packages", "sha256", strings.TrimPrefix(digest, "sha256:"))
	long := time.Now().AddDate(0, -3, 0)
	for i := range number - 1 {
		encoded := fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i)))
		if err := link(from, filepath.Join(store, "packages", "sha256", encoded)); err != nil {
			return err
		}
		name := fmt.Sprintf("example.com/bench/library-%d:1", i)
		ref, err := json.Marshal(map[string]any{"name": name, "digest": "sha256:" + encoded, "lookedUp": long.UTC()})
		if err != nil {
			return err
		}
		used := filepath.Join(store, "used", encoded)
		err = errors.Join(
			os.WriteFile(filepath.Join(store, "blobs", "sha256", encoded), []byte("{}"), 0o644),
			os.WriteFile(used, nil, 0o600), os.Chtimes(used, long, long),
			os.WriteFile(filepath.Join(store, "refs", fmt.Sprintf("%x", sha256.Sum256([]byte(name)))), ref, 0o644),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// link copies a package's directory by links.
func link(from, to string) error {
	return filepath.WalkDir(from, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := to + strings.TrimPrefix(name, from)
		switch {
		case entry.IsDir():
			return os.Mkdir(at, 0o755)
		case entry.Type().IsRegular():
			return os.Link(name, at)
		}
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		return os.Symlink(target, at)
	})
}
