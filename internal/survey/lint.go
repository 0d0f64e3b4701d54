package survey

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/derive"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/linkable"
	"github.com/ocipkg/ocipkg/platform"
)

// LintOptions say what a package is checked against.
type LintOptions struct {
	// MaxGlibc is the newest glibc that the package may need, such as "2.28";
	// empty is any.
	MaxGlibc string
	// Platform is what the package will say that it is for.
	Platform platform.Platform
	// CPS is how it will say that it is linked; nil when it does not say.
	CPS *cps.Package
	// Required are the descriptions of the packages that it requires, by the names
	// that it calls them by.
	Required map[string]*cps.Package
	// RequiredUnknown tells that it requires others, of which nothing is known.
	RequiredUnknown bool
	// SystemLibs are the libraries that the producer has told to be the system's,
	// without "-l".
	SystemLibs []string
}

// Lint returns what will trouble those who link the package or run what they
// linked: a line for each kind, with the first of the files that it is about.
func (s *Survey) Lint(options LintOptions) []string {
	var found kinds
	linked := s.linked(options.CPS)
	for _, c := range s.compiled {
		infos := c.info.Slices
		if infos == nil {
			infos = []*binfmt.File{c.info}
		}
		for _, info := range infos {
			linkable, _ := s.estimate(c)
			lintFile(info, linkable, linked[c.path], options, func(format string, args ...any) { found.say(c.path, format, args...) })
		}
		if lacking := c.info.OnlyInGlibc(&s.elsewhere); options.Platform.Libc == binfmt.Musl && len(lacking) > 0 {
			found.say(c.path, "it needs %s, and the package is for musl; build it with a compiler for musl", someOf(lacking))
		}
		if built := c.forLibc(options.Platform).platform(options.Platform.Architecture); c.info.Conflict != nil {
			found.say(c.path, "its members are for different platforms: %v", c.info.Conflict)
		} else if reason, ok := built.Fits(s.of(options.Platform)); !ok {
			found.say(c.path, "for another platform, %s: %s", built, reason)
		}
	}
	for _, f := range s.dangling() {
		found.say(fmt.Sprintf("%s (to %s)", f.Path, f.Target), "a link to what is not in the package; add that, or leave the link out")
	}
	for _, f := range s.files {
		if base := path.Base(f.Path); base[0] == '.' && isHidden(base) {
			found.say(f.Path, "a hidden file, which is never linked; delete it")
		}
	}
	s.lintUnsafe(options, &found)
	s.lintNeeds(options, linked, &found)
	s.lintTexts(&found)
	lines := append(found.lines(), s.unnamed(options.CPS)...)
	if paths := absolutePaths(options.CPS); len(paths) > 0 {
		lines = append(lines, "the link description names "+derive.Several(paths)+", of the machine that it was built on")
	}
	return lines
}

// kinds are files by what is to be said of them, in the order in which that came
// first.
type kinds struct {
	order []string
	files map[string][]string
}

func (k *kinds) say(file, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if k.files == nil {
		k.files = map[string][]string{}
	}
	if k.files[what] == nil {
		k.order = append(k.order, what)
	}
	if !slices.Contains(k.files[what], file) {
		k.files[what] = append(k.files[what], file)
	}
}

// lines writes a line for each kind. A directory is said once for the files in it
// that follow each other.
func (k *kinds) lines() []string {
	var lines []string
	for _, what := range k.order {
		var files []string
		dir := ""
		for _, file := range k.files[what] {
			name, _, _ := strings.Cut(file, " ")
			if short, ok := strings.CutPrefix(file, dir); ok && !strings.Contains(name[len(dir):], "/") {
				files = append(files, short)
			} else {
				files = append(files, file)
			}
			dir, _ = path.Split(name)
		}
		lines = append(lines, derive.Several(files)+": "+what)
	}
	return lines
}

// linked is the set of files that a link description names, links followed.
func (s *Survey) linked(document *cps.Package) map[string]bool {
	links := s.links()
	files := map[string]bool{}
	eachString(document, func(text string) {
		if file, ok := strings.CutPrefix(text, cps.PrefixMarker+"/"); ok {
			files[follow(path.Clean(file), links)] = true
		}
	})
	return files
}

