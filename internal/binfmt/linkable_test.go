package binfmt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// linkableError says what is wrong with linking bytes on a platform; empty for nothing.
func linkableError(t *testing.T, b []byte, on string) string {
	t.Helper()
	os, architecture, _ := strings.Cut(on, "/")
	r, size := newReader(b)
	err := Linkable(r, size, Platform{OS: os, Architecture: architecture})
	if found := (*LinkError)(nil); err == nil || errors.As(err, &found) {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	checkError(t, err)
	return err.Error()
}

func TestWhatCompilersMakeIsLinked(t *testing.T) {
	for file, on := range map[string]string{
		"coff-386": "windows/386", "coff-gnu": "windows/amd64", "coff-gnu-big": "windows/amd64", "coff-msvc": "windows/amd64",
		"elf-aarch64-glibc": "linux/arm64", "elf-aarch64-linux-gnu": "linux/arm64", "elf-amd64-nopic": "linux/amd64", "elf-x86_64-freebsd13": "freebsd/amd64",
		"import-gnu": "windows/amd64", "import-short": "windows/amd64", "macho-amd64": "darwin/amd64", "macho-amd64-dylib": "darwin/amd64", "macho-ios": "ios/arm64",
		"macho-universal-archive": "darwin", "pe-gnu-dll": "windows/amd64", "pe-lld-dll": "windows",
	} {
		b := fixture(t, file)
		for _, on := range []string{on, ""} {
			if got := linkableError(t, b, on); got != "" {
				t.Errorf("%s on %q: %s", file, on, got)
			}
		}
		if bytes.HasPrefix(b, []byte(arMagic)) || strings.Contains(file, "universal") || strings.HasPrefix(file, "pe-") || strings.Contains(file, "dylib") {
			continue
		}
		for variant, b := range map[string][]byte{"GNU": gnuArchive(arFile{"a.o", b}), "BSD": bsdArchive(arFile{"a member with a long name.o", b}), "COFF": coffArchive(arFile{"a.o", b})} {
			if got := linkableError(t, b, on); got != "" {
				t.Errorf("%s in a %s archive: %s", file, variant, got)
			}
		}
	}
	if got := linkableError(t, nil, "linux/amd64"); got != "" {
		t.Errorf("an empty file: %s", got)
	}
}

func TestWhatHasALinkerDoMoreThanLinkIsNotLinked(t *testing.T) {
	object := fixture(t, "elf-amd64-nopic")
	const intermediate = "holds the intermediate representation of a compiler"
	for name, c := range map[string]struct {
		b        []byte
		on, want string
	}{
		"GCC's, in place of code":       {fixture(t, "elf-amd64-slim-lto"), "linux/amd64", intermediate + ", GCC's (.gnu.lto_"},
		"GCC's, beside code":            {fixture(t, "elf-amd64-fat-lto"), "linux/amd64", intermediate},
		"GCC's, for Windows":            {fixture(t, "coff-gnu-slim-lto"), "windows/amd64", intermediate},
		"LLVM's":                        {fixture(t, "bitcode"), "", intermediate + ", LLVM's"},
		"LLVM's, wrapped":               {fixture(t, "bitcode-wrapped"), "darwin", intermediate},
		"GCC's for another system":      {gnuArchive(arFile{"a.o", object}, arFile{"evil.o", fixture(t, "coff-gnu-slim-lto")}), "linux/amd64", `its member "evil.o" ` + intermediate},
		"a member of the archive's own": {appendMember(gnuArchive(arFile{"a.o", object}), "/<EVIL>/", fixture(t, "elf-amd64-fat-lto")), "linux/amd64", intermediate},
		"one behind a false index":      {misled(arFile{"a.txt", gnuArchive(arFile{"x.o", fixture(t, "elf-amd64-fat-lto")})}), "linux/amd64", "the archive's index leads to offset"},
		"libraries by name":             {renamed(t, "elf-amd64-nopic", shtDependentLibraries), "linux/amd64", "names libraries itself (.deplibs)"},
		"LLVM's, beside code":           {renamed(t, "elf-amd64-nopic", shtLLVMLTO), "linux/amd64", intermediate + ", LLVM's (.llvm.lto)"},
		"a thin archive":                {[]byte(thinMagic), "linux/amd64", "is a thin archive"},
		"a script":                      {[]byte("INPUT(/etc/passwd)"), "linux/amd64", "not compiled code"},
		"a script in a Windows header":  {fixture(t, "pe-gnu-dll"), "linux/amd64", "not compiled code"},
		"an object of Apple's":          {fixture(t, "macho-amd64"), "linux/amd64", "not compiled code"},
		"an ELF object on Windows":      {object, "windows/amd64", "not compiled code"},
		"an ELF object on macOS":        {object, "darwin/amd64", "not compiled code"},
		"a compressed archive":          {[]byte("\x1f\x8b\x08\x00"), "linux/amd64", "not compiled code"},
	} {
		if got := linkableError(t, c.b, c.on); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// misled is an archive whose index leads into its member, where an archive's member begins.
func misled(f arFile) []byte {
	index := binary.BigEndian.AppendUint32(nil, 1)
	at := len(arMagic) + 2*arHeaderSize + 10 + len(arMagic)
	index = append(binary.BigEndian.AppendUint32(index, uint32(at)), "x\x00"...)
	return appendMember(appendMember([]byte(arMagic), "/", index), f.name+"/", f.data)
}

// renamed is an ELF object of 64 bits whose last section has another type.
func renamed(t *testing.T, file string, typ uint32) []byte {
	b := bytes.Clone(fixture(t, file))
	at, count := binary.LittleEndian.Uint64(b[40:]), binary.LittleEndian.Uint16(b[60:])
	for i := range uint64(count) {
		if section := b[at+i*64:]; binary.LittleEndian.Uint32(section[4:]) == 1 { // SHT_PROGBITS
			binary.LittleEndian.PutUint32(section[4:], typ)
			return b
		}
	}
	t.Fatal("the fixture has no section to rename")
	return nil
}

func TestDirectivesNameLibrariesByNameAlone(t *testing.T) {
	for text, ok := range map[string]bool{
		"   /DEFAULTLIB:\"LIBCMT\" /DEFAULTLIB:\"OLDNAMES\" ":   true,
		" -export:foo,data -exclude-symbols:a/b\x00":            true,
		"/defaultlib:foo.lib /include:a":                        true,
		"/DEFAULTLIB:\\\\server\\share\\x.lib":                  false,
		"/x -defaultlib:\"C:\\a b\\x.lib\"":                     false,
		"/DEFAULTLIB:\"uuid\" /DEFAULTLIB:../x.lib /INCLUDE:_a": false,
	} {
		if err := checkDirectives([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestHalfAFileIsNotTakenForAllOfIt(t *testing.T) {
	for _, name := range []string{"elf-amd64-fat-lto", "elf-amd64-nopic", "macho-universal-archive"} {
		whole := fixture(t, name)
		for n := 64; n < len(whole); n += 7 {
			if got := linkableError(t, whole[:n], ""); got == "" && n < len(whole)/2 {
				t.Errorf("%s: %d of %d bytes are linked", name, n, len(whole))
			}
		}
	}
}

// FuzzLinkable checks on any bytes that nothing panics, and that errors are those documented.
func FuzzLinkable(f *testing.F) {
	for _, b := range fixtures(f) {
		f.Add(b, "")
	}
	f.Add(gnuArchive(arFile{"a.o", []byte("x")}), "linux")
	f.Fuzz(func(t *testing.T, b []byte, os string) {
		linkableError(t, b, os)
	})
}
