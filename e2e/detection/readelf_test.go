package detection

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/platform"
)

// readelf is the tool for all that ELF files say of themselves.
func readelf(t testing.TB) tool {
	t.Helper()
	// readelf heads what it says with the name of the file only when there are
	// several, so that it gets one more: these tests themselves.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return tool{
		program:   program(t, "readelf"),
		arguments: []string{"--wide", "--file-header", "--program-headers", "--section-headers", "--dynamic", "--version-info", "--notes", "--arch-specific", "--syms", self},
		parse:     parseReadelf,
	}
}

// parseReadelf reads what is said of each file, and of each member of archives.
func parseReadelf(output string, files map[string]facts) {
	members := map[string][]facts{}
	symbols := map[string]*symbolLists{}
	for part := range strings.SplitSeq("\n"+output, "\nFile: ") {
		name, text, _ := strings.Cut(part, "\n")
		path, member := cutMember(name, "(", ")")
		if _, asked := files[path]; !asked || !strings.Contains(text, "ELF Header:") {
			continue
		}
		said := elfFacts(text)
		if symbols[path] == nil {
			symbols[path] = &symbolLists{}
		}
		if said["kind"] != "" {
			symbols[path].readelf(member, text, said["kind"] == "object")
		}
		if member != "" {
			members[path] = append(members[path], said)
			continue
		}
		files[path] = said
	}
	for path, all := range members {
		files[path] = archiveFacts(all)
	}
	for path, l := range symbols {
		l.keep(files[path], "")
		l.keepWeak(files[path], "")
	}
}

// archiveFacts adds up the members of an archive: what they do not agree on is
// not told.
func archiveFacts(members []facts) facts {
	f := facts{"kind": "archive"}
	f.count("members", len(members))
	for _, name := range []string{"format", "architecture", "bits"} {
		for _, m := range members {
			switch before, told := f[name]; {
			case m[name] == "":
			case told && m[name] != before:
				return facts{"kind": "archive", "conflict": "true", "members": f["members"]}
			default:
				f.set(name, m[name])
			}
		}
	}
	return f
}

var (
	headerField   = regexp.MustCompile(`(?m)^  (Class|Data|OS/ABI|Type|Machine|Flags): +(.*)$`)
	dynamicEntry  = regexp.MustCompile(`(?m)^ 0x[0-9a-f]+ \((\w+)\) +(.*)$`)
	codeSection   = regexp.MustCompile(`(?m)^ +\[ *\d+\] \S+ +(\w+) +[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ [0-9a-f]+ +[A-WYZ]*X`)
	bracketed     = regexp.MustCompile(`\[(.*)\]`)
	interpreter   = regexp.MustCompile(`\[Requesting program interpreter: (.*)\]`)
	versionNeeded = regexp.MustCompile(`(?m)^  0x[0-9a-f]+:   Name: (\S+)  Flags: (\S.*?)  Version: `)
	// Symbols may be of kinds, and sections of numbers, for which readelf has no name.
	symbolEntry  = regexp.MustCompile(`^ *\d+: [0-9a-f]+ +\S+ +\S+ +(\w+|<.*?>: \d+) +\w+(?: +\[[A-Z<].*?\])? +([\w ]*\[ *\w+\]|\w+) (.+)$`)
	noteOfSystem = regexp.MustCompile(`(?m)^ +OS: (\w+), ABI:`)
	levelNeeded  = regexp.MustCompile(`x86 ISA needed: ([^\n]*)`)
	armVersion   = regexp.MustCompile(`Tag_CPU_arch: (\S+)`)
)

// elfFacts reads what is said of one file.
func elfFacts(text string) facts {
	f := facts{"format": "elf"}
	header := map[string]string{}
	for _, m := range headerField.FindAllStringSubmatch(text, -1) {
		header[m[1]] = m[2]
	}
	f.set("bits", strings.TrimPrefix(header["Class"], "ELF"))
	f.set("architecture", elfArchitecture(header))
	f.set("variant", elfVariant(f["architecture"], text))
	if system := elfSystem(header, text); system != "" {
		f.set("os", system)
	}
	typ, _, _ := strings.Cut(header["Type"], " ")
	switch typ {
	case "REL":
		f.set("kind", "object")
		f.set("slim", fmt.Sprint(strings.Contains(text, " __gnu_lto_slim\n"))) // how GCC marks it
	case "EXEC", "DYN":
		if isDebugOnly(text) {
			f.set("kind", "")
			return f
		}
		f.linked(typ, text)
	default:
		return facts{"kind": "none"}
	}
	return f
}

// isDebugOnly says whether the code was taken out of the file, to leave
// debugging information: its headers then still say what they said with it.
func isDebugOnly(text string) bool {
	stripped := false
	for _, m := range codeSection.FindAllStringSubmatch(text, -1) {
		if m[1] != "NOBITS" {
			return false
		}
		stripped = true
	}
	return stripped
}

