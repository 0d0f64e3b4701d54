package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
	"github.com/ocipkg/ocipkg/bench/internal/plot"
	"github.com/ocipkg/ocipkg/bench/internal/registry"
	"github.com/ocipkg/ocipkg/bench/internal/workload"
)

// far is what commands take with a registry behind a long way.
type far struct {
	Blob   int64     `json:"blob"` // bytes
	Tables []farther `json:"tables"`
}

// farther is one table of it.
type farther struct {
	Title string   `json:"title"`
	Rows  []farRow `json:"rows"`
}

type farRow struct {
	Name  string        `json:"name"`
	Costs measure.Costs `json:"costs"`
	registry.Way
}

// farCase is one command. Before it, and before is not timed, the registry gets
// the set from near.
type farCase struct {
	name   string
	tokens bool
	near   string // what the registry is to have, and not timed
	before string // over the long way, and not timed
	script string
}

// The token that is kept goes with the cache; a second store keeps what was got
// for it out of the first.
const (
	farPublish = `
for os in linux windows; do ocipkg --quiet pack "$SET" $os.tar --platform $os/amd64; done
ocipkg --quiet push linux.tar windows.tar "$REG/$REPO:1"`
	farLock = `
printf '[dependencies]\nset = "%s"\n' "$REG/$REPO:1" >ocipkg.toml
OCIPKG_TARGET=linux/amd64 OCIPKG_HOME=$OUT/other ocipkg --quiet lock
rm -rf .cache`
	farToken = `OCIPKG_HOME=$OUT/third ocipkg --quiet get --platform linux/amd64 "$REG/$REPO:1"; chmod -R u+w "$OUT/third"; rm -rf "$OUT/third"`
	farGet   = `OCIPKG_HOME=$OUT/store ocipkg --quiet get --platform linux/amd64 "$REG/$REPO:1"`
)

// farTools are those beside which it is measured.
var farTools = []string{"oras directory", "crane tar.gz", "regctl directory"}

func toolNamed(name string) tool {
	for _, t := range tools {
		if t.Name == name {
			return t
		}
	}
	panic("there is no tool " + name)
}

// far measures what a long way costs.
func (b *bench) far(ctx context.Context) error {
	small, err := b.set(ctx, "small")
	if err != nil {
		return err
	}
	middle, err := b.set(ctx, "middle")
	if err != nil {
		return err
	}
	size := int64(200e6)
	if b.quick {
		size = 40e6
	}
	blob, err := b.incompressible(size)
	if err != nil {
		return err
	}
	gets := []farCase{
		{"ocipkg, locked, open to all", false, farPublish, farLock, farGet},
		{"ocipkg, locked, with a kept token", true, farPublish, farLock + "\n" + farToken, farGet},
		{"ocipkg, locked, without a token", true, farPublish, farLock, farGet},
		{"ocipkg, not locked, with a kept token", true, farPublish, farToken, farGet},
		{"ocipkg, not locked, without a token", true, farPublish, "", farGet},
	}
	ours := toolNamed("ocipkg")
	blobs := []farCase{
		{"ocipkg", false, ours.Push, "", ours.Pull},
		{"ocipkg, one connection", false, ours.Push, "", "OCIPKG_CONNECTIONS=1 " + ours.Pull},
	}
	pushes := []farCase{{"ocipkg", false, "", "", ours.Push}, {"ocipkg, 4 connections", false, "", "", "OCIPKG_CONNECTIONS=4 " + ours.Push}}
	for _, name := range farTools {
		t := toolNamed(name)
		gets = append(gets, farCase{name + ", without a token", true, t.Push, "", t.Pull})
		blobs = append(blobs, farCase{name, false, t.Push, "", t.Pull})
		pushes = append(pushes, farCase{name, false, "", "", t.Push})
	}
	result := far{Blob: size}
	for _, table := range []struct {
		title string
		set   *workload.Set
		cases []farCase
	}{
		{fmt.Sprintf("get of %d files, %s MB, into an empty store", len(small.Files), megabytes(small.Bytes)), small, gets},
		{fmt.Sprintf("get of one file of %s MB", megabytes(size)), blob, blobs},
		{fmt.Sprintf("get of %d files, %s MB", len(middle.Files), megabytes(middle.Bytes)), middle, blobs},
		{fmt.Sprintf("push of %d files, %s MB", len(small.Files), megabytes(small.Bytes)), small, pushes},
		{fmt.Sprintf("push of %d files, %s MB", len(middle.Files), megabytes(middle.Bytes)), middle, pushes},
	} {
		result.Tables = append(result.Tables, farther{Title: table.title})
		to := &result.Tables[len(result.Tables)-1]
		for _, c := range table.cases {
			to.Rows = append(to.Rows, farRow{Name: c.name})
		}
		for round := range b.rounds {
			for i := range table.cases {
				at := (i + round) % len(table.cases)
				b.say("far, %s, round %d of %d: %s", table.title, round+1, b.rounds, table.cases[at].name)
				if err := b.runFar(ctx, table.set, table.cases[at], &to.Rows[at]); err != nil {
					return fmt.Errorf("far, %s: %w", table.cases[at].name, err)
				}
			}
			if err := b.save("far", result); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) runFar(ctx context.Context, set *workload.Set, c farCase, to *farRow) error {
	return b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) (err error) {
		if c.near != "" {
			if _, err := turn.run(ctx, c.near); err != nil {
				return err
			}
		}
		far, err := turn.registry.Far(registry.Long, c.tokens)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, far.Close()) }()
		turn.host = far.Host
		if c.before != "" {
			if _, err := turn.run(ctx, c.before); err != nil {
				return err
			}
		}
		far.Way()
		cost, err := turn.timed(ctx, c.script)
		if err != nil {
			return err
		}
		to.Costs, to.Way = append(to.Costs, cost), far.Way()
		return nil
	})
}

