package detection

import (
	"regexp"
	"strings"
	"testing"
)

// readobj is the tool for Windows' files, and for the format of all others.
func readobj(t testing.TB) tool {
	t.Helper()
	return tool{
		program:   program(t, "llvm-readobj"),
		arguments: []string{"--file-headers", "--coff-imports", "--coff-exports"},
		parse:     parseReadobj,
	}
}

// parseReadobj reads what is said of each file. Short members of import
// libraries are headed by the name of the DLL alone: they belong to the archive
// before them.
func parseReadobj(output string, files map[string]facts) {
	archive := ""
	members := map[string][]facts{}
	for part := range strings.SplitSeq("\n"+output, "\nFile: ") {
		name, text, _ := strings.Cut(part, "\n")
		path, member := cutMember(name, "(", ")")
		said := readobjFacts(text)
		switch _, asked := files[path]; {
		case said == nil:
		case !asked && archive != "":
			members[archive] = append(members[archive], said)
		case member != "":
			archive = path
			members[path] = append(members[path], said)
		default:
			archive = ""
			files[path] = said
		}
	}
	for path, all := range members {
		f := archiveFacts(all)
		if f["format"] == "coff" {
			delete(f, "kind") // or an import library
		}
		files[path] = f
	}
}

var (
	readobjFormat = regexp.MustCompile(`(?m)^Format: (.*)$`)
	readobjField  = regexp.MustCompile(`(?m)^  (Machine|Subsystem): (\w+)`)
	addressSize   = regexp.MustCompile(`(?m)^AddressSize: (\d+)bit$`)
	readobjImport = regexp.MustCompile(`(?ms)^(?:Delay)?Import \{\n  Name: (\S*)$(.*?)^\}`)
	readobjSymbol = regexp.MustCompile(`(?m)^ +Symbol: (\S+) \(\d+\)$`)
	readobjExport = regexp.MustCompile(`(?ms)^Export \{.*?^  Name: (\S*)$.*?^\}`)
)

// readobjFacts reads what is said of one file, nil where that is nothing.
func readobjFacts(text string) facts {
	m := readobjFormat.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	switch {
	case strings.HasPrefix(m[1], "elf"):
		return facts{"format": "elf"}
	case strings.HasPrefix(m[1], "Mach-O"):
		return facts{"format": "macho"}
	case m[1] == "COFF-import-file":
		return facts{"format": "coff"}
	}
	f := facts{"format": "coff", "kind": "object"}
	if m := addressSize.FindStringSubmatch(text); m != nil {
		f.set("bits", m[1])
	}
	header := map[string]string{}
	for _, m := range readobjField.FindAllStringSubmatch(text, -1) {
		header[m[1]] = m[2]
	}
	f.set("architecture", map[string]string{
		"IMAGE_FILE_MACHINE_AMD64": "amd64",
		"IMAGE_FILE_MACHINE_I386":  "386",
		"IMAGE_FILE_MACHINE_ARM64": "arm64",
		"IMAGE_FILE_MACHINE_ARMNT": "arm",
	}[header["Machine"]])
	f.set("os", "windows")
	if strings.Contains(header["Subsystem"], "EFI") {
		f.set("os", "") // it runs before any system does
	}
	if strings.Contains(text, "\nImageOptionalHeader {") {
		f.image(text)
	}
	return f
}

// image reads what is said of a linked file.
func (f facts) image(text string) {
	f.set("format", "pe")
	f.set("kind", "executable")
	if strings.Contains(text, "IMAGE_FILE_DLL ") {
		f.set("kind", "shared")
	}
	var needed, imported, exported []string
	for _, m := range readobjImport.FindAllStringSubmatch(text, -1) {
		needed = append(needed, m[1])
		for _, m := range readobjSymbol.FindAllStringSubmatch(m[2], -1) {
			imported = append(imported, m[1])
		}
	}
	for _, m := range readobjExport.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			exported = append(exported, m[1])
		}
	}
	f.list("needed", needed)
	f.bag("undefined symbols", imported)
	f.bag("defined symbols", exported)
}

// objdumpImage is the tool for the name that a DLL has for itself.
func objdumpImage(t testing.TB) tool {
	t.Helper()
	return tool{program: program(t, "llvm-objdump"), arguments: []string{"--private-headers"}, parse: parseObjdumpImage}
}

func parseObjdumpImage(output string, files map[string]facts) {
	var path string
	for line := range strings.Lines(output) {
		if name, _, ok := strings.Cut(line, ":\tfile format "); ok {
			path = name
			files[path].set("soname", "")
		}
		if name, ok := strings.CutPrefix(line, " DLL name: "); ok {
			files[path].set("soname", strings.TrimSpace(name))
		}
	}
}

// objdumpMachO is the tool for Apple's files.
func objdumpMachO(t testing.TB) tool {
	t.Helper()
	return tool{
		program:   program(t, "llvm-objdump"),
		arguments: []string{"--macho", "--private-headers", "--arch=all"},
		parse:     parseObjdumpMachO,
	}
}

var (
	machoHeading = regexp.MustCompile(`(?m)^(\S.*?)(?:\((.*?)\))?(?: \(architecture (\w+)\))?:\nMach header\n`)
	machoHeader  = regexp.MustCompile(`(?m)^ *MH_MAGIC(_64)? +(\w+) +\w+ +\w+ +(\w+) `)
	machoCommand = regexp.MustCompile(`(?m)^Load command \d+\n`)
	machoField   = regexp.MustCompile(`(?m)^ *(\w+) (.*?)(?: \(offset \d+\))?$`)
)

