package binfmt

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"fmt"
)

// Mach-O file types and load commands that debug/macho has no names for. The bit 0x80000000 marks a command that a
// loader must know. See EXTERNAL_HEADERS/mach-o/loader.h.
const (
	machoTypeFixedLib    = 3
	machoTypeDylinker    = 7
	machoTypeBundle      = 8
	machoTypeDylibStub   = 9
	machoTypeKext        = 11
	lcReqDyld            = 0x80000000
	lcLazyLoadDylib      = 0x20
	lcIDDylib            = 0xd
	lcLoadWeakDylib      = 0x18 | lcReqDyld
	lcReexportDylib      = 0x1f | lcReqDyld
	lcLoadUpwardDylib    = 0x23 | lcReqDyld
	lcVersionMinMacOS    = 0x24
	lcVersionMinIOS      = 0x25
	lcVersionMinTVOS     = 0x2f
	lcVersionMinWatchOS  = 0x30
	lcBuildVersion       = 0x32
	cpuArchABI64         = 0x01000000
	nTypeMask, nExternal = 0x0e, 0x01
	nStab, nPrivate      = 0xe0, 0x10
	nWeakRef, nWeakDef   = 0x40, 0x80
)

// machoPlatform is a system of LC_BUILD_VERSION: GOOS's name where there is one, and the last part of the target's triple.
type machoPlatform struct{ os, env string }

var machoPlatforms = map[uint32]machoPlatform{
	1:  {"darwin", ""},
	2:  {"ios", ""},
	3:  {"tvos", ""},
	4:  {"watchos", ""},
	5:  {"bridgeos", ""},
	6:  {"ios", "macabi"},
	7:  {"ios", "simulator"},
	8:  {"tvos", "simulator"},
	9:  {"watchos", "simulator"},
	10: {"driverkit", ""},
	11: {"visionos", ""},
	12: {"visionos", "simulator"},
}

// machoFile is a Mach-O file's header and load commands.
type machoFile struct {
	s        *source
	order    binary.ByteOrder
	wide     bool
	cpu      uint32
	typ      uint32
	count    uint32 // of commands
	commands []byte
}

// readMachO reads header and load commands.
func readMachO(s *source) (*machoFile, error) {
	h, err := s.bytes(0, 28, 28)
	if err != nil {
		return nil, err
	}
	m := &machoFile{s: s, order: binary.LittleEndian}
	if h[0] == 0xfe {
		m.order = binary.BigEndian
	}
	start := int64(28)
	if m.order.Uint32(h) == macho.Magic64 {
		m.wide, start = true, 32
	}
	m.cpu, m.typ = m.order.Uint32(h[4:]), m.order.Uint32(h[12:])
	m.count = m.order.Uint32(h[16:])
	m.commands, err = s.bytes(start, int64(m.order.Uint32(h[20:])), maxCommands)
	if err != nil {
		return nil, fmt.Errorf("read Mach-O load commands: %w", err)
	}
	return m, nil
}

// eachCommand calls visit with each load command, whole.
func (m *machoFile) eachCommand(visit func(command uint32, b []byte) error) error {
	rest := m.commands
	for i := range m.count {
		if i == maxEntries {
			return malformed("%d load commands exceed the bound of %d", m.count, maxEntries)
		}
		if len(rest) < 8 {
			return malformed("it announces %d load commands and has %d", m.count, i)
		}
		command, size := m.order.Uint32(rest), m.order.Uint32(rest[4:])
		if size < 8 || uint64(size) > uint64(len(rest)) {
			return malformed("load command %d has a size of %d bytes", i, size)
		}
		if err := visit(command, rest[:size]); err != nil {
			return err
		}
		rest = rest[size:]
	}
	return nil
}

// field reads a number of a load command, 0 where the command is too short to have it.
func (m *machoFile) field(b []byte, off int) uint32 {
	if off+4 > len(b) {
		return 0
	}
	return m.order.Uint32(b[off:])
}

// text reads a string of a load command, whose offset in the command is the field at off.
func (m *machoFile) text(b []byte, off int) (string, error) {
	at := m.field(b, off)
	if at < 12 || uint64(at) > uint64(len(b)) {
		return "", malformed("a load command has a string at offset %d of %d bytes", at, len(b))
	}
	s, _, _ := bytes.Cut(b[at:], []byte{0})
	return string(s), nil
}

// machoArchitecture gives GOARCH's name of a CPU type, "" for one that has none, and the size of its pointers.
func machoArchitecture(cpu uint32) (architecture string, bits int) {
	bits = 32
	if cpu&cpuArchABI64 != 0 {
		bits = 64
	}
	switch macho.Cpu(cpu) {
	case macho.Cpu386:
		architecture = "386"
	case macho.CpuAmd64:
		architecture = "amd64"
	case macho.CpuArm:
		architecture = "arm"
	case macho.CpuArm64:
		architecture = "arm64"
	case macho.CpuPpc:
		architecture = "ppc"
	case macho.CpuPpc64:
		architecture = "ppc64"
	}
	return architecture, bits
}