// isHidden reports whether a file whose name begins with a dot looks like what
// packages are linked with: the attributes that macOS keeps beside each file, or
// what an editor keeps beside a library or its description.
func isHidden(base string) bool {
	name := strings.TrimSuffix(strings.TrimLeft(base, "."), ".swp")
	return strings.HasPrefix(base, "._") || cps.LibraryName(name) != "" || slices.Contains([]string{".pc", ".cps"}, path.Ext(name))
}

// someOf lists symbols that musl has not, the first few by name.
func someOf(symbols []string) string {
	const shown = 3
	if len(symbols) <= shown {
		return strings.Join(symbols, ", ") + " of glibc, which musl does not have"
	}
	return fmt.Sprintf("%s and %d more symbols of glibc, which musl does not have", strings.Join(symbols[:shown], ", "), len(symbols)-shown)
}

// of gives the platform that each file should be for: the package's, its floors
// left out, or, where the package is said to be for any, that of its first file.
func (s *Survey) of(p platform.Platform) platform.Platform {
	if p.IsZero() {
		p = s.compiled[0].platform("")
	}
	return platform.Platform{OS: p.OS, Architecture: p.Architecture, Libc: p.Libc, Env: p.Env}
}

// lintFile checks one compiled file, or one slice of a universal one. Linkable is
// the glibc that it is estimated to need; linked reports whether the package's
// description names it, as it does not name a plugin.
func lintFile(info *binfmt.File, linkable string, linked bool, options LintOptions, say func(string, ...any)) {
	exceeds := func(version string) bool {
		return options.MaxGlibc != "" && version != "" && platform.CompareVersions(version, options.MaxGlibc) > 0
	}
	switch {
	case options.Platform.Libc == binfmt.Musl || info.Libc == binfmt.Musl:
	case exceeds(info.LibcVersion):
		say("it needs glibc %s, more than %s; build it on a system with that, or an older one", info.LibcVersion, options.MaxGlibc)
	case exceeds(linkable):
		say("it can be linked on glibc %s or later, as is estimated from what it calls, and not on %s; build it on a system with that, or an older one", linkable, options.MaxGlibc)
	}
	switch {
	case info.NonPIC:
		say("code that is not position-independent, so that it cannot become part of a shared library or, with most compilers, of a program; build it with -fPIC")
	case info.PIEOnly:
		say("code for programs alone (-fPIE), which cannot become part of a shared library; build it with -fPIC")
	}
	if info.Kind != binfmt.KindShared {
		return
	}
	switch {
	case info.Format == binfmt.FormatELF && info.Soname == "" && linked:
		say("no soname, so that a program linked with it by its path asks for that path when it runs; link it with -Wl,-soname,NAME")
	case info.FixedInstallName() != "":
		say("the install name %s, where a program linked with it will look for it; link it with -install_name @rpath/NAME", info.Soname)
	}
	for _, dir := range slices.Concat(info.RPath, info.RunPath) {
		if isBuildPath(dir) {
			say("it looks for libraries in %s, a path of the machine that it was built on; link it without that -rpath", dir)
		}
	}
}

// lintUnsafe tells of what every consumer refuses who does not trust the package.
func (s *Survey) lintUnsafe(options LintOptions, found *kinds) {
	unsafe, err := linkable.Check(layer.FS(s.files), s.files, options.Platform)
	if err != nil {
		return // who packs the file says so
	}
	for _, f := range unsafe {
		line := f.Reason + ", so that every consumer refuses the package"
		if f.Advice != "" {
			line += "; " + f.Advice
		}
		found.say(f.File, "%s", line)
	}
}

