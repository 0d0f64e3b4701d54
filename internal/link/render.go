package link

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Quote protects an argument from a shell, and from those who split pkg-config's answer as one would, such as cgo: with a
// backslash before each character that is not plain.
func Quote(arg string) string {
	var out strings.Builder
	for i := 0; i < len(arg); i++ {
		c := arg[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && strings.IndexByte("+,-./:=@^_~", c) < 0 && c < 0x80 {
			out.WriteByte('\\')
		}
		out.WriteByte(c)
	}
	return out.String()
}

// Shell writes the selected arguments on one line, quoted, without a line end: for `cc main.c $(ocipkg link …)`, for eval,
// and as pkg-config's answer.
func (f *Flags) Shell(parts Part) string {
	args := f.Args(parts)
	for i := range args {
		args[i] = Quote(args[i])
	}
	return strings.Join(args, " ")
}

// CargoOptions is what [Flags.Cargo] writes beside the flags.
type CargoOptions struct {
	RerunIfChanged []string // files that decide the result
	ListSeparator  string   // between directories in metadata; empty: ":"
}

// Cargo writes the directives of a build script, one a line, in the form with a single colon, which every cargo knows.
// What cargo or rustc would take for something else is an error of kind [errdef.ErrUsage].
// See https://doc.rust-lang.org/cargo/reference/build-scripts.html.
func (f *Flags) Cargo(opts CargoOptions) (string, error) {
	var out strings.Builder
	var err error
	refuse := func(value, reason string) {
		err = cmp.Or(err, errdef.Errorf(errdef.ErrUsage, "write %q for cargo: %s: rename it, or set OCIPKG_HOME to another directory", value, reason))
	}
	say := func(key, value string) {
		// Cargo trims lines, and passes over those that are no UTF-8.
		if control(value) || strings.TrimSpace(value) != value || !utf8.ValidString(value) {
			refuse(value, "a directive is a line of UTF-8 without blanks at its end")
		}
		fmt.Fprintf(&out, "cargo:%s=%s\n", key, value)
	}
	for _, file := range opts.RerunIfChanged {
		say("rerun-if-changed", file)
	}
	for _, dir := range f.cargoDirs() {
		say("rustc-link-search", "native="+dir)
	}
	for _, d := range cargoItems(f.Items) {
		if _, name, _ := strings.Cut(d.value, "="); d.key == "rustc-link-lib" && strings.ContainsRune(name, ':') {
			refuse(name, "rustc takes what follows a colon for another name of the library")
		}
		say(d.key, d.value)
	}
	for _, arg := range f.rpathArgs() {
		say("rustc-link-arg", arg)
	}
	separator := opts.ListSeparator
	if separator == "" {
		separator = ":"
	}
	for _, dir := range f.IncludeDirs {
		if strings.Contains(strings.TrimPrefix(dir, filepath.VolumeName(dir)), separator) {
			refuse(dir, "lists of directories have "+separator+" between them")
		}
	}
	if len(f.IncludeDirs) > 0 {
		say("include", strings.Join(f.IncludeDirs, separator))
	}
	if f.Root != "" {
		say("root", f.Root)
	}
	return out.String(), err
}

// cargoDirs are the search directories: rustc takes libraries by file name only, never by path.
func (f *Flags) cargoDirs() []string {
	dirs := f.LibDirs[:len(f.LibDirs):len(f.LibDirs)]
	leaves(f.Items, func(l *Item) {
		if l.Path != "" && l.Dir == "" {
			dirs = appendMissing(dirs, dirname(l.Path))
		}
	})
	return dirs
}

// directive is a line of a build script.
type directive struct{ key, value string }

// cargoItems returns the directives for items. rustc goes through libraries once, keeps the last of those that have one
// name, and puts arguments behind all of them, in the package's own programs only. So a library that has to be searched again
// is named by its file the second time, as all of a group are; and settings reach what they hold only where that is libraries
// of the system. A library has no third name: linkers that need more rounds get groups of three and more as arguments, too, where
// the package is the program's own.
func cargoItems(items []Item) []directive {
	whole := map[string]bool{} // by path: rustc takes no library in two ways, and all of it is there then
	for _, l := range items {
		if l.Kind == Whole {
			leaves(l.Items, func(member *Item) { whole[member.Path] = member.Kind == Static })
		}
	}
	var list []directive
	arg := func(arg string) { list = append(list, directive{"rustc-link-arg", arg}) }
	for _, l := range items {
		switch {
		case l.Kind == Static && whole[l.Path]:
		case l.Kind == Group:
			list = append(list, cargoItems(l.Items)...)
			for _, member := range l.Items {
				if member.Kind == Static {
					list = append(list, member.again())
				}
			}
			if len(l.Items) > 2 {
				arg("-Wl,--start-group")
				leaves(l.Items, func(member *Item) {
					if member.Kind == Static && !whole[member.Path] {
						arg(member.Path)
					}
				})
				arg("-Wl,--end-group")
			}
		case l.Kind == Whole:
			for _, member := range cargoItems(l.Items) {
				if rest, ok := strings.CutPrefix(member.value, "static:"); ok {
					member.value = "static:+whole-archive," + rest
				} else if rest, ok := strings.CutPrefix(member.value, "static="); ok {
					member.value = "static:+whole-archive=" + rest
				}
				list = append(list, member)
			}
		case l.Kind == State && !slices.ContainsFunc(l.Items, func(member Item) bool { return member.Kind != System && member.Kind != Flag }):
			for _, one := range l.args() {
				arg(one)
			}
		case l.Kind == State:
			list = append(list, cargoItems(l.Items)...)
		case l.Kind == Flag && l.Args[0] != "-pthread":
			for _, one := range l.Args {
				arg(one)
			}
		default:
			kind, name := l.cargo()
			d := directive{"rustc-link-lib", kind + "=" + name}
			if l.Kind == Static && slices.Contains(list, d) {
				d = l.again()
			}
			// rustc refuses a second mention of one with modifiers.
			list = append(slices.DeleteFunc(list, func(other directive) bool { return other == d && l.Kind == Static }), d)
		}
	}
	return list
}

// again returns the directive for a library under a name that it did not have before.
func (l Item) again() directive {
	return directive{"rustc-link-lib", "static:+verbatim=" + path.Base(l.Path)}
}

// cargo returns the two sides of rustc-link-lib: KIND[:MODIFIERS]=NAME.
func (l Item) cargo() (kind, name string) {
	switch {
	case l.Kind == Flag: // -pthread reaches the program only as a library
		return "dylib", "pthread"
	case l.Kind == Framework:
		return "framework", l.Name
	case l.Kind == System:
		if file, ok := strings.CutPrefix(l.Name, ":"); ok {
			return "dylib:+verbatim", file
		}
		return "dylib", l.Name
	}
	kind = "static"
	if l.Kind == Shared {
		kind = "dylib"
	}
	if l.Dir == "" && path.Base(l.Path) != l.Name+".lib" {
		return kind + ":+verbatim", path.Base(l.Path)
	}
	return kind, l.Name
}

// JSON writes the flags with their structure, and the arguments they come to as "cflags" and "libs". What is no UTF-8 is an
// error of kind [errdef.ErrUsage].
func (f *Flags) JSON() ([]byte, error) {
	for _, arg := range f.Args(AllArgs) {
		if !utf8.ValidString(arg) {
			return nil, errdef.Errorf(errdef.ErrUsage, "write %q as JSON: it is no UTF-8: rename it, or set OCIPKG_HOME to another directory", arg)
		}
	}
	full := struct {
		*Flags
		CompileArgs []string `json:"cflags"`
		LinkArgs    []string `json:"libs"`
	}{f, f.Args(CompileArgs), f.Args(LinkArgs)}
	return json.MarshalIndent(full, "", "  ")
}

// CPS writes the package's document with the paths that its files have here: what of it is checked, and nothing that this
// model does not know. Errors are as those of [Link].
func CPS(p *Package, opts Options) ([]byte, error) {
	c := newCollector([]*Package{p}, opts)
	if err := c.checkDocument(p); err != nil {
		return nil, err
	}
	text, err := p.CPS.MarshalJSON()
	if err != nil {
		return nil, err
	}
	placed := new(cps.Package)
	if err := json.Unmarshal(text, placed); err != nil {
		return nil, err
	}
	placed.Strip()
	if err := placed.Place(p.Root); err != nil {
		return nil, err
	}
	var out strings.Builder
	err = placed.Write(&out)
	return []byte(out.String()), err
}

// checkDocument checks all that a document says, for every language and configuration.
func (c *collector) checkDocument(p *Package) error {
	if err := c.checkRoots(); err != nil {
		return err
	}
	for _, name := range requirements(p) {
		if err := c.checkSystem(name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.CPS.Components)) {
		component := p.CPS.Components[name]
		all := []*cps.Attributes{&component.Attributes}
		for _, configuration := range slices.Sorted(maps.Keys(component.Configurations)) {
			all = append(all, component.Configurations[configuration])
		}
		for _, a := range all {
			item := cps.Item{Package: p.CPS, Component: name, Type: component.Type, Attributes: a}
			if a.Location+a.LinkLocation == "" {
				item.Type = cps.Interface // of a configuration that has the library of its component
			}
			for _, file := range []string{a.Location, a.LinkLocation, a.CppModuleMetadata} {
				if err := c.checkPath(item, "", file); err != nil {
					return err
				}
			}
			for _, language := range slices.Concat([]string{cps.AnyLanguage}, slices.Collect(maps.Keys(a.Includes)), slices.Collect(maps.Keys(a.Definitions)), slices.Collect(maps.Keys(a.CompileFlags))) {
				c.opts.Language = language
				if err := c.compileItem(item); err != nil {
					return err
				}
			}
			if _, err := c.items(item); err != nil {
				return err
			}
		}
	}
	return nil
}
