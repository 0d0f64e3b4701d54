package binfmt

import (
	"debug/elf"
	"encoding/binary"
	"path"
	"strings"
)

const (
	efMIPSABI2 = 0x20 // e_flags of the MIPS n32 ABI

	ntGNUABITag     = 1
	ntGNUProperty   = 5
	x86ISANeeded    = 0xc0008002 // GNU_PROPERTY_X86_ISA_1_NEEDED
	maxNotes        = 64         // sections or segments
	shtARMAttribute = elf.SectionType(0x70000003)
)

// elfArchitecture gives GOARCH's name of the machine, "" for one that has none, and the size of its pointers.
func elfArchitecture(e *elfFile) (architecture string, bits int) {
	bits = e.pick(64, 32)
	little := e.order == binary.LittleEndian
	name := func(wideLittle, wideBig, narrowLittle, narrowBig string) string {
		switch {
		case e.wide && little:
			return wideLittle
		case e.wide:
			return wideBig
		case little:
			return narrowLittle
		}
		return narrowBig
	}
	switch e.machine {
	case elf.EM_386:
		return name("", "", "386", ""), bits
	case elf.EM_X86_64:
		return name("amd64", "", "amd64p32", ""), bits
	case elf.EM_ARM:
		return name("", "", "arm", "armbe"), bits
	case elf.EM_AARCH64:
		return name("arm64", "arm64be", "", ""), bits
	case elf.EM_RISCV:
		return name("riscv64", "", "riscv", ""), bits
	case elf.EM_PPC:
		return name("", "", "", "ppc"), bits
	case elf.EM_PPC64:
		return name("ppc64le", "ppc64", "", ""), bits
	case elf.EM_S390:
		return name("", "s390x", "", "s390"), bits
	case elf.EM_MIPS, elf.EM_MIPS_RS3_LE:
		if e.flags&efMIPSABI2 != 0 {
			return name("", "", "mips64p32le", "mips64p32"), bits
		}
		return name("mips64le", "mips64", "mipsle", "mips"), bits
	case elf.EM_LOONGARCH:
		return name("loong64", "", "", ""), bits
	case elf.EM_SPARC, elf.EM_SPARC32PLUS:
		return name("", "", "", "sparc"), bits
	case elf.EM_SPARCV9:
		return name("", "sparc64", "", ""), bits
	}
	return "", bits
}

// system settles the operating system once header, notes, interpreter and needed libraries have had their say.
func (e *elfFile) system(f *File) {
	if f.Platform.OS == "" {
		f.Platform.OS = systemOfLoader(f.Interpreter)
	}
	for _, needed := range f.Needed {
		if f.Platform.OS == "" {
			f.Platform.OS = systemOfLibc(needed)
		}
	}
	if f.Platform.OS != "" {
		return
	}
	switch e.osabi {
	case elf.ELFOSABI_LINUX:
		f.Platform.OS = "linux"
	case elf.ELFOSABI_FREEBSD:
		f.Platform.OS = "freebsd"
	case elf.ELFOSABI_NETBSD:
		f.Platform.OS = "netbsd"
	case elf.ELFOSABI_OPENBSD:
		f.Platform.OS = "openbsd"
	case elf.ELFOSABI_SOLARIS:
		f.Platform.OS = "solaris"
	case elf.ELFOSABI_AIX:
		f.Platform.OS = "aix"
	case elf.ELFOSABI_HURD:
		f.Platform.OS = "hurd"
	case elf.ELFOSABI_NONE, elf.ELFOSABI_ARM:
		f.Platform.OS, f.assumedOS = "linux", true
	}
}

// systemOfLoader tells the system from the path of its dynamic loader, "" when that is unknown.
func systemOfLoader(interpreter string) string {
	base := path.Base(interpreter)
	switch {
	case strings.HasPrefix(base, "ld-linux"), strings.HasPrefix(base, "ld-musl-"), strings.HasPrefix(base, "ld-uClibc"):
		return "linux"
	case base == "linker", base == "linker64":
		return "android"
	case base == "ld-elf.so.1":
		return "freebsd"
	case base == "ld-elf.so.2":
		return "dragonfly"
	case base == "ld.elf_so":
		return "netbsd"
	case interpreter == "/usr/libexec/ld.so":
		return "openbsd"
	case strings.HasSuffix(interpreter, "/ld.so.1") && strings.HasPrefix(interpreter, "/usr/lib"):
		return "solaris"
	}
	return ""
}

