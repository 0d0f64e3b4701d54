package binfmt

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// LinkError is what a file has a linker do beside linking it.
type LinkError struct {
	Member string // of an archive; empty: the file itself
	Reason string // what it does, without the subject: the member or the file
	// Intermediate reports that it is the intermediate representation of a compiler, in place of code or beside it.
	Intermediate bool
}

func (e *LinkError) Error() string {
	if e.Member == "" {
		return e.Reason
	}
	return fmt.Sprintf("its member %q %s", e.Member, e.Reason)
}

// Linkable reports whether a linker that is given a file for a platform links it and does nothing else: it is an object, an
// archive of objects or a shared library that linkers know there, or empty, complete in itself, and holds nothing that names further
// files, options or programs. Else the error is a [LinkError], wraps [ErrNotBinary] or [ErrMalformed], or is one of r.
//
// Linkers and their plugins go by the bytes, and so does this: they read what they do not know as a script, and the
// objects at the places that an archive's index names.
func Linkable(r io.ReaderAt, size int64, on Platform) error {
	in := newInspector(size)
	s := &source{r: &window{r: r, size: size}, size: size, budget: &in.budget}
	if size <= 0 {
		return nil // nothing to be read
	}
	head, err := s.head()
	if err != nil {
		return err
	}
	l := &linkable{in, on}
	c := identify(head)
	if c != contentFat {
		return l.file(s, c)
	}
	slices, err := fatSlices(s)
	for _, slice := range slices {
		head, headErr := slice.s.head()
		if headErr != nil {
			return headErr
		}
		if err := l.file(slice.s, identify(head)); err != nil {
			return err
		}
	}
	return err
}

// linkable checks one file.
type linkable struct {
	*inspector
	on Platform
}

func (l *linkable) file(s *source, c content) error {
	switch c {
	case contentThin:
		return &LinkError{Reason: "is a thin archive, whose members are other files and not in it"}
	case contentArchive:
		return l.archive(s)
	case contentELF, contentMachO, contentImage, contentCOFF, contentAnon:
		if err := l.known(s, c); err != nil {
			return err
		}
	}
	return l.object(s, c)
}

// known refuses what the linkers of the platform do not know, and would read as a script: headers have room for one.
func (l *linkable) known(s *source, c content) error {
	elfFile, apple, windows := c == contentELF, c == contentMachO, c != contentELF && c != contentMachO
	switch l.on.OS {
	case "":
		return nil
	case "windows":
		if !windows {
			return fmt.Errorf("%w for Windows", ErrNotBinary)
		}
		machine, err := l.machine(s, c)
		x86 := machine == "amd64" || machine == "386"
		if err == nil && !x86 && (l.on.Architecture == "amd64" || l.on.Architecture == "386") {
			err = fmt.Errorf("%w for %s", ErrNotBinary, l.on)
		}
		return err
	case "darwin", "ios", "tvos", "watchos", "visionos", "bridgeos", "driverkit":
		if !apple {
			return fmt.Errorf("%w for Apple's systems", ErrNotBinary)
		}
	default:
		if !elfFile {
			return fmt.Errorf("%w for %s, where that is ELF", ErrNotBinary, l.on.OS)
		}
	}
	return nil
}

// machine returns the architecture of what is for Windows.
func (l *linkable) machine(s *source, c content) (string, error) {
	at := int64(0)
	switch c {
	case contentImage:
		p, err := readImage(s)
		if err != nil {
			return "", err
		}
		architecture, _, _ := coffArchitecture(p.machine)
		return architecture, nil
	case contentAnon:
		at = 6
	}
	b, err := s.bytes(at, 2, 2)
	if err != nil {
		return "", err
	}
	architecture, _, _ := coffArchitecture(binary.LittleEndian.Uint16(b))
	return architecture, nil
}

func (l *linkable) object(s *source, c content) error {
	switch c {
	case contentELF:
		return l.elf(s)
	case contentMachO:
		return l.macho(s)
	case contentImage: // linkers ask their plugins about objects, which an image is not
		_, err := readImage(s)
		return err
	case contentCOFF:
		return l.coff(s, c)
	case contentAnon:
		f, err := (&inspector{budget: l.budget}).anonymous(s)
		switch {
		case err != nil:
			return err
		case f.SlimLTO:
			return intermediate("Microsoft's (/GL)")
		case f.Kind == KindImportLibrary:
			return nil
		}
		return l.coff(s, c)
	case contentBitcode: // whose assembler code may embed any file, and whose metadata names libraries to be linked
		return intermediate("LLVM's (bitcode)")
	}
	return ErrNotBinary
}

