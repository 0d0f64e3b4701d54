package gosource

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ignored are the directories that a module has DIR/... leave out.
// https://go.dev/ref/mod#go-mod-file-ignore
type ignored struct {
	root string // absolute path of the module; empty for none
	// Paths of directories, with slashes around: from the root, and below any
	// directory.
	fromRoot, anywhere []string
}

// ignoredAround reads what the module around dir ignores. Without a module, or
// with one that cannot be read, that is nothing.
func ignoredAround(dir string) ignored {
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			i := ignored{root: dir}
			i.read(string(text))
			return i
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return ignored{}
}

// read takes the ignore directives from the text of a go.mod.
func (i *ignored) read(text string) {
	inBlock := false
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case inBlock && fields[0] == ")":
			inBlock = false
		case inBlock && len(fields) == 1:
			i.add(fields[0])
		case len(fields) == 2 && fields[0] == "ignore" && fields[1] == "(":
			inBlock = true
		case len(fields) == 2 && fields[0] == "ignore":
			i.add(fields[1])
		}
	}
}

func (i *ignored) add(path string) {
	if unquoted, err := strconv.Unquote(path); err == nil {
		path = unquoted
	}
	path, fromRoot := strings.CutPrefix(path, "./")
	path = "/" + strings.Trim(path, "/") + "/"
	if fromRoot {
		i.fromRoot = append(i.fromRoot, path)
	} else {
		i.anywhere = append(i.anywhere, path)
	}
}

// has tells whether a directory is left out.
func (i *ignored) has(dir string) bool {
	if len(i.fromRoot) == 0 && len(i.anywhere) == 0 {
		return false
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(i.root, abs)
	if err != nil {
		return false
	}
	path := "/" + filepath.ToSlash(rel) + "/"
	for _, start := range i.fromRoot {
		if strings.HasPrefix(path, start) {
			return true
		}
	}
	for _, part := range i.anywhere {
		if strings.Contains(path, part) {
			return true
		}
	}
	return false
}
