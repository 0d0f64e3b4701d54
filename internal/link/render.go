package link

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
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
// See https://doc.rust-lang.org/cargo/reference/build-scripts.html.
func (f *Flags) Cargo(opts CargoOptions) string {
	var out strings.Builder
	say := func(key, value string) { fmt.Fprintf(&out, "cargo:%s=%s\n", key, value) }
	for _, file := range opts.RerunIfChanged {
		say("rerun-if-changed", file)
	}
	for _, dir := range f.cargoDirs() {
		say("rustc-link-search", "native="+dir)
	}
	for _, l := range f.Libraries {
		if l.Kind == Flag && l.Args[0] != "-pthread" {
			for _, arg := range l.Args {
				say("rustc-link-arg", arg)
			}
			continue
		}
		say("rustc-link-lib", l.cargo())
	}
	for _, arg := range f.rpathArgs() {
		say("rustc-link-arg", arg)
	}
	separator := opts.ListSeparator
	if separator == "" {
		separator = ":"
	}
	if len(f.IncludeDirs) > 0 {
		say("include", strings.Join(f.IncludeDirs, separator))
	}
	if f.Root != "" {
		say("root", f.Root)
	}
	return out.String()
}

// cargoDirs are the search directories: rustc takes libraries by file name only, never by path.
func (f *Flags) cargoDirs() []string {
	dirs := f.LibDirs
	for _, l := range f.Libraries {
		if l.Path != "" && l.Dir == "" {
			dirs = appendMissing(dirs[:len(dirs):len(dirs)], dirname(l.Path))
		}
	}
	return dirs
}

// cargo is the value of rustc-link-lib: KIND[:MODIFIERS]=NAME.
func (l Library) cargo() string {
	switch {
	case l.Kind == Flag: // -pthread reaches the program only as a library
		return "dylib=pthread"
	case l.Kind == Framework:
		return "framework=" + l.Name
	case l.Kind == System:
		if file, ok := strings.CutPrefix(l.Name, ":"); ok {
			return "dylib:+verbatim=" + file
		}
		return "dylib=" + l.Name
	}
	kind := "static"
	if l.Kind == Shared {
		kind = "dylib"
	}
	if l.Dir == "" && path.Base(l.Path) != l.Name+".lib" {
		return kind + ":+verbatim=" + path.Base(l.Path)
	}
	return kind + "=" + l.Name
}

// JSON writes the flags with their structure, and the arguments they come to as "cflags" and "libs".
func (f *Flags) JSON() ([]byte, error) {
	full := struct {
		*Flags
		CompileArgs []string `json:"cflags"`
		LinkArgs    []string `json:"libs"`
	}{f, f.Args(CompileArgs), f.Args(LinkArgs)}
	return json.MarshalIndent(full, "", "  ")
}

// CPS writes the package's document with the paths that its files have here.
func CPS(p *Package) ([]byte, error) {
	text, err := p.CPS.MarshalJSON()
	if err != nil {
		return nil, err
	}
	placed := new(cps.Package)
	if err := json.Unmarshal(text, placed); err != nil {
		return nil, err
	}
	if err := placed.Place(p.Root); err != nil {
		return nil, err
	}
	var out strings.Builder
	err = placed.Write(&out)
	return []byte(out.String()), err
}