func intermediate(whose string) error {
	return &LinkError{Reason: "holds the intermediate representation of a compiler, " + whose + ", which the linker has compiled", Intermediate: true}
}

// isIntermediate reports whether GCC's plugin for linkers takes a section of that name for its own. What stands in
// .gnu.lto_.opts it hands to programs that it runs.
func isIntermediate(section string) bool {
	return strings.HasPrefix(section, ".gnu.lto_") || strings.HasPrefix(section, ".gnu.offload_lto_")
}

// Sections that LLVM's linker acts on. See https://llvm.org/docs/Extensions.html.
const (
	shtDependentLibraries = 0x6fff4c04 // .deplibs: names of files, which it looks for and links
	shtLLVMLTO            = 0x6fff4c0c // .llvm.lto: bitcode beside code
)

func (l *linkable) elf(s *source) error {
	e, err := l.readELF(s)
	if err != nil {
		return err
	}
	if e.typ != elf.ET_REL && e.typ != elf.ET_DYN && e.typ != elf.ET_EXEC {
		return fmt.Errorf("%w: an ELF file of type %d", ErrNotBinary, e.typ)
	}
	var names *nameTable
	if e.names != 0 {
		if uint64(e.names) >= uint64(len(e.sections)) {
			return malformed("the names of its sections are in section %d of %d", e.names, len(e.sections))
		}
		table, err := e.sub(&e.sections[e.names])
		if err != nil {
			return err
		}
		names = &nameTable{s: table}
		if err := names.load(&l.names); err != nil {
			return err
		}
	}
	for i := 1; i < len(e.sections); i++ {
		section := &e.sections[i]
		switch section.typ {
		case shtDependentLibraries:
			return &LinkError{Reason: "names libraries itself (.deplibs), and LLVM's linker takes any file for one"}
		case shtLLVMLTO:
			return intermediate("LLVM's (.llvm.lto)")
		}
		if names == nil {
			continue
		}
		name, err := names.prefix(int64(section.name), 32)
		if err != nil {
			return err
		}
		if isIntermediate(string(name)) {
			return intermediate(fmt.Sprintf("GCC's (%s)", name))
		}
	}
	return nil
}

func (l *linkable) macho(s *source) error {
	m, err := readMachO(s)
	if err != nil {
		return err
	}
	return m.eachCommand(func(command uint32, b []byte) error {
		first, width := 56, 68
		switch macho.LoadCmd(command) {
		case macho.LoadCmdSegment64:
			first, width = 72, 80
		case macho.LoadCmdSegment:
		default:
			return nil
		}
		for ; first+width <= len(b); first += width {
			if bytes.HasPrefix(b[first+16:], []byte("__GNU_LTO")) {
				return intermediate("GCC's (__GNU_LTO)")
			}
		}
		return nil
	})
}

// maxDirectives is the most that an object may say to the linker, in bytes: one that exports all its symbols names each.
const maxDirectives = 4 << 20

func (l *linkable) coff(s *source, c content) error {
	o, err := readCOFF(s, c)
	if err != nil {
		return err
	}
	return s.records(o.sectionsAt, o.sections, sectionSize, &l.records, func(b []byte) error {
		name, err := o.sectionName(b[:8])
		if err != nil {
			return err
		}
		if isIntermediate(name) {
			return intermediate(fmt.Sprintf("GCC's (%s)", name))
		}
		if name != ".drectve" {
			return nil
		}
		text, err := s.bytes(int64(binary.LittleEndian.Uint32(b[20:])), int64(binary.LittleEndian.Uint32(b[16:])), maxDirectives)
		if err != nil {
			return err
		}
		return checkDirectives(text)
	})
}

// checkDirectives refuses the directives of a COFF object that name a library by a path, which may be one of another
// machine. Of all that linkers heed there, this alone has them open files.
// See https://learn.microsoft.com/windows/win32/debug/pe-format#the-drectve-section-object-only.
func checkDirectives(text []byte) error {
	const option = "DEFAULTLIB:"
	upper := bytes.ToUpper(text)
	for {
		at := bytes.Index(upper, []byte(option))
		if at < 0 {
			return nil
		}
		upper = upper[at+len(option):]
		name := upper
		if quoted, ok := bytes.CutPrefix(name, []byte{'"'}); ok {
			name, _, _ = bytes.Cut(quoted, []byte{'"'})
		} else if end := bytes.IndexAny(name, " \t\r\n\x00"); end >= 0 {
			name = name[:end]
		}
		if bytes.ContainsAny(name, `/\:`) {
			return &LinkError{Reason: fmt.Sprintf("names a library by a path (%s%.200q in .drectve)", option, name)}
		}
	}
}