// linked reads what is said of an executable or a shared library.
func (f facts) linked(typ, text string) {
	var isPIE, hasDebug bool
	lists := map[string][]string{}
	for _, m := range dynamicEntry.FindAllStringSubmatch(text, -1) {
		tag, value := m[1], m[2]
		if m := bracketed.FindStringSubmatch(value); m != nil {
			value = m[1]
		}
		switch tag {
		case "NEEDED", "RPATH", "RUNPATH":
			lists[tag] = append(lists[tag], value)
		case "SONAME":
			f.set("soname", value)
		case "DEBUG":
			hasDebug = true
		case "FLAGS_1":
			isPIE = strings.Contains(value, "PIE")
		}
	}
	f.list("needed", lists["NEEDED"])
	f.set("rpath", strings.ReplaceAll(strings.Join(lists["RPATH"], "\n"), ":", "\n"))
	f.set("runpath", strings.ReplaceAll(strings.Join(lists["RUNPATH"], "\n"), ":", "\n"))
	interp := interpreter.FindStringSubmatch(text)
	f.set("interpreter", "")
	if interp != nil {
		f.set("interpreter", interp[1])
	}
	f.set("kind", "shared")
	// Linkers that are older than the flag leave only these to tell a
	// position-independent executable by.
	if typ == "EXEC" || isPIE || interp != nil && hasDebug {
		f.set("kind", "executable")
	}
	f.floors(text)
	f.set("libc", f.libraryOfC(lists["NEEDED"]))
}

// libraryOfC tells whose C library a linked file asks for.
func (f facts) libraryOfC(needed []string) string {
	for _, name := range needed {
		switch {
		case name == "libc.so.6", name == "libc.so.6.1", strings.HasPrefix(name, "ld-linux"):
			return "glibc"
		case name == "libc.so", strings.HasPrefix(name, "libc.musl-"):
			return "musl"
		}
	}
	if f["glibc"] != "" {
		return "glibc" // of another of its libraries
	}
	return ""
}

// floors keeps the highest versions needed. A version that only weak references
// need is marked so, and loaders do without it.
func (f facts) floors(text string) {
	f.set("glibc", "")
	f.set("glibcxx", "")
	for _, m := range versionNeeded.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[2], "WEAK") {
			continue
		}
		for prefix, name := range map[string]string{"GLIBC_": "glibc", "GLIBCXX_": "glibcxx"} {
			version, ok := strings.CutPrefix(m[1], prefix)
			if m[1] == "GLIBC_ABI_DT_RELR" {
				version = "2.36" // where it came
			}
			if ok && version[0] >= '0' && version[0] <= '9' && platform.CompareVersions(f[name], version) < 0 {
				f.set(name, version)
			}
		}
	}
}

// readelf reads the table of an object's symbols, or of those that a loader
// sees.
func (l *symbolLists) readelf(member, text string, isObject bool) {
	heading := "\nSymbol table '.dynsym'"
	if isObject {
		heading = "\nSymbol table '.symtab'"
	}
	_, text, _ = strings.Cut(text, heading)
	for line := range strings.Lines(text) {
		if line == "\n" {
			break // the end of the table
		}
		m := symbolEntry.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil || m[1] == "LOCAL" {
			continue
		}
		name := m[3]
		if !isObject { // whose names have no version, or one that is a part of them
			name, _, _ = strings.Cut(name, "@")
		}
		l.add(member, strings.TrimSpace(name), m[2] != "UND", m[1] == "WEAK")
	}
}

// elfArchitecture gives GOARCH's name, where there is one.
func elfArchitecture(header map[string]string) string {
	key := header["Machine"] + " " + strings.TrimPrefix(header["Class"], "ELF")
	if strings.HasSuffix(header["Data"], "big endian") {
		key += " big"
	}
	if strings.Contains(header["Flags"], "abi2") {
		key += " n32"
	}
	return map[string]string{
		"Advanced Micro Devices X86-64 64": "amd64",
		"Advanced Micro Devices X86-64 32": "amd64p32",
		"Intel 80386 32":                   "386",
		"AArch64 64":                       "arm64",
		"AArch64 64 big":                   "arm64be",
		"ARM 32":                           "arm",
		"ARM 32 big":                       "armbe",
		"RISC-V 64":                        "riscv64",
		"RISC-V 32":                        "riscv",
		"PowerPC 32 big":                   "ppc",
		"PowerPC64 64":                     "ppc64le",
		"PowerPC64 64 big":                 "ppc64",
		"IBM S/390 64 big":                 "s390x",
		"IBM S/390 32 big":                 "s390",
		"MIPS R3000 32":                    "mipsle",
		"MIPS R3000 32 big":                "mips",
		"MIPS R3000 64":                    "mips64le",
		"MIPS R3000 64 big":                "mips64",
		"MIPS R3000 32 n32":                "mips64p32le",
		"MIPS R3000 32 big n32":            "mips64p32",
		"Sparc 32 big":                     "sparc",
		"Sparc v8+ 32 big":                 "sparc",
		"Sparc v9 64 big":                  "sparc64",
		"LoongArch 64":                     "loong64",
	}[key]
}

// elfVariant gives the variant in the words of the OCI platform object.
func elfVariant(architecture, text string) string {
	switch architecture {
	case "amd64":
		if m := levelNeeded.FindStringSubmatch(text); m != nil {
			for _, level := range []string{"v4", "v3", "v2"} {
				if strings.Contains(m[1], "x86-64-"+level) {
					return level
				}
			}
		}
	case "arm", "armbe":
		if m := armVersion.FindStringSubmatch(text); m != nil && m[1] >= "v5" {
			return m[1][:2]
		}
	}
	return ""
}

// elfSystem gives the system that the file names, "" when it names none.
func elfSystem(header map[string]string, text string) string {
	if m := noteOfSystem.FindStringSubmatch(text); m != nil {
		return strings.ToLower(m[1])
	}
	return map[string]string{
		"UNIX - GNU":     "linux",
		"UNIX - FreeBSD": "freebsd",
		"UNIX - NetBSD":  "netbsd",
		"UNIX - OpenBSD": "openbsd",
		"UNIX - Solaris": "solaris",
	}[header["OS/ABI"]]
}
