package hostile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// entry is one of an archive. It is written block by block, since the writers of
// archives refuse much of what is written here.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
type entry struct {
	name, link string
	kind       byte // of ustar
	body       string
	mode       int64
	size       string // of the header, in place of that of the body
	pax        []string
	gnuName    string // in an entry before it, as GNU tar writes long ones
	gnuLink    string
	raw        func(block []byte) // changes the header's bytes
}

func file(name, body string) entry {
	return entry{name: name, kind: '0', body: body, mode: 0o644}
}
func symlink(name, to string) entry {
	return entry{name: name, kind: '2', link: to, mode: 0o777}
}
func hardlink(name, to string) entry {
	return entry{name: name, kind: '1', link: to, mode: 0o644}
}
func dir(name string) entry { return entry{name: name + "/", kind: '5', mode: 0o755} }
func special(name string, kind byte) entry {
	return entry{name: name, kind: kind, mode: 0o644}
}

// paxFile is a file with records of POSIX's extension, each KEY=VALUE.
func paxFile(name, body string, records ...string) entry {
	e := file(name, body)
	e.pax = records
	return e
}

// tarball gives entries as an archive.
func tarball(entries ...entry) []byte {
	var out bytes.Buffer
	for _, e := range entries {
		e.write(&out)
	}
	out.Write(make([]byte, 1024))
	return out.Bytes()
}

func (e entry) write(out *bytes.Buffer) {
	if len(e.name) > 100 && e.raw == nil {
		e.pax = append(e.pax, "path="+e.name)
	}
	if len(e.link) > 100 {
		e.pax = append(e.pax, "linkpath="+e.link)
	}
	if len(e.pax) > 0 {
		var records string
		for _, record := range e.pax {
			records += paxRecord(record)
		}
		entry{name: "PaxHeaders/x", kind: 'x', body: records, mode: 0o644}.write(out)
	}
	if e.gnuLink != "" {
		entry{name: "././@LongLink", kind: 'K', body: e.gnuLink + "\x00", raw: gnuMagic}.write(out)
	}
	if e.gnuName != "" {
		entry{name: "././@LongLink", kind: 'L', body: e.gnuName + "\x00", raw: gnuMagic}.write(out)
	}
	block := make([]byte, 512)
	copy(block[0:100], e.name)
	copy(block[100:], fmt.Sprintf("%07o\x00", e.mode))
	copy(block[108:], "0000000\x000000000\x00")
	copy(block[124:], fmt.Sprintf("%011o\x00", len(e.body)))
	if e.size != "" {
		copy(block[124:136], e.size)
	}
	copy(block[136:], "00000000000\x00")
	block[156] = e.kind
	copy(block[157:257], e.link)
	copy(block[257:], "ustar\x0000")
	if e.raw != nil {
		e.raw(block)
	}
	copy(block[148:], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	out.Write(block)
	out.WriteString(e.body)
	out.Write(make([]byte, -len(e.body)&511))
}

// gnuMagic marks a header as one of GNU tar.
func gnuMagic(block []byte) { copy(block[257:], "ustar  \x00") }

// paxRecord writes a record with its own length before it.
func paxRecord(record string) string {
	n := len(record) + 3
	for {
		text := fmt.Sprintf("%d %s\n", n, record)
		if len(text) == n {
			return text
		}
		n = len(text)
	}
}

// oldSparse is a sparse file as GNU tar has it in its own format: one that says
// that it has size bytes, and none of them here. With more, the header says that
// another block of the map follows, and so does that, without end.
func oldSparse(name string, size byte, more bool) entry {
	e := special(name, 'S')
	if more {
		block := make([]byte, 512)
		copy(block, strings.Repeat("00000000000\x00", 42)) // 21 ranges, all of them empty
		block[504] = 1
		e.body = strings.Repeat(string(block), 64)
		e.size = "00000000000"
	}
	e.raw = func(block []byte) {
		gnuMagic(block)
		copy(block[386:], "00000000000\x0000000000000\x00")
		if more {
			block[482] = 1
		}
		copy(block[483:495], []byte{0x80, 0, 0, 0, 0, 0, size, 0, 0, 0, 0, 0}) // in base 256
	}
	return e
}

// gzipped and zstdCompressed compress as everybody does.
func gzipped(raw []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(raw)
	w.Close()
	return out.Bytes()
}

func zstdCompressed(raw []byte, options ...zstd.EOption) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, append([]zstd.EOption{zstd.WithEncoderConcurrency(1)}, options...)...)
	if err != nil {
		panic(err)
	}
	w.Write(raw)
	w.Flush() // so that it is not known to be short, and has a window
	w.Close()
	return out.Bytes()
}

// skippable is a frame of zstd that says nothing.
func skippable(body string) []byte {
	return slices.Concat([]byte{0x50, 0x2a, 0x4d, 0x18, byte(len(body)), 0, 0, 0}, []byte(body))
}

// Bombs are images that unpack to a file of size bytes, a multiple of 1 MiB, all
// of them zero, by how they are compressed. They take little memory to make.
func Bombs(size int64) map[string]*Content {
	return map[string]*Content{
		"gzip": imageOf(ocispec.MediaTypeImageLayerGzip, bomb(size, gzipped))(Place{}),
		"zstd": imageOf(ocispec.MediaTypeImageLayerZstd, bomb(size, func(raw []byte) []byte { return zstdCompressed(raw) }))(Place{}),
	}
}

func bomb(size int64, compress func([]byte) []byte) []byte {
	const part = 1 << 20
	header := entry{name: "zeros", kind: '0', mode: 0o644, pax: []string{fmt.Sprintf("size=%d", size)}}
	var start bytes.Buffer
	header.write(&start)
	layer := compress(start.Bytes())
	return slices.Concat(layer, bytes.Repeat(compress(make([]byte, part)), int(size/part)), compress(make([]byte, 1024)))
}