// maxMembers is the most objects of one archive.
const maxMembers = 1 << 20

// archive checks all that linkers may take for a member: each that follows the one before, whatever its name. Those that an
// index leads to must be among them, since linkers go where it says.
func (l *linkable) archive(s *source) error {
	a := &arReader{s: s}
	var starts []int64
	var indexes []*member
	for off := int64(len(arMagic)); off < s.size; {
		m, next, err := a.member(off)
		if err != nil {
			return fmt.Errorf("read archive member at offset %d: %w", off, err)
		}
		if m != nil {
			if len(starts) == maxMembers {
				return malformed("the archive has more than %d members", maxMembers)
			}
			starts = append(starts, off)
			if m.special {
				indexes = append(indexes, m)
			}
			if err := l.member(m); err != nil {
				return err
			}
		}
		off = next
	}
	second := false
	for _, index := range indexes {
		if err := index.eachOffset(second, &l.records, func(off int64) error {
			if _, ok := slices.BinarySearch(starts, off); !ok {
				return malformed("the archive's index leads to offset %d, where no member begins", off)
			}
			return nil
		}); err != nil {
			return err
		}
		second = second || index.name == "/"
	}
	return nil
}

func (l *linkable) member(m *member) error {
	c, err := m.content()
	if err != nil || c == contentOther || m.name == "/" && c == contentAnon { // an index of 65535 symbols
		return err
	}
	err = l.object(m.s, c)
	var found *LinkError
	switch {
	case errors.As(err, &found):
		found.Member = m.name
	case errors.Is(err, ErrNotBinary): // linkers take no member for a script
		return nil
	case err != nil:
		return fmt.Errorf("its member %q: %w", m.name, err)
	}
	return err
}

// eachOffset calls visit for the offsets that an index has: "/", of which Microsoft's tools write a second one in another form,
// "/SYM64/", or BSD's. See https://learn.microsoft.com/windows/win32/debug/pe-format#archive-library-file-format.
func (m *member) eachOffset(second bool, buf *[]byte, visit func(off int64) error) error {
	wide := strings.HasPrefix(m.name, "__.SYMDEF_64") || m.name == "/SYM64/"
	width := 4
	number := func(order binary.ByteOrder, b []byte) uint64 { return uint64(order.Uint32(b)) }
	if wide {
		width = 8
		number = func(order binary.ByteOrder, b []byte) uint64 { return order.Uint64(b) }
	}
	if m.s.size < int64(width) || m.name != "/" && m.name != "/SYM64/" && !strings.HasPrefix(m.name, "__.SYMDEF") {
		return nil
	}
	first, err := m.s.bytes(0, int64(width), int64(width))
	if err != nil {
		return err
	}
	records := func(order binary.ByteOrder, count uint64, width, at int) error {
		last := int64(-1)
		return m.s.records(int64(len(first)), int64(min(count, 1<<62)), width, buf, func(b []byte) error {
			off := int64(min(number(order, b[at:]), 1<<62))
			if off == last { // the symbols of one member follow each other
				return nil
			}
			last = off
			return visit(off)
		})
	}
	if m.name == "/SYM64/" || m.name == "/" {
		order := binary.ByteOrder(binary.BigEndian)
		if second {
			order = binary.LittleEndian
		}
		return records(order, number(order, first), width, 0)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} { // that of the objects
		size := number(order, first)
		if size%uint64(2*width) != 0 || size > uint64(m.s.size)-uint64(width) {
			continue
		}
		if err := records(order, size/uint64(2*width), 2*width, width); err != nil {
			return err
		}
	}
	return nil
}

// window reads ahead, and a little behind: the headers of what follows each other in a file are many and small.
type window struct {
	r    io.ReaderAt
	size int64
	at   int64
	buf  []byte
	held [windowSize]byte
}

const (
	windowSize   = 64 << 10
	windowBehind = 16 << 10 // bytes before what is asked for
)

func (w *window) ReadAt(p []byte, off int64) (int, error) {
	if off < w.at || off+int64(len(p)) > w.at+int64(len(w.buf)) {
		if len(p) > windowSize-windowBehind {
			return w.r.ReadAt(p, off)
		}
		w.at = max(0, off-windowBehind)
		n, err := w.r.ReadAt(w.held[:min(windowSize, max(0, w.size-w.at))], w.at)
		w.buf = w.held[:n]
		if w.at+int64(n) < off+int64(len(p)) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	return copy(p, w.buf[off-w.at:]), nil
}
