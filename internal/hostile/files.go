package hostile

import (
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// paths are names that lead elsewhere, or nowhere.
func paths() []Case {
	deep := strings.Repeat("d/", 290) + "f"
	long := strings.Repeat("n", 256)
	return []Case{
		{Name: "GHSA-g5v4-5x39-vwhx: a path in an archive that leads out", Make: image(file("../outside/canary", "dead")), Refused: says("../outside/canary", "leads out")},
		{Name: "CVE-2020-4053: a path that leads out behind a directory", Make: image(dir("plugin"), file("plugin/../../outside/canary", "dead")), Refused: says("leads out")},
		{Name: "CVE-2026-35204: a name for a file that leads out", Make: titled("../outside/canary"), Refused: says("../outside/canary", "leads out")},
		{Name: "CVE-2026-35206: a name that is the directory itself", Make: titled("."), Refused: says("path is empty")},
		{Name: "CVE-2024-25620: a name that leads out behind a directory", Make: titled("lib/../../outside/canary"), Refused: says("leads out")},
		{Name: "a name for a file that is absolute", Make: titled("/etc/passwd"), Refused: says("absolute")},
		{Name: "a listed path that leads out", Make: honest(file("../outside/canary", "dead")), Refused: says("../outside/canary", "leads out")},
		{Name: "a listed path that leads out behind a directory", Make: honest(file("a/../../outside/canary", "dead")), Refused: says("leads out")},
		{Name: "a path in a layer that leads out, and is not listed", Make: packed(list(file("a", "1")), file("a", "1"), file("../outside/canary", "dead")), Refused: says("../outside/canary", "does not list")},
		{Name: "an absolute path, which is one in the package", Make: outside(func(path string) []entry { return []entry{file(path+"/canary", "of the package")} }), Holds: says("Outside/canary=of the package")},
		{Name: "an absolute path that goes up, which is one in the package", Make: image(file("/../../a", "1")), Holds: says("a=1")},
		{Name: "a listed path that is absolute", Make: honest(file("/etc/passwd", "dead")), Refused: says("/etc/passwd", "absolute")},
		{Name: "a listed path that is not clean", Make: honest(file("a//b", "1")), Refused: says("not clean")},
		{Name: "a drive letter, which is a name on Linux", Make: image(file("C:/Windows/x", "1")), Holds: says("C:/Windows/x=1")},
		{Name: "a drive letter on Windows", Make: imageFor("windows", ocispec.MediaTypeImageLayer, tarball(file("C:/Windows/x", "1"))), Refused: says("C:/Windows/x", "on Windows")},
		{Name: "a listed drive letter of no system", Make: packedFor("", list(file("C:/x", "1")), zstdCompressed(tarball(file("C:/x", "1")))), Refused: says("C:/x", "on Windows")},
		{Name: "a backslash, which is a letter on Linux", Make: image(file(`..\outside\canary`, "1")), Holds: says(`..\outside\canary=1`)},
		{Name: "a backslash on Windows", Make: imageFor("windows", ocispec.MediaTypeImageLayer, tarball(file(`..\outside\canary`, "1"))), Refused: says("path on Windows")},
		{Name: "an empty name", Make: image(file("", "1"), file("a", "1")), Refused: says("path is empty")},
		{Name: "an empty name that is listed", Make: honest(file("", "1")), Refused: says("has no path")},
		{Name: "an empty name that is not listed", Make: packed(list(file("a", "1")), file("a", "1"), file("", "hidden")), Refused: says("does not list")},
		{Name: "a link in place of the root", Make: image(symlink(".", "../outside")), Refused: says("path is empty")},
		{Name: "a name that is too long", Make: image(file(long, "1")), Refused: says("longer than 255 bytes")},
		{Name: "a listed name that is too long", Make: honest(file(long, "1")), Refused: says("longer than 255 bytes")},
		{Name: "a path that is too long", Make: image(file(strings.Repeat("nnn/", 1100)+"n", "1")), Refused: says("4401 bytes", "--limit path=")},
		{Name: "a path of a megabyte", Make: image(file(strings.Repeat("nnn/", 200_000)+"n", "1")), Refused: says("--limit path=")},
		{Name: "a path that is too deep", Make: image(file(deep, "1")), Refused: says("290 directories", "--limit depth=")},
		{Name: "a path that is deeper than allowed here", Make: image(file("1/2/3/4/f", "1")), Limit: "depth=3", Refused: says("4 directories", "--limit depth=")},
		{Name: "a path that is as deep as is allowed here", Make: image(file("1/2/3/4/f", "1")), Limit: "depth=4", Holds: says("1/2/3/4/f=1")},
		{Name: "a listed path that is too deep", Make: honest(file(deep, "1")), Refused: says("290 directories", "--limit depth=")},
		{Name: "a listed path that is longer than allowed here", Make: honest(file("1/2/3/4/f", "1")), Limit: "path=8", Refused: says("9 bytes", "--limit path=")},
		{Name: "a NUL in a header, where the name ends", Make: image(file("a\x00/../../outside/canary", "1")), Holds: says("a=1")},
		{Name: "a NUL in a longer name", Make: image(paxFile("a", "1", "path=a\x00/../../outside/canary")), Refused: says("invalid tar header")},
		{Name: "a NUL in a listed path", Make: honest(file("a\x00b", "1")), Refused: says("NUL")},
		{Name: "a name that is not UTF-8", Make: image(file("a\xff", "1")), Refused: says("not UTF-8")},
	}
}

// titled gives a file as ORAS pushes it, with its name in an annotation.
func titled(name string) func(Place) *Content {
	return func(Place) *Content {
		c := newContent()
		layer := c.add("application/octet-stream", []byte("dead"))
		layer.Annotations = map[string]string{ocispec.AnnotationTitle: name}
		c.manifest(c.add(ocispec.MediaTypeEmptyJSON, []byte("{}")), layer)
		return c
	}
}

// links are those that lead out, or are in the way.
func links() []Case {
	return []Case{
		{Name: "a link out of the package", Make: image(symlink("l", "../outside"), file("l/canary", "dead")), Refused: says(`"l"`, "out of the tree")},
		{Name: "a listed link out of the package", Make: honest(symlink("lib/l", "../../outside")), Refused: says("lib/l", "out of the tree")},
		{Name: "a link in a layer to elsewhere than listed", Make: packed(list(symlink("l", "a")), symlink("l", "../outside")), Refused: says(`as a link to "../outside"`)},
		{Name: "an absolute link, which is one in the package", Make: outside(func(path string) []entry { return []entry{symlink("l", path), file("l/canary", "of the package")} }), Holds: says("Outside/canary=of the package", "l->Outside")},
		{Name: "a listed link that is absolute", Make: honest(symlink("l", "/etc")), Refused: says("absolute")},
		{Name: "a link with a drive letter", Make: image(symlink("l", `C:\Windows`)), Refused: says("Windows")},
		{Name: "a link with backslashes", Make: image(symlink("l", `..\outside`)), Refused: says("Windows")},
		{Name: "a link to nothing", Make: image(symlink("l", "")), Refused: says("a link to nothing")},
		{Name: "CVE-2026-85731 GHSA-m37j-52j7-pjw7: a chain of links that leads out", Make: image(symlink("d/up", ".."), symlink("out", "d/up/../outside"), file("out/canary", "dead")), Refused: says(`"out"`, "goes up after it went down")},
		{Name: "CVE-2026-85731 GHSA-m37j-52j7-pjw7: a listed chain of links that leads out", Make: honest(symlink("d/up", ".."), symlink("out", "d/up/../outside")), Refused: says(`"out"`, "goes up after it went down")},
		{Name: "CVE-2026-85731 GHSA-m37j-52j7-pjw7: a link that another moves", Make: image(symlink("a", "b"), dir("b"), symlink("a/l", "../../outside")), Refused: says("out of the tree")},
		{Name: "a chain of links that stays", Make: image(symlink("a", "b"), symlink("b", "c/d"), dir("c/d"), file("a/x", "1")), Holds: says("a->b", "b->c/d", "c/d/x=1")},
		{Name: "links in a circle", Make: image(symlink("a", "b"), symlink("b", "a"), file("a/x", "1")), Refused: says("more than 40 links")},
		{Name: "a file below a listed link", Make: honest(symlink("d", "e"), file("d/x", "1")), Refused: says("d/x", "not a directory")},
		{Name: "a link replaced by a directory", Make: image(dir("e"), symlink("d", "e"), dir("d"), file("d/x", "1")), Holds: says("d/x=1", "e/")},
		{Name: "a directory replaced by a link", Make: image(file("d/old", "1"), dir("e"), symlink("d", "e"), file("d/x", "2")), Holds: says("d->e", "e/x=2")},
		{Name: "a directory replaced by a link out", Make: image(file("d/old", "1"), symlink("d", "../outside"), file("d/canary", "dead")), Refused: says("out of the tree")},
		{Name: "a link in one layer, a file through it in the next", Make: imageOf(ocispec.MediaTypeImageLayer, tarball(symlink("d", "/e")), tarball(file("d/x", "1"))), Holds: says("d->e", "e/x=1")},
		{Name: "a hard link to what is outside", Make: image(hardlink("h", "../outside/canary")), Refused: says("hard link", "../outside/canary")},
		{Name: "a hard link to an absolute path", Make: outside(func(path string) []entry { return []entry{hardlink("h", path+"/canary")} }), Refused: says("hard link", "no such file")},
		{Name: "CVE-2026-50163 GHSA-fxhp-mv3v-67qp: a hard link to a file of the working directory", Make: image(hardlink("h", "of-the-user")), Refused: says("hard link", "of-the-user", "no such file")},
		{Name: "CVE-2026-50163 GHSA-fxhp-mv3v-67qp: a hard link below a directory", Make: image(dir("d"), hardlink("d/h", "../of-the-user")), Refused: says("hard link", "leads out")},
		{Name: "a hard link through a link out", Make: image(symlink("l", "../outside"), hardlink("h", "l/canary")), Refused: says("out of the tree")},
		{Name: "a hard link to a link", Make: image(file("a", "1"), symlink("l", "a"), hardlink("m", "l")), Holds: says("a=1", "l->a", "m->a")},
		{Name: "a hard link to a link, which leads out from there", Make: image(symlink("a/b/l", "../../c"), hardlink("m", "a/b/l")), Refused: says("out of the tree")},
		{Name: "a hard link to itself", Make: image(file("a", "1"), hardlink("a", "a")), Holds: says("a=1")},
		{Name: "a hard link in place of its own directory", Make: image(file("d/a", "1"), hardlink("d", "d/a")), Refused: says("takes the place")},
		{Name: "a hard link in a layer of our own", Make: packed(list(file("a", "1"), file("b", "1")), file("a", "1"), hardlink("b", "a")), Refused: says(`"b"`, "hard link")},
		{Name: "a whiteout of the package itself", Make: image(file("d/.wh...", "")), Refused: says("names nothing")},
	}
}

// kinds are entries that no package has.
func kinds() []Case {
	setuid, sticky := file("su", "1"), file("st", "1")
	setuid.mode, sticky.mode = 0o6755, 0o1644
	plain := setuid
	plain.mode = 0o755
	sparse := []string{"GNU.sparse.size=1099511627776", "GNU.sparse.name=sparse"}
	millions := append([]string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.numblocks=2000000000", "GNU.sparse.map=0,0"}, sparse...)
	return []Case{
		{Name: "a character device", Make: image(special("dev", '3')), Refused: says(`"dev"`, "device")},
		{Name: "a block device", Make: image(special("dev", '4')), Refused: says(`"dev"`, "device")},
		{Name: "a FIFO", Make: image(special("pipe", '6')), Refused: says(`"pipe"`, "FIFO")},
		{Name: "a socket", Make: image(special("socket", 's')), Refused: says(`"socket"`, "unknown type")},
		{Name: "a device that is listed as a file", Make: packed(list(file("dev", "")), special("dev", '3')), Refused: says(`"dev"`, "device")},
		{Name: "a FIFO that is listed as a file", Make: packed(list(file("pipe", "")), special("pipe", '6')), Refused: says(`"pipe"`, "FIFO")},
		{Name: "setuid, setgid and sticky bits, which are dropped", Make: image(setuid, sticky), Holds: says("st=1", "su=1")},
		{Name: "listed setuid and setgid bits", Make: honest(setuid), Refused: says(`"su"`, "6755")},
		{Name: "a listed sticky bit", Make: honest(sticky), Refused: says(`"st"`, "1644")},
		{Name: "setuid and setgid bits that are not listed", Make: packed(list(plain), setuid), Refused: says(`"su"`, "6755", "0755")},
		{Name: "a sparse file of GNU's", Make: image(oldSparse("sparse", 1, false)), Refused: says("sparse")},
		{Name: "a sparse file of GNU's in POSIX's format 0.0", Make: image(paxFile("sparse", "", append([]string{"GNU.sparse.numblocks=1", "GNU.sparse.offset=0", "GNU.sparse.numbytes=0"}, sparse...)...)), Refused: says("sparse")},
		{Name: "a sparse file of GNU's in POSIX's format 0.1", Make: image(paxFile("sparse", "", append([]string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,0"}, sparse...)...)), Refused: says("sparse")},
		{Name: "a sparse file of GNU's in POSIX's format 1.0", Make: image(paxFile("sparse", "1\n0\n0\n"+strings.Repeat("\x00", 506), "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=1099511627776", "GNU.sparse.name=sparse")), Refused: says("sparse")},
		{Name: "CVE-2025-58183: a sparse map of GNU's that goes on", Make: image(oldSparse("sparse", 1, true)), Refused: says("sparse")},
		{Name: "CVE-2025-58183: a sparse map of two thousand million ranges", Make: image(paxFile("sparse", "", millions...)), Refused: says("read the layer")},
		{Name: "CVE-2025-58183: a sparse map that fills a layer", Make: imageOf(ocispec.MediaTypeImageLayerGzip, gzipped(tarball(paxFile("sparse", "8000000\n"+strings.Repeat("0\n0\n", 2_000_000), "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=1", "GNU.sparse.name=sparse")))), Refused: says("read the layer")},
		{Name: "a sparse file in a layer of our own", Make: packed(list(file("sparse", "")), oldSparse("sparse", 1, false)), Refused: says("sparse")},
	}
}

// names are those that only some systems and disks keep apart.
func names() []Case {
	twins := []entry{file("xt_MARK.h", "1"), file("xt_mark.h", "2")}
	device := []entry{file("include/aux.h", "1")}
	composed := []entry{file("caf\u00e9", "1"), file("cafe\u0301", "2")}
	ours := func(os string, entries []entry) func(Place) *Content {
		return packedFor(os, list(entries...), zstdCompressed(tarball(entries...)))
	}
	foreign := func(os string, entries []entry) func(Place) *Content {
		return imageFor(os, ocispec.MediaTypeImageLayer, tarball(entries...))
	}
	return []Case{
		{Name: "twins in a package for Linux", Make: ours("linux", twins), Holds: says("xt_MARK.h=1", "xt_mark.h=2")},
		{Name: "twins in a package for macOS", Make: ours("darwin", twins), Refused: says("xt_MARK.h", "xt_mark.h", "take for the same")},
		{Name: "twins in a package for Windows", Make: ours("windows", twins), Refused: says("xt_MARK.h", "xt_mark.h", "take for the same")},
		{Name: "twins in a package for no system", Make: ours("", twins), Refused: says("xt_MARK.h", "xt_mark.h", "take for the same")},
		{Name: "twins in an image for Linux", Make: foreign("linux", twins), Holds: says("xt_MARK.h=1", "xt_mark.h=2")},
		{Name: "twins in an image for macOS", Make: foreign("darwin", twins), Refused: says("take for the same")},
		{Name: "one letter composed in two ways, for macOS", Make: ours("darwin", composed), Refused: says("take for the same")},
		{Name: "one letter composed in two ways, for Linux", Make: ours("linux", composed), Holds: says("cafe\u0301=2", "caf\u00e9=1")},
		{Name: "a device of Windows in a package for Linux", Make: ours("linux", device), Holds: says("include/aux.h=1")},
		{Name: "a device of Windows in a package for Windows", Make: ours("windows", device), Refused: says("include/aux.h", "device on Windows")},
		{Name: "a device of Windows in a package for no system", Make: ours("", device), Refused: says("include/aux.h", "device on Windows")},
		{Name: "a device of Windows in an image for Windows", Make: foreign("windows", device), Refused: says("include/aux.h", "device on Windows")},
		{Name: "a stream of Windows in a package for no system", Make: ours("", []entry{file("a.h:hidden", "1")}), Refused: says("a.h:hidden", "stream")},
		{Name: "a dot at the end in a package for Windows", Make: ours("windows", []entry{file("a.h.", "1")}), Refused: says("a.h.", "dot or a space")},
		{Name: "a space at the end in a package for no system", Make: ours("", []entry{file("a.h ", "1")}), Refused: says("a.h ", "dot or a space")},
	}
}
