package pkgconf

import (
	"path"
	"strings"
)

// Relocate moves a module to another prefix: each path of its arguments and variables that begins with the file's own
// ${prefix}, whether written through the variable or in full, begins with prefix instead; paths are cleaned. What lies
// elsewhere stays. Each option of the linker then has an argument of its own, as [LinkerFlags] writes it. A file without
// ${prefix} is one whose prefix is two directories above its own (three for lib/pkgconfig below a multiarch directory), as
// far as its directories say so.
func (m *Module) Relocate(prefix string) *Module {
	own, known := m.Variables["prefix"]
	if !known {
		own = m.impliedPrefix()
	}
	r := relocation{from: strings.TrimRight(path.Clean("/"+own), "/"), to: prefix, known: known || own != "", unmark: m.unmark}
	moved := *m
	moved.from, moved.to = m.unmark(own), prefix
	moved.Cflags = r.arguments(m.Cflags)
	moved.CflagsPrivate = r.arguments(m.CflagsPrivate)
	moved.Libs = r.arguments(LinkerFlags(m.Libs))
	moved.LibsPrivate = r.arguments(LinkerFlags(m.LibsPrivate))
	moved.CflagsShared = r.arguments(m.CflagsShared)
	moved.LibsShared = r.arguments(LinkerFlags(m.LibsShared))
	moved.Variables = make(map[string]string, len(m.Variables))
	for name, value := range m.Variables {
		if !strings.HasPrefix(value, prefix) {
			value = m.unmark(value)
		}
		moved.Variables[name] = r.path(value)
	}
	moved.Fields = nil
	if len(m.Fields) > 0 {
		moved.Fields = make(map[string]string, len(m.Fields))
	}
	for name, value := range m.Fields {
		moved.Fields[name] = r.path(value)
	}
	return &moved
}

// impliedPrefix is the directory that holds lib/, told from ${libdir}, ${includedir} or a -L of a file without ${prefix}.
func (m *Module) impliedPrefix() string {
	if dir := m.Variables["exec_prefix"]; dir != "" {
		return dir
	}
	candidates := []string{m.Variables["libdir"], m.Variables["includedir"]}
	for _, f := range Flags(append(m.Libs[:len(m.Libs):len(m.Libs)], m.Cflags...)) {
		if f.Kind == LibraryDir || f.Kind == IncludeDir {
			candidates = append(candidates, f.Value)
		}
	}
	for _, dir := range candidates {
		dir += "/"
		for _, sub := range []string{"/lib/", "/lib64/", "/include/"} {
			if i := strings.LastIndex(dir, sub); i > 0 {
				return dir[:i]
			}
		}
	}
	return ""
}

type relocation struct {
	from   string // cleaned, without a slash at the end: "" is the root directory
	to     string
	known  bool                // whether from is
	unmark func(string) string // for what is no path
}

func (r relocation) path(file string) string {
	if r.to != "" && strings.HasPrefix(file, r.to+`\`) {
		file = strings.ReplaceAll(file, `\`, "/") // as Windows reads it
	}
	// A prefix relative to ${pcfiledir} is in its new place already.
	moved := r.to != "" && (file == r.to || strings.HasPrefix(file, r.to+"/"))
	switch {
	case moved:
		return r.to + strings.TrimSuffix(path.Clean("/"+file[len(r.to):]), "/")
	case !strings.HasPrefix(file, "/"):
		return file
	}
	cleaned := path.Clean(file)
	if rest, ok := strings.CutPrefix(cleaned, r.from); r.known && ok && (rest == "" || rest[0] == '/') {
		return r.to + strings.TrimSuffix(rest, "/")
	}
	return cleaned
}

// arguments relocates the path in each argument: after a flag's letters, after = or a comma, or the whole argument.
func (r relocation) arguments(list []string) []string {
	var moved []string
	for _, argument := range list {
		moved = append(moved, r.argument(argument))
	}
	return moved
}

func (r relocation) argument(argument string) string {
	if argument[0] != '-' {
		return r.path(argument)
	}
	for _, flag := range []string{"-isystem", "-idirafter", "-iquote", "-I", "-L", "-F", "-R"} {
		if file, ok := strings.CutPrefix(argument, flag); ok {
			return flag + r.path(file)
		}
	}
	if strings.HasPrefix(argument, "-D") {
		name, value, _ := strings.Cut(argument, "=")
		if text := strings.TrimLeft(value, `"'`); strings.HasPrefix(text, "/") || r.to != "" && strings.HasPrefix(text, r.to+"/") {
			file, rest := text, ""
			if end := strings.IndexAny(text, `"' `); end >= 0 {
				file, rest = text[:end], text[end:]
			}
			if moved := r.path(file); strings.HasPrefix(moved, r.to+"/") && r.from != "" {
				return name + "=" + value[:len(value)-len(text)] + moved + rest
			}
		}
		return r.unmark(argument)
	}
	if i := strings.LastIndexAny(argument, "=,"); i >= 0 {
		return argument[:i+1] + r.path(argument[i+1:])
	}
	return argument
}
