package main

import (
	"context"
	"fmt"
	"syscall"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
)

// memory is what each command took of a package of one size.
type memory struct {
	Files    int            `json:"files"`
	Bytes    int64          `json:"bytes"`
	Commands []measuredOnce `json:"commands"`
}

// measuredOnce is a command that was run once.
type measuredOnce struct {
	Command string       `json:"command"`
	Cost    measure.Cost `json:"cost"`
}

var memoryCommands = []struct{ title, script string }{
	{"push DIR", `ocipkg --quiet push "$SET" "$REG/$REPO:1"`},
	{"get", `ocipkg --quiet get "$REG/$REPO:1"`},
	{"link --format cps", `ocipkg link --format cps --shared --libc glibc:2.99 "$REG/$REPO:1"`}, // whatever the libraries need
	{"list", `ocipkg list`},
	{"store fsck", `ocipkg --quiet store fsck`},
	{"inspect", `ocipkg inspect "$REG/$REPO:1"`},
	{"copy", `ocipkg --quiet copy "$REG/$REPO:1" oci:copied`},
	{"pack", `ocipkg --quiet pack "$SET" packed.tar -t "$REG/$REPO:2"`},
	{"push FILE", `ocipkg --quiet push packed.tar`},
	{"load", `OCIPKG_HOME=$OUT/second ocipkg --quiet load packed.tar`},
}

const enough = 30e9 // bytes free on the disk for the largest package

// memory runs each command once for each size.
func (b *bench) memory(ctx context.Context) error {
	names := []string{"little", "big"}
	if free, err := b.free(); err != nil {
		return err
	} else if !b.quick && free > enough {
		names = append(names, "huge")
	} else if !b.quick {
		b.say("no package of 4 GB: the disk has %.0f GB free, and it takes %.0f", float64(free)/1e9, enough/1e9)
	}
	var all []memory
	for _, name := range names {
		set, err := b.set(ctx, name)
		if err != nil {
			return err
		}
		m := memory{Files: len(set.Files), Bytes: set.Bytes}
		err = b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) error {
			for _, c := range memoryCommands {
				b.say("memory, %d MB: %s", set.Bytes/1e6, c.title)
				cost, err := turn.run(ctx, "export OCIPKG_HOME=$OUT/store\n"+c.script)
				if err != nil {
					return err
				}
				m.Commands = append(m.Commands, measuredOnce{c.title, cost})
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("memory with the set %s: %w", name, err)
		}
		all = append(all, m)
	}
	return b.save("memory", all)
}

// free gives the bytes that are free where runs write.
func (b *bench) free() (int64, error) {
	var stat syscall.Statfs_t
	err := syscall.Statfs(b.work, &stat)
	return int64(stat.Bavail) * stat.Bsize, err
}
