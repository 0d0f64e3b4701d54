package publish

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// headerDir is where C compilers look for headers below a prefix.
const headerDir = "include"

// collectHeaders finds the files that the entries of include name; manifest is
// the Cargo.toml that they are relative to, and nothing in cargo's targetDir is
// found by a directory or glob. They are looked up after the build, since a
// build script may generate them.
func collectHeaders(manifest, targetDir string, include []string) ([]File, error) {
	var files []File
	for _, entry := range include {
		found, err := expandInclude(filepath.Dir(manifest), path.Clean(entry), targetDir)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("no file matches; correct it, or create the file")
		}
		if err == nil {
			files, err = addFiles(files, found)
		}
		if err != nil {
			return nil, errdef.Errorf(errdef.ErrUsage, "collecting headers: include entry %q in [package.metadata.ocipkg] of %s: %w", entry, manifest, err)
		}
	}
	return files, nil
}

// addFiles appends more to files. A file that is there already is not added
// twice; another file with the same destination is an error.
func addFiles(files, more []File) ([]File, error) {
	for _, file := range more {
		i := slices.IndexFunc(files, func(f File) bool { return f.Dest == file.Dest })
		switch {
		case i < 0:
			files = append(files, file)
		case files[i].Path != file.Path:
			return nil, fmt.Errorf("%s and %s would both become %s in the package; rename one", files[i].Path, file.Path, file.Dest)
		}
	}
	return files, nil
}

// expandInclude gives the files that one cleaned entry names below dir.
func expandInclude(dir, entry, targetDir string) ([]File, error) {
	base, pattern := splitGlob(entry)
	root, err := filepath.EvalSymlinks(filepath.Join(dir, filepath.FromSlash(base)))
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if pattern != "" {
			return nil, fmt.Errorf("%s is a file, not a directory", root)
		}
		return headerFile(nil, root, path.Dir(base), path.Base(base))
	}
	var files []File
	err = walkVisible(root, targetDir, func(rel string) error {
		if pattern == "" || matchGlob(strings.Split(pattern, "/"), strings.Split(rel, "/")) {
			files, err = headerFile(files, filepath.Join(root, filepath.FromSlash(rel)), base, rel)
		}
		return err
	})
	return files, err
}

// walkVisible visits what is no directory below root, but nothing whose name
// begins with a dot and nothing in targetDir.
func walkVisible(root, targetDir string, visit func(rel string) error) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || name == root:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") || sameFile(name, targetDir)):
			return fs.SkipDir
		case entry.IsDir() || strings.HasPrefix(entry.Name(), "."):
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(rel))
	})
}

// headerFile appends the file at name, which is rel below base, to files.
func headerFile(files []File, name, base, rel string) ([]File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; name its files one by one", name)
	}
	return append(files, File{Path: name, Dest: headerDest(base, rel)}), nil
}

// headerDest keeps what follows a directory named include, whichever way the
// entry was written: that is how the sources name the header. Elsewhere the
// path below base counts.
func headerDest(base, rel string) string {
	segments := strings.Split(path.Join(base, rel), "/")
	if i := slices.Index(segments[:len(segments)-1], headerDir); i >= 0 {
		rel = path.Join(segments[i+1:]...)
	}
	return path.Join(headerDir, rel)
}

// splitGlob cuts a path before its first segment with a special character.
func splitGlob(entry string) (base, pattern string) {
	segments := strings.Split(entry, "/")
	for i, segment := range segments {
		if strings.ContainsAny(segment, "*?[") {
			return path.Join(append([]string{"."}, segments[:i]...)...), strings.Join(segments[i:], "/")
		}
	}
	return entry, ""
}

// matchGlob matches segment by segment with [path.Match]; ** stands for any
// number of directories, as in .gitignore.
func matchGlob(pattern, name []string) bool {
	if len(pattern) == 0 || len(name) == 0 {
		return len(pattern) == len(name)
	}
	if pattern[0] == "**" {
		return len(pattern) == 1 || matchGlob(pattern[1:], name) || matchGlob(pattern, name[1:])
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && matchGlob(pattern[1:], name[1:])
}

func sortFiles(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Dest, b.Dest) })
	return files
}
