// Package detection tests that what binfmt says of compiled code is what
// independent programs say: binutils' readelf, LLVM's tools, and file.
package detection

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// soakVariable makes the test compare all files that the machine has.
const soakVariable = "OCIPKG_SOAK"

func TestAnswersAreThoseOfIndependentTools(t *testing.T) {
	c := comparison{t: t, ours: map[string]facts{}, failed: map[string]error{}, counts: map[string]int{}}
	if os.Getenv(soakVariable) != "" {
		c.paths, c.mayRefuse = everything(t), true
	} else {
		c.paths = sample(t)
	}
	c.inspect()
	c.ask()
	c.report()
}

// comparison compares what tools say of files with what binfmt says.
type comparison struct {
	t         *testing.T
	paths     []string
	ours      map[string]facts
	failed    map[string]error
	counts    map[string]int // of values compared, by the name of the fact
	mayRefuse bool           // tools may: among all files are broken ones
}

// inspect asks binfmt.
func (c *comparison) inspect() {
	for _, path := range c.paths {
		f, err := ours(path)
		if err != nil {
			c.failed[path] = err
			continue
		}
		c.ours[path] = f
	}
}

// ask asks the tools, each about the files of the formats that it knows.
func (c *comparison) ask() {
	heads := c.compare("file", fileCommand(c.t), c.paths)
	single := c.where(func(path string) bool {
		return heads[path]["slices"] == "" && heads[path]["kind"] != "thin archive" && filepath.Base(path) != foreignArchive
	})
	formats := c.compare("llvm-readobj", readobj(c.t), single)
	isOf := func(format string) []string {
		return c.where(func(path string) bool { return formats[path]["format"] == format })
	}
	c.compare("readelf", readelf(c.t), isOf("elf"))
	c.compare("llvm-objdump", objdumpImage(c.t), isOf("pe"))
	universal := c.where(func(path string) bool { return heads[path]["slices"] != "" })
	c.compare("llvm-objdump", objdumpMachO(c.t), append(universal, isOf("macho")...))
	// Of linked files nm lists other symbols than those that a loader sees; of
	// bitcode it decodes them, which binfmt leaves alone.
	c.compare("llvm-nm", nm(c.t), append(universal, c.where(func(path string) bool {
		kind := c.ours[path]["kind"]
		return (kind == "object" || kind == "archive" || kind == "import library") && c.ours[path]["format"] != "llvm-bitcode"
	})...))
}

// where gives the files of which something is true.
func (c *comparison) where(is func(path string) bool) (paths []string) {
	for _, path := range c.paths {
		if is(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// compare asks one tool, reports where it disagrees, and gives what it says.
func (c *comparison) compare(name string, tool tool, paths []string) map[string]facts {
	c.t.Helper()
	all := tool.ask(c.t, paths)
	for _, path := range paths {
		said, ok := all[path]
		switch {
		case !ok:
			c.counts[name+" refused"]++
			if !c.mayRefuse {
				c.t.Errorf("%s refuses %s", name, path)
			}
			continue
		case c.failed[path] != nil:
			if name != "file" { // which only looks at the head
				c.t.Errorf("%s: %v; %s understands it", path, c.failed[path], name)
			}
			continue
		}
		for fact := range said {
			if fact == undecided {
				continue
			}
			c.counts[fact[strings.IndexByte(fact, '/')+1:]]++
		}
		ours := c.ours[path]
		if name == "file" && ours["kind"] == "" {
			for _, fact := range []string{"kind", "interpreter", "static"} {
				delete(said, fact) // it does not see that only debugging information is left
			}
		}
		if name == "llvm-nm" {
			ours = ours.withoutPointers()
			if said[undecided] != "" && ours["format"] == "coff" {
				ours, said = ours.withoutDecision(), said.withoutDecision()
			}
			delete(said, undecided)
		}
		for _, line := range disagreements(name, said, ours) {
			c.t.Errorf("%s: %s", path, line)
		}
	}
	return all
}

// report says how much was compared.
func (c *comparison) report() {
	c.t.Logf("%d files; values compared: %v", len(c.paths), c.counts)
}