// incompressible makes a set of one file that no compressor makes smaller.
func (b *bench) incompressible(size int64) (*workload.Set, error) {
	set := &workload.Set{Name: "blob", Dir: filepath.Join(b.cache, "sets", fmt.Sprintf("blob-%d", size), "blob"), Bytes: size}
	path := filepath.Join("lib", "libblob.a")
	file := filepath.Join(set.Dir, path)
	random := rand.NewChaCha8([32]byte{7})
	raw := make([]byte, size)
	random.Read(raw)
	sum := sha256.Sum256(raw)
	set.Files = []workload.File{{Path: path, Size: size, Digest: hex.EncodeToString(sum[:])}}
	if info, err := os.Stat(file); err == nil && info.Size() == size {
		return set, nil
	}
	return set, errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, raw, 0o644))
}

// far writes the section of a registry that is far.
func (d *document) far() error {
	var f far
	if ok, err := d.bench.load("far", &f); err != nil || !ok {
		return err
	}
	d.printf(`## A far registry

The registry is behind [toxiproxy](https://github.com/Shopify/toxiproxy), which delays each way by %d ms, a round trip of %d ms in
all, and lets %s MB a second through each connection. *Round trips* is the longest chain of requests that waited for each other, as
seen at the registry, without what setting up connections takes, which here is nothing: there is no TLS, and toxiproxy answers by
itself. *Tokens* are asked for at the registry's own door.

`, registry.FarTrip.Milliseconds()/2, registry.FarTrip.Milliseconds(), plot.Number(registry.FarRate/1e6))
	for _, table := range f.Tables {
		var rows [][]string
		for _, r := range table.Rows {
			s := span(r.Costs)
			rows = append(rows, []string{r.Name, seconds(s.Median), seconds(s.Low) + " – " + seconds(s.High), r.ratio(table.Rows[0]), fmt.Sprint(r.Requests), fmt.Sprint(r.Trips), fmt.Sprint(r.Connections), megabytes(r.Costs.Peak())})
		}
		d.table([]string{table.Title, "s", "spread", "ratio to the first", "requests", "round trips", "connections", "memory"}, rows)
	}
	return nil
}

func (r farRow) ratio(to farRow) string { return ratio(r.Costs.Ratio(to.Costs)) }
