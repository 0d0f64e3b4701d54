package binfmt

import "testing"

func TestOnlyProgramsAndScriptsAreExecutable(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		want    bool
	}{
		"script":           {[]byte("#!/bin/sh\necho\n"), true},
		"empty script":     {[]byte("#!"), true},
		"comment":          {[]byte("# a comment\n"), false},
		"empty file":       {nil, false},
		"one byte":         {[]byte("#"), false},
		"shared library":   {fixture(t, "elf-amd64-musl-shared"), false},
		"object":           {fixture(t, "elf-amd64-nopic"), false},
		"dylib":            {fixture(t, "macho-amd64-dylib"), false},
		"DLL":              {fixture(t, "pe-gnu-dll"), false},
		"archive":          {gnuArchive(arFile{"a.o", fixture(t, "elf-amd64-nopic")}), false},
		"fat archive":      {fixture(t, "macho-universal-archive"), false},
		"broken ELF":       {[]byte("\x7fELF\x02\x01\x01"), false},
		"Mach-O program":   {withByte(fixture(t, "macho-amd64-dylib"), 12, 2), true},
		"Windows program":  {withByte(fixture(t, "pe-gnu-dll"), 0x80+4+19, 0x00), true}, // without IMAGE_FILE_DLL
		"universal binary": {universal(withByte(fixture(t, "macho-amd64-dylib"), 12, 2)), true},
	} {
		got, err := IsExecutable(newReader(c.content))
		if err != nil || got != c.want {
			t.Errorf("%s: executable = %t, %v, want %t", name, got, err, c.want)
		}
	}
}

// withByte gives a copy with one byte changed.
func withByte(b []byte, at int, value byte) []byte {
	b = append([]byte(nil), b...)
	b[at] = value
	return b
}

// universal makes a universal file of one slice for amd64.
func universal(slice []byte) []byte {
	size := []byte{byte(len(slice) >> 24), byte(len(slice) >> 16), byte(len(slice) >> 8), byte(len(slice))}
	b := []byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1, 1, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 28}
	b = append(append(b, size...), 0, 0, 0, 0)
	return append(b, slice...)
}