// parseObjdumpMachO reads what is said of each file, or slice, and of each
// member of archives.
func parseObjdumpMachO(output string, files map[string]facts) {
	type place struct{ path, prefix string }
	members := map[place][]facts{}
	headings := machoHeading.FindAllStringSubmatchIndex(output, -1)
	for i, at := range headings {
		group := func(n int) string {
			if at[2*n] < 0 {
				return ""
			}
			return output[at[2*n]:at[2*n+1]]
		}
		end := len(output)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		said := machoFacts(output[at[1]:end])
		f, prefix := files[group(1)], ""
		if slice := group(3); slice != "" {
			name := appleArchitecture(slice)
			prefix = name + "/"
			if last := " " + name; !strings.HasSuffix(" "+f["slices"], last) {
				f.set("slices", strings.TrimSpace(f["slices"]+last))
			}
		}
		if group(2) != "" {
			to := place{group(1), prefix}
			members[to] = append(members[to], said)
			continue
		}
		f.addSlice(prefix, said)
	}
	for to, all := range members {
		files[to.path].addSlice(to.prefix, archiveFacts(all))
	}
}

// addSlice takes over what is said of a slice.
func (f facts) addSlice(prefix string, slice facts) {
	for name, value := range slice {
		f.set(prefix+name, value)
	}
}

// appleArchitecture gives GOARCH's name.
func appleArchitecture(name string) string {
	switch name := strings.ToLower(name); name {
	case "x86_64":
		return "amd64"
	case "i386":
		return "386"
	case "armv7", "armv7s":
		return "arm"
	case "arm64_32":
		return "" // a watch's, for which there is no name
	default:
		return name
	}
}

// machoFacts reads what is said of one file.
func machoFacts(text string) facts {
	f := facts{"format": "macho", "soname": "", "system version": ""}
	m := machoHeader.FindStringSubmatch(text)
	if m == nil {
		return facts{}
	}
	f.set("bits", "32")
	if m[1] != "" {
		f.set("bits", "64")
	}
	f.set("architecture", appleArchitecture(m[2]))
	f.set("kind", map[string]string{"OBJECT": "object", "EXECUTE": "executable", "DYLIB": "shared", "BUNDLE": "shared"}[m[3]])
	var needed, rpath []string
	for _, command := range machoCommand.Split(text, -1)[1:] {
		field := map[string]string{}
		for _, m := range machoField.FindAllStringSubmatch(command, -1) {
			if _, before := field[m[1]]; !before {
				field[m[1]] = m[2]
			}
		}
		switch field["cmd"] {
		case "LC_ID_DYLIB":
			f.set("soname", field["name"])
		case "LC_LOAD_DYLIB", "LC_LOAD_WEAK_DYLIB", "LC_REEXPORT_DYLIB", "LC_LOAD_UPWARD_DYLIB", "LC_LAZY_LOAD_DYLIB":
			needed = append(needed, field["name"])
		case "LC_RPATH":
			rpath = append(rpath, field["path"])
		case "LC_BUILD_VERSION":
			f.set("system version", field["minos"])
			f.applePlatform(field["platform"])
		case "LC_VERSION_MIN_MACOSX":
			f.set("system version", field["version"])
			f.applePlatform("macos")
		case "LC_VERSION_MIN_IPHONEOS":
			f.set("system version", field["version"])
			f.applePlatform("ios")
		}
	}
	f.list("needed", needed)
	f.list("rpath", rpath)
	return f
}

func (f facts) applePlatform(name string) {
	os, simulator := strings.CutSuffix(name, "simulator")
	f.set("os", os)
	if os == "macos" {
		f.set("os", "darwin")
	}
	f.set("environment", "")
	if simulator {
		f.set("environment", "simulator")
	}
	if name == "macCatalyst" {
		f.set("os", "ios")
		f.set("environment", "macabi")
	}
}

// nm is the tool for the symbols of objects and archives.
func nm(t testing.TB) tool {
	t.Helper()
	return tool{
		program:   program(t, "llvm-nm"),
		arguments: []string{"--extern-only", "--print-file-name", "--format=posix", "--arch=all"},
		parse:     parseNM,
	}
}

// undecided marks files of whose weak symbols nm does not tell whether they are
// defined: of Windows' it calls those undefined too that have a default.
const undecided = "undecided"

var nmLine = regexp.MustCompile(`^(?:\(for architecture (\w+)\):)?([^\[]*?)(?:\[(.*?)\])?: (.*) (\S) [0-9a-f-]+ [0-9a-f]+$`)

func parseNM(output string, files map[string]facts) {
	type place struct{ path, prefix string }
	symbols, isUniversal := map[place]*symbolLists{}, map[string]bool{}
	for path := range files {
		symbols[place{path: path}] = &symbolLists{}
	}
	for line := range strings.SplitSeq(output, "\n") {
		m := nmLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at := place{path: m[2]}
		if m[1] != "" {
			at.prefix = appleArchitecture(m[1]) + "/"
			isUniversal[at.path] = true
			if symbols[at] == nil {
				symbols[at] = &symbolLists{}
			}
		}
		if strings.HasPrefix(m[4], "__imp_") {
			continue // of the short members of import libraries, it lists no addresses of pointers
		}
		// The letters for weak symbols are not compared: Apple's files and
		// indirect functions have others.
		if m[5] == "w" {
			files[at.path].set(undecided, "true")
		}
		symbols[at].add(m[3], m[4], !strings.ContainsAny(m[5], "Uwv"), false)
	}
	for at, l := range symbols {
		if at.prefix != "" || !isUniversal[at.path] {
			l.keep(files[at.path], at.prefix)
		}
	}
}