// macho inspects a Mach-O file that is not universal.
func (in *inspector) macho(s *source) (*File, error) {
	m, err := readMachO(s)
	if err != nil {
		return nil, err
	}
	f := &File{Format: FormatMachO}
	f.Platform.Architecture, f.Bits = machoArchitecture(m.cpu)
	switch m.typ {
	case uint32(macho.TypeObj):
		f.Kind = KindObject
	case uint32(macho.TypeExec):
		f.Kind = KindExecutable
	case uint32(macho.TypeDylib), machoTypeFixedLib, machoTypeBundle, machoTypeDylibStub, machoTypeDylinker, machoTypeKext:
		f.Kind = KindShared
	case 4: // a core dump
		return nil, fmt.Errorf("%w: a core dump", ErrNotBinary)
	}
	if err := m.eachCommand(func(command uint32, b []byte) error { return m.command(command, b, f) }); err != nil {
		return nil, fmt.Errorf("read Mach-O load commands: %w", err)
	}
	if f.Platform.OS == "" {
		f.Platform.OS, f.assumedOS = "darwin", true
	}
	libraryRuntimes(f)
	if f.Kind != KindObject {
		return f, nil
	}
	err = in.machoSymbols(m, symbolPrefix, func(name []byte, symbol Symbol) error {
		in.evidence.add(bytes.TrimPrefix(name, []byte{'_'}), symbol.Defined)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read Mach-O symbols: %w", err)
	}
	return f, nil
}

// command takes what one load command says.
func (m *machoFile) command(command uint32, b []byte, f *File) (err error) {
	version := func(platform, minimum uint32) {
		p, known := machoPlatforms[platform]
		if !known || f.Platform.OS == "darwin" {
			return // of a library for macOS and Catalyst, what it says of macOS
		}
		f.Platform.OS, f.Env, f.OSVersion = p.os, p.env, machoVersion(minimum)
	}
	switch command {
	case lcBuildVersion:
		version(m.field(b, 8), m.field(b, 12))
	case lcVersionMinMacOS:
		version(1, m.field(b, 8))
	case lcVersionMinIOS:
		version(2, m.field(b, 8))
	case lcVersionMinTVOS:
		version(3, m.field(b, 8))
	case lcVersionMinWatchOS:
		version(4, m.field(b, 8))
	case lcIDDylib:
		f.Soname, err = m.text(b, 8)
	case uint32(macho.LoadCmdDylib), lcLoadWeakDylib, lcReexportDylib, lcLoadUpwardDylib, lcLazyLoadDylib:
		if len(f.Needed) == maxNeeded {
			return malformed("the needed libraries exceed the bound of %d", maxNeeded)
		}
		var name string
		name, err = m.text(b, 8)
		f.Needed = append(f.Needed, name)
	case uint32(macho.LoadCmdRpath):
		var dir string
		dir, err = m.text(b, 8)
		f.RPath = append(f.RPath, dir)
	}
	return err
}

// machoVersion prints a version of the form xxxx.yy.zz, the last part only where it is not 0.
func machoVersion(v uint32) string {
	s := fmt.Sprintf("%d.%d", v>>16, v>>8&0xff)
	if patch := v & 0xff; patch != 0 {
		s += fmt.Sprintf(".%d", patch)
	}
	return s
}

// machoSymbols calls visit for each external symbol, with at most limit bytes of its name.
func (in *inspector) machoSymbols(m *machoFile, limit int, visit symbolVisitor) error {
	var symtab []byte
	err := m.eachCommand(func(command uint32, b []byte) error {
		if macho.LoadCmd(command) == macho.LoadCmdSymtab && symtab == nil {
			symtab = b
		}
		return nil
	})
	if err != nil || symtab == nil {
		return err
	}
	table, err := m.s.sub(int64(m.field(symtab, 16)), int64(m.field(symtab, 20)))
	if err != nil {
		return err
	}
	names := &nameTable{s: table}
	if err := names.load(&in.names); err != nil {
		return err
	}
	width := 12
	if m.wide {
		width = 16
	}
	return m.s.records(int64(m.field(symtab, 8)), int64(m.field(symtab, 12)), width, &in.records, func(b []byte) error {
		typ, desc := b[4], m.order.Uint16(b[6:])
		if typ&nExternal == 0 || typ&nStab != 0 {
			return nil
		}
		name, err := names.prefix(int64(m.order.Uint32(b)), limit)
		if err != nil || len(name) == 0 {
			return err
		}
		value := uint64(m.order.Uint32(b[8:]))
		if m.wide {
			value = m.order.Uint64(b[8:])
		}
		// An undefined symbol with a value is a common one: the value is its size.
		defined := typ&nTypeMask != 0 || value != 0
		weak := !defined && desc&nWeakRef != 0 || defined && desc&nWeakDef != 0
		return visit(name, Symbol{Defined: defined, Weak: weak, Hidden: typ&nPrivate != 0})
	})
}
