package binfmt

import (
	_ "embed"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync"
)

// glibcText and libstdcxxText say which versions the symbols of glibc and of libstdc++ have. Their comments explain the format;
// the program in glibcgen makes them.
var (
	//go:embed glibc.txt
	glibcText string
	//go:embed libstdcxx.txt
	libstdcxxText string
)

// glibcSymbols and libstdcxxSymbols return the tables, read when they are first asked for: only relocatable code needs them.
var (
	glibcSymbols     = sync.OnceValue(func() *versionTable { return parseVersionTable(glibcText) })
	libstdcxxSymbols = sync.OnceValue(func() *versionTable { return parseVersionTable(libstdcxxText) })
)

// versionTable is the versions of a library's symbols. What is not in it has the base version of its architecture, or is not the library's.
type versionTable struct {
	versions []string              // in order
	bases    map[string]versionSet // of architectures, the oldest version of the library for them
	rows     []versionRow
	rowOf    []uint16          // of each name's index
	names    map[string]uint16 // their index
	musl     []bool            // of each name's index, whether musl has it, too
	sieve    [1 << 16 / 64]uint64
}

// versionRow is the versions of some symbols, and those of architectures that differ.
type versionRow struct {
	common versionSet
	except map[string]versionSet
}

// versionSet is a set of versions: bit i stands for versionTable.versions[i].
type versionSet uint64

// parseVersionTable reads a table. A test sees to it that the text has no fault.
func parseVersionTable(text string) *versionTable {
	t := &versionTable{
		bases: make(map[string]versionSet),
		names: make(map[string]uint16, strings.Count(text, "\t")),
	}
	inMusl := false
	for line := range strings.SplitSeq(text, "\n") {
		if names, ok := strings.CutPrefix(line, "\t"); ok {
			for name := range strings.SplitSeq(names, "\t") {
				if inMusl {
					t.musl[t.names[name]] = true
					continue
				}
				t.names[name] = uint16(len(t.rowOf))
				mesh := meshOf([]byte(name))
				t.sieve[mesh/64] |= 1 << (mesh % 64)
				t.rowOf = append(t.rowOf, uint16(len(t.rows)-1))
			}
			continue
		}
		switch words := strings.Fields(line); {
		case line == "musl":
			inMusl = true
			t.musl = make([]bool, len(t.rowOf))
		case len(words) < 2:
		case words[0] == "versions":
			t.versions = words[1:]
		case words[0] == "base":
			for _, architecture := range words[2:] {
				t.bases[architecture] = t.set(words[1])
			}
		case words[0] == "row":
			row := versionRow{common: t.set(words[1]), except: make(map[string]versionSet)}
			for _, exception := range words[2:] {
				architecture, list, _ := strings.Cut(exception, "=")
				row.except[architecture] = t.set(list)
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// find returns the index of a symbol. Nearly all symbols of nearly all files are not the library's, and stay in the sieve: it is small
// enough for the fastest memory, and looks at the ends of a name only.
func (t *versionTable) find(name []byte) (index uint16, ok bool) {
	mesh := meshOf(name)
	if t.sieve[mesh/64]&(1<<(mesh%64)) == 0 {
		return 0, false
	}
	index, ok = t.names[string(name)]
	return index, ok
}

// meshOf gives the bit of the sieve for a name.
func meshOf(name []byte) uint16 {
	const prime = 0x9E3779B97F4A7C15
	n := len(name)
	hash := uint64(n)
	if n < 8 {
		for _, c := range name {
			hash = hash<<8 | uint64(c)
		}
	} else {
		hash ^= binary.LittleEndian.Uint64(name)*prime ^ binary.LittleEndian.Uint64(name[n-8:])
	}
	return uint16(hash * prime >> 48)
}

// set gives the set of a list of versions, without those that the table does not have.
func (t *versionTable) set(list string) (set versionSet) {
	for version := range strings.SplitSeq(list, ",") {
		for i, known := range t.versions {
			if known == version {
				set |= 1 << i
			}
		}
	}
	return set
}

// upTo gives the set of all versions that are not above one.
func (t *versionTable) upTo(version string) (set versionSet) {
	for i, known := range t.versions {
		if compareVersions(known, version) <= 0 {
			set |= 1 << i
		}
	}
	return set
}

// versionsOf gives the versions that a symbol has on an architecture.
func (t *versionTable) versionsOf(index uint16, architecture string) versionSet {
	row := &t.rows[t.rowOf[index]]
	set, ok := row.except[architecture]
	if !ok {
		set = row.common
	}
	return set.from(t.bases[architecture])
}

// from raises the versions below a base to the base.
func (s versionSet) from(base versionSet) versionSet {
	if below := base - 1; s&below != 0 {
		return s&^below | base
	}
	return s
}

// above leaves out a base and what is below it.
func (s versionSet) above(base versionSet) versionSet { return s &^ (base<<1 - 1) }

// lowest gives the set of the lowest version of a set.
func (s versionSet) lowest() versionSet { return s & -s }

// highest names the highest version of a set, "" of none.
func (t *versionTable) highest(s versionSet) string {
	if s == 0 {
		return ""
	}
	return t.versions[bits.Len64(uint64(s))-1]
}

// namesOf returns the names of indexes, sorted.
func (t *versionTable) namesOf(indexes map[uint16]bool) []string {
	if len(indexes) == 0 {
		return nil
	}
	var names []string
	for name, index := range t.names {
		if indexes[index] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
