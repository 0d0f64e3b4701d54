package binfmt

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// UnlinkableError says why a file is not to be given to a linker.
type UnlinkableError struct {
	Member string // of an archive; empty for a file of its own
	Reason string
	// IR reports whether the reason is a compiler's intermediate representation, in place of code or beside it: it carries options
	// of that compiler, which the linker's plugin hands on, and with them to the assembler, where they can write any file.
	IR bool
}

func (e *UnlinkableError) Error() string {
	if e.Member != "" {
		return "its member " + e.Member + ": " + e.Reason
	}
	return e.Reason
}

// maxScript is the most bytes of a linker script that is read.
const maxScript = 64 << 10

// CheckLinkable reports whether a file that linkers may take for a library is one, and complete in itself: an archive, ELF,
// Mach-O, PE or COFF, or a script that only names libraries. What it holds is not run, and names no other file of the machine.
// The error is an [*UnlinkableError], or of reading. See
// https://sourceware.org/binutils/docs/ld/Implicit-Linker-Scripts.html.
func CheckLinkable(r io.ReaderAt, size int64) error {
	if size == 0 {
		return nil
	}
	in := newInspector(size)
	s := &source{r: r, size: size, budget: &in.budget}
	err := in.linkable(s)
	if errors.Is(err, ErrMalformed) {
		return &UnlinkableError{Reason: fmt.Sprintf("it cannot be read whole: %v", err)}
	}
	return err
}

func (in *inspector) linkable(s *source) error {
	head, err := s.head()
	if err != nil {
		return err
	}
	switch c := identify(head); c {
	case contentThin:
		return &UnlinkableError{Reason: "it is a thin archive, whose members are other files"}
	case contentOther:
		return in.script(s)
	case contentArchive:
		return eachMember(s, func(m *member) error {
			c, err := m.content()
			if err != nil {
				return err
			}
			ir, err := in.hasIR(m.s, c)
			if err != nil {
				return fmt.Errorf("read archive member %q: %w", m.name, err)
			}
			if ir {
				return &UnlinkableError{Member: m.name, Reason: irReason, IR: true}
			}
			return nil
		})
	case contentFat:
		return nil // of Apple, whose linker takes options from no object
	default:
		ir, err := in.hasIR(s, c)
		if err == nil && ir {
			err = &UnlinkableError{Reason: irReason, IR: true}
		}
		return err
	}
}

const irReason = "it has a compiler's intermediate representation, for optimization at link time"

// hasIR reports whether an object has a compiler's intermediate representation where linkers look for it.
func (in *inspector) hasIR(s *source, c content) (bool, error) {
	isIR := func(name string) bool {
		return strings.HasPrefix(name, ".gnu.lto_") || strings.HasPrefix(name, ".llvm.lto")
	}
	switch c {
	case contentBitcode:
		return true, nil
	case contentELF:
		e, err := in.readELF(s)
		if err != nil {
			return false, err
		}
		if uint64(e.names) >= uint64(len(e.sections)) || e.names == 0 {
			return false, nil
		}
		table, err := e.sub(&e.sections[e.names])
		if err != nil {
			return false, err
		}
		names := &nameTable{s: table}
		for i := range e.sections {
			name, err := names.prefix(int64(e.sections[i].name), len(".gnu.lto_"))
			if err != nil {
				return false, err
			}
			if isIR(string(name)) {
				return true, nil
			}
		}
	case contentCOFF, contentAnon:
		o, err := readCOFF(s, c)
		if err != nil {
			return false, nil // an import, or data
		}
		found := false
		err = o.s.records(o.sectionsAt, o.sections, sectionSize, &in.records, func(b []byte) error {
			name, err := o.sectionName(b[:8])
			found = found || isIR(name)
			return err
		})
		return found, err
	}
	return false, nil
}

// script reports whether a text that linkers would read as a script only names libraries, as those of Debian's ncurses do.
func (in *inspector) script(s *source) error {
	if s.size > maxScript {
		return &UnlinkableError{Reason: "it is no library"}
	}
	text, err := s.bytes(0, s.size, maxScript)
	if err != nil {
		return err
	}
	if strings.HasPrefix(string(text), "--- !tapi") { // of macOS: what a library has, for those who link with it
		return nil
	}
	if strings.ContainsRune(string(text), 0) {
		return &UnlinkableError{Reason: "it is no library"}
	}
	var code strings.Builder
	for rest := string(text); rest != ""; {
		before, comment, _ := strings.Cut(rest, "/*")
		code.WriteString(before + " ")
		_, rest, _ = strings.Cut(comment, "*/")
	}
	format := false
	for _, word := range strings.FieldsFunc(code.String(), func(r rune) bool { return strings.ContainsRune(" \t\r\n(),;", r) }) {
		named := strings.HasPrefix(word, "-l") && !strings.ContainsAny(word, `/\:"`) || isLibraryName(word)
		switch {
		case word == "OUTPUT_FORMAT":
			format = true
			continue
		case word == "INPUT", word == "GROUP", word == "AS_NEEDED", named, format && strings.HasPrefix(word, "elf"):
		default:
			return &UnlinkableError{Reason: fmt.Sprintf("it is a linker script, or text that linkers take for one, with %.40q in it: only names of libraries in the same package are allowed there", word)}
		}
		format = false
	}
	return nil
}

// isLibraryName reports whether a word of a script is the name of a library beside it.
func isLibraryName(word string) bool {
	if strings.ContainsAny(word, `/\:"$=`) || !strings.HasPrefix(word, "lib") {
		return false
	}
	return strings.HasSuffix(word, ".so") || strings.Contains(word, ".so.") || path.Ext(word) == ".a"
}

// MayBeLinked reports whether linkers may read a file of that name, which has slashes, as a library or an object.
func MayBeLinked(name string) bool {
	base, dir := path.Base(name), path.Base(path.Dir(name))
	if framework, ok := strings.CutSuffix(dir, ".framework"); ok && framework == base || path.Base(path.Dir(path.Dir(name))) == "Versions" && path.Ext(base) == "" {
		return true
	}
	if strings.Contains(base, ".so.") {
		return true
	}
	switch path.Ext(base) {
	case ".a", ".o", ".obj", ".so", ".dylib", ".tbd", ".lib", ".dll", ".bc":
		return true
	}
	return false
}