// unnamed reports shared libraries that are in no file, or link, of the name by
// which programs ask for them, and of those without the name that -l looks for.
func (s *Survey) unnamed(document *cps.Package) (found []string) {
	if document == nil {
		return nil
	}
	tree := layer.FS(s.files)
	var asked, linked []string
	_, shared := document.Views()
	for _, l := range shared {
		if _, err := fs.Stat(tree, path.Join(path.Dir(l.Target), l.Name)); err == nil {
			continue
		}
		if entry := l.Target + " (" + l.Name + ")"; strings.HasSuffix(l.Name, ".so") && strings.Contains(path.Base(l.Target), ".so.") {
			linked = append(linked, entry)
		} else {
			asked = append(asked, entry)
		}
	}
	if len(asked) > 0 {
		found = append(found, derive.Several(asked)+": no file beside it has its soname, by which programs ask for it; add a link of that name")
	}
	if len(linked) > 0 {
		found = append(found, derive.Several(linked)+": no file beside it has the name by which it is linked; add a link of that name")
	}
	return found
}

// dangling lists the links that lead to nothing in the package, but for those of
// documentation: libraries first.
func (s *Survey) dangling() []layer.File {
	links, others := s.links(), map[string]bool{".": true}
	for _, f := range s.files {
		if f.Target != "" {
			continue
		}
		for name := strings.TrimSuffix(f.Path, "/"); !others[name]; name = path.Dir(name) {
			others[name] = true
		}
	}
	for name := range links {
		for dir := path.Dir(name); !others[dir]; dir = path.Dir(dir) {
			others[dir] = true
		}
	}
	var libraries, found []layer.File
	for _, f := range s.files {
		switch {
		case f.Target == "" || others[follow(f.Path, links)]:
		case cps.LibraryName(f.Path) != "":
			libraries = append(libraries, f)
		case !strings.Contains("/"+f.Path, "/share/doc/") && !strings.Contains("/"+f.Path, "/share/man/"):
			found = append(found, f)
		}
	}
	return append(libraries, found...)
}

// links are the targets of the package's links.
func (s *Survey) links() map[string]string {
	links := map[string]string{}
	for _, f := range s.files {
		if f.Target != "" {
			links[f.Path] = f.Target
		}
	}
	return links
}

// follow gives where a path leads when all links in it are followed; what it
// gives is not there when they lead in circles.
func follow(name string, links map[string]string) string {
	const maxLinks = 40 // as Linux has it
	done, rest := ".", strings.Split(name, "/")
	for hops := 0; len(rest) > 0; {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		target, isLink := links[next]
		if !isLink {
			done = next
			continue
		}
		if hops++; hops > maxLinks {
			return name + " in circles"
		}
		done, rest = ".", append(strings.Split(path.Join(path.Dir(next), strings.ReplaceAll(target, `\`, "/")), "/"), rest...)
	}
	return done
}

// absolutePaths lists the paths in a link description that are neither in the
// package nor the system's, each once.
func absolutePaths(document *cps.Package) []string {
	var found []string
	eachString(document, func(text string) {
		for _, word := range words(text) {
			for _, flag := range []string{"-L", "-I", "-F", "-isystem"} {
				word = strings.TrimPrefix(word, flag)
			}
			if isBuildPath(word) && !slices.Contains(found, word) {
				found = append(found, word)
			}
		}
	})
	slices.Sort(found)
	return found
}

// eachString calls visit with each string in a link description.
func eachString(document *cps.Package, visit func(string)) {
	raw, err := json.Marshal(document)
	var tree any
	if err != nil || json.Unmarshal(raw, &tree) != nil {
		return
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, element := range v {
				walk(element)
			}
		case map[string]any:
			for _, element := range v {
				walk(element)
			}
		case string:
			visit(v)
		}
	}
	walk(tree)
}

// words splits flags, and what they say.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '=' || r == ' ' })
}

// isBuildPath tells whether a path means a place of one machine: it is absolute,
// and not among those that systems have.
func isBuildPath(s string) bool {
	windows := len(s) > 2 && s[1] == ':' && (s[2] == '/' || s[2] == '\\') && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z'
	if !windows && !strings.HasPrefix(s, "/") {
		return false
	}
	for _, system := range []string{"/usr/lib", "/usr/lib64", "/usr/include", "/usr/libexec", "/lib", "/lib64", "/System", "/Library", "/opt/homebrew"} {
		if s == system || strings.HasPrefix(s, system+"/") {
			return false
		}
	}
	return true
}