// systemOfLibc tells the system from the name of its C library, "" for a name that several have or that is none.
func systemOfLibc(needed string) string {
	rest, ok := strings.CutPrefix(needed, "libc.so.")
	switch {
	case strings.HasPrefix(needed, "libc.musl-"):
		return "linux"
	case !ok:
		return ""
	case rest == "6", rest == "6.1": // 6.1 on alpha and ia64
		return "linux"
	case rest == "0.3":
		return "hurd"
	case rest == "7":
		return "freebsd"
	case rest == "8":
		return "dragonfly"
	case rest == "12":
		return "netbsd"
	case rest == "1":
		return "solaris"
	case strings.Contains(rest, ".") && isVersion(rest):
		return "openbsd" // libc.so.96.1: major and minor, for each release its own
	}
	return ""
}

// notes reads the notes of segments or, in an object, sections.
func (e *elfFile) notes(f *File) error {
	count := 0
	one := func(off, size, align uint64) error {
		if count++; count > maxNotes || size > maxNote {
			return nil
		}
		b, err := e.s.bytes(int64(off), int64(size), maxNote)
		if err == nil {
			e.noteList(b, align, f)
		}
		return err
	}
	if e.typ == elf.ET_REL {
		for i := range e.sections {
			if n := &e.sections[i]; n.typ == elf.SHT_NOTE {
				if err := one(n.off, n.size, n.align); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if e.isDebugOnly() {
		return nil
	}
	for _, n := range e.segments {
		if n.typ == elf.PT_NOTE {
			if err := one(n.off, n.fileSize, n.align); err != nil {
				return err
			}
		}
	}
	return nil
}

// noteList reads a list of notes. What follows one that is cut short is ignored, as loaders do.
func (e *elfFile) noteList(b []byte, align uint64, f *File) {
	pad := func(n uint64) uint64 { return (n + 3) &^ 3 }
	if align == 8 {
		pad = func(n uint64) uint64 { return (n + 7) &^ 7 }
	}
	for len(b) >= 12 {
		nameSize, descSize := uint64(e.order.Uint32(b)), uint64(e.order.Uint32(b[4:]))
		typ := e.order.Uint32(b[8:])
		desc := pad(12 + nameSize)
		end := desc + descSize
		if 12+nameSize > uint64(len(b)) || end > uint64(len(b)) {
			return
		}
		e.note(strings.TrimRight(string(b[12:12+nameSize]), "\x00"), typ, b[desc:end], f)
		b = b[min(pad(end), uint64(len(b))):]
	}
}

// note takes what one note says about the system or the processor.
func (e *elfFile) note(owner string, typ uint32, desc []byte, f *File) {
	switch {
	case owner == "GNU" && typ == ntGNUABITag && len(desc) >= 4:
		systems := []string{"linux", "hurd", "solaris", "freebsd", "netbsd"}
		if os := e.order.Uint32(desc); os < uint32(len(systems)) {
			f.Platform.OS = systems[os]
		}
	case owner == "GNU" && typ == ntGNUProperty && f.Platform.Architecture == "amd64":
		e.properties(desc, f)
	case typ == 1 && owner == "FreeBSD":
		f.Platform.OS = "freebsd"
	case typ == 1 && owner == "NetBSD":
		f.Platform.OS = "netbsd"
	case typ == 1 && owner == "OpenBSD":
		f.Platform.OS = "openbsd"
	case typ == 1 && owner == "DragonFly":
		f.Platform.OS = "dragonfly"
	case typ == 1 && owner == "Android":
		f.Platform.OS = "android"
	}
}

// properties reads GNU properties for the level of x86-64 that the file says it needs.
// See https://gitlab.com/x86-psABIs/x86-64-ABI, "Program Property".
func (e *elfFile) properties(desc []byte, f *File) {
	for len(desc) >= 8 {
		typ, size := e.order.Uint32(desc), uint64(e.order.Uint32(desc[4:]))
		desc = desc[8:]
		if size > uint64(len(desc)) {
			return
		}
		if typ == x86ISANeeded && size >= 4 {
			levels := e.order.Uint32(desc)
			for level, variant := range []string{1: "v2", 2: "v3", 3: "v4"} {
				if level > 0 && levels&(1<<level) != 0 {
					f.Platform.Variant = variant
				}
			}
		}
		desc = desc[min((size+7)&^7, uint64(len(desc))):]
	}
}
