package gosource

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Files gives the Go files of the packages that patterns name, sorted, each
// once, under paths like those of the patterns. A pattern is a directory, or
// DIR/... for all below it as well; there, as with go build, hidden directories
// and those that begin with _ are left out, and so are vendor, testdata, what
// go.mod ignores, and other modules. Files that another system or a tag selects are there, too. A
// pattern that is no directory is an error of kind [errdef.ErrUsage].
func Files(patterns []string) ([]string, error) {
	var all []string
	for _, pattern := range patterns {
		dir, below := cutBelow(pattern)
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || strings.Contains(dir, "...") {
			return nil, errdef.Errorf(errdef.ErrUsage, "%q is no directory; name packages as directories, such as ./zstd, or ./... for all", pattern)
		}
		files, err := filesIn(dir, below)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// cutBelow takes the /... off a pattern.
func cutBelow(pattern string) (dir string, below bool) {
	slashed := filepath.ToSlash(pattern)
	if slashed == "..." {
		return ".", true
	}
	dir, below = strings.CutSuffix(slashed, "/...")
	if below && dir == "" {
		dir = "/"
	}
	return filepath.Clean(filepath.FromSlash(dir)), below
}

// filesIn gives the Go files in a directory and, when it is asked for, those
// below.
func filesIn(top string, below bool) ([]string, error) {
	if !os.IsPathSeparator(top[len(top)-1]) {
		top += string(filepath.Separator) // a link is followed
	}
	var skip ignored
	if below {
		skip = ignoredAround(top)
	}
	var files []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if !entry.IsDir() {
			if filepath.Ext(name) == ".go" && name[0] != '.' && name[0] != '_' {
				files = append(files, path)
			}
			return nil
		}
		if path != top && (!below || isLeftOut(path, name) || skip.has(path)) {
			return fs.SkipDir
		}
		return nil
	})
	return files, err
}

// isLeftOut tells the directories that DIR/... does not stand for.
func isLeftOut(path, name string) bool {
	if name[0] == '.' || name[0] == '_' || name == "testdata" || name == "vendor" {
		return true
	}
	info, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil && info.Mode().IsRegular()
}
