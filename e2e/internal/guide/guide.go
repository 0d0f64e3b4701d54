// Package guide reads the guides in docs/guides, so that tests do what they say.
package guide

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// Section is a part of a guide: from a heading to the next.
type Section struct {
	Title string
	// Blocks are the code blocks that a reader is to follow, in order.
	Blocks []Block
}

// Block is a file to write, or commands to run.
type Block struct {
	File string // empty for commands
	Text string
}

// Read reads a guide from docs/guides: its sections that have something to do.
// A code block whose first line has a name behind the language is a file of
// that name; one in sh is commands; all others are to be read only.
func Read(t testing.TB, name string) []Section {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "guides", name))
	if err != nil {
		t.Fatal(err)
	}
	var sections []Section
	var code *Block
	inCode := false
	for line := range strings.Lines(string(text)) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && inCode:
			if code != nil {
				last := &sections[len(sections)-1]
				last.Blocks = append(last.Blocks, *code)
			}
			inCode, code = false, nil
		case isFence:
			language, file, _ := strings.Cut(strings.TrimSpace(fence), " ")
			if inCode = true; file != "" || language == "sh" {
				code = &Block{File: file}
			}
		case inCode && code != nil:
			code.Text += line
		case !inCode && strings.HasPrefix(line, "#"):
			sections = append(sections, Section{Title: strings.TrimSpace(strings.TrimLeft(line, "#"))})
		}
	}
	return slices.DeleteFunc(sections, func(s Section) bool { return len(s.Blocks) == 0 })
}
