package detection

import (
	"regexp"
	"strings"
	"testing"
)

// fileCommand is the tool that knows all formats, and of each the head.
func fileCommand(t testing.TB) tool {
	t.Helper()
	return tool{program: program(t, "file"), arguments: []string{"--no-pad", "--separator", ":"}, parse: parseFile}
}

func parseFile(output string, files map[string]facts) {
	for line := range strings.Lines(output) {
		path, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if f, asked := files[path]; ok && asked {
			f.describe(text)
		}
	}
}

var (
	elfDescription = regexp.MustCompile(`^ELF (32|64)-bit [LM]SB (pie executable|executable|shared object|relocatable|core file), `)
	peDescription  = regexp.MustCompile(`^PE32(\+?) executable (\(DLL\) )?`)
	machoObject    = regexp.MustCompile(`^Mach-O (?:64-bit )?\w+ (object|dynamically linked shared library|executable|bundle)`)
	universalPart  = regexp.MustCompile(`\[(?:\\012- )?(\w+):`)
	fileLoader     = regexp.MustCompile(`, interpreter (\S+?)(?:,|$)`)
)

// describe reads the description of one file.
func (f facts) describe(text string) {
	switch {
	case strings.HasPrefix(text, "ELF "):
		f.describeELF(text)
	case strings.HasPrefix(text, "PE32"):
		m := peDescription.FindStringSubmatch(text)
		f.set("format", "pe")
		f.set("bits", map[string]string{"": "32", "+": "64"}[m[1]])
		f.set("kind", map[bool]string{false: "executable", true: "shared"}[m[2] != ""])
	case machoObject.MatchString(text):
		f.set("format", "macho")
		f.set("kind", map[string]string{
			"object": "object", "executable": "executable", "dynamically linked shared library": "shared", "bundle": "shared",
		}[machoObject.FindStringSubmatch(text)[1]])
	case strings.Contains(text, "COFF object file"):
		f.set("format", "coff")
		f.set("kind", "object")
	case strings.HasPrefix(text, "LLVM IR bitcode"):
		f.set("format", "llvm-bitcode")
		f.set("slim", "true")
	case strings.HasPrefix(text, "Mach-O universal binary"):
		for _, m := range universalPart.FindAllStringSubmatch(text, -1) {
			f.set("slices", strings.TrimSpace(f["slices"]+" "+appleArchitecture(m[1])))
		}
	case strings.HasPrefix(text, "thin archive"):
		f.set("kind", "thin archive")
	}
}

func (f facts) describeELF(text string) {
	m := elfDescription.FindStringSubmatch(text)
	if m == nil {
		return
	}
	f.set("format", "elf")
	f.set("bits", m[1])
	f.set("kind", map[string]string{
		"pie executable": "executable", "executable": "executable", "shared object": "shared", "relocatable": "object", "core file": "none",
	}[m[2]])
	if m := fileLoader.FindStringSubmatch(text); m != nil {
		f.set("interpreter", m[1])
		if f["kind"] == "shared" {
			delete(f, "kind") // or a program of a linker that does not mark those that are position-independent
		}
	}
	if f["kind"] == "executable" {
		isStatic := strings.Contains(text, "statically linked") || strings.Contains(text, "static-pie linked")
		f.set("static", map[bool]string{false: "false", true: "true"}[isStatic])
	}
}
