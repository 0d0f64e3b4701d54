package binfmt

import (
	"bytes"
	"encoding/binary"
)

// Tags of the attributes that "aeabi" defines for ARM.
// See https://github.com/ARM-software/abi-aa/blob/main/addenda32/addenda32.rst.
const (
	armTagFile          = 1
	armTagCPURawName    = 4
	armTagCPUName       = 5
	armTagCPUArch       = 6
	armTagCompatibility = 32
)

// attributes reads the build attributes of ARM for the version of the architecture.
func (e *elfFile) attributes(f *File) error {
	if f.Platform.Architecture != "arm" && f.Platform.Architecture != "armbe" {
		return nil
	}
	section := e.find(shtARMAttribute)
	if section == nil || section.size > maxNote {
		return nil
	}
	b, err := e.s.bytes(int64(section.off), int64(section.size), maxNote)
	if err != nil {
		return err
	}
	if arch, ok := armCPUArch(b, e.order); ok {
		f.Platform.Variant = armVariant(arch)
	}
	return nil
}

// armVariant gives the OCI variant for a value of Tag_CPU_arch. Those before v5 have none.
func armVariant(arch uint64) string {
	switch {
	case arch < 3:
		return ""
	case arch <= 5: // v5T, v5TE, v5TEJ
		return "v5"
	case arch <= 9, arch == 11, arch == 12: // v6, v6KZ, v6T2, v6K; v6-M, v6S-M
		return "v6"
	case arch == 10, arch == 13: // v7; v7E-M
		return "v7"
	case arch <= 21: // v8-A, -R, -M and their extensions
		return "v8"
	}
	return "v9"
}

// armCPUArch finds Tag_CPU_arch among the attributes of the whole file.
func armCPUArch(b []byte, order binary.ByteOrder) (arch uint64, ok bool) {
	if len(b) == 0 || b[0] != 'A' {
		return 0, false
	}
	for b = b[1:]; len(b) >= 4; {
		vendor, rest, ok := lengthPrefixed(b, 0, order)
		if !ok {
			return 0, false
		}
		b = rest
		attributes, isARM := bytes.CutPrefix(vendor, []byte("aeabi\x00"))
		if !isARM {
			continue
		}
		for len(attributes) >= 5 {
			scope := attributes[0]
			group, rest, ok := lengthPrefixed(attributes, 1, order)
			if !ok {
				return 0, false
			}
			attributes = rest
			if scope == armTagFile {
				return armTag(group)
			}
		}
	}
	return 0, false
}

// lengthPrefixed cuts off a group whose length, of all of it, follows skip bytes.
func lengthPrefixed(b []byte, skip int, order binary.ByteOrder) (group, rest []byte, ok bool) {
	size := uint64(order.Uint32(b[skip:]))
	if size < uint64(skip)+4 || size > uint64(len(b)) {
		return nil, nil, false
	}
	return b[skip+4 : size], b[size:], true
}

// armTag finds Tag_CPU_arch in a list of tags: numbers, or strings where the tag says so.
func armTag(b []byte) (arch uint64, ok bool) {
	number := func() (n uint64, ok bool) {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return 0, false
		}
		b = b[size:]
		return n, true
	}
	for len(b) > 0 {
		tag, ok := number()
		if !ok {
			return 0, false
		}
		isText := tag == armTagCPURawName || tag == armTagCPUName || tag == armTagCompatibility || tag > armTagCompatibility && tag%2 == 1
		if !isText || tag == armTagCompatibility {
			value, ok := number()
			if !ok || tag == armTagCPUArch {
				return value, ok
			}
		}
		if isText {
			_, b, _ = bytes.Cut(b, []byte{0})
		}
	}
	return 0, false
}
