package binfmt

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestEveryVariantOfArchivesIsRead(t *testing.T) {
	object := fixture(t, "elf-aarch64-linux-gnu")
	files := []arFile{{"short.o", object}, {"a member with a long name.o", object}, {"odd.txt", []byte("odd")}}
	for variant, b := range map[string][]byte{"GNU": gnuArchive(files...), "BSD": bsdArchive(files...), "COFF": coffArchive(files...)} {
		f := inspect(t, b)
		if f.Kind != KindArchive || f.Format != FormatELF || f.Members != 2 || f.Platform.String() != "linux/arm64" {
			t.Errorf("%s: %s of %d %s objects for %s", variant, f.Kind, f.Members, f.Format, f.Platform)
		}
		var members []string
		for s, err := range Symbols(newReader(b)) {
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, s.Member)
		}
		if want := []string{files[0].name, files[1].name}; !slices.Equal(slices.Compact(members), want) {
			t.Errorf("%s: symbols of members %q, want %q", variant, members, want)
		}
	}
}

func TestArchiveOfSeveralPlatformsNamesTwoMembers(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"elf-amd64-nopic", "elf-aarch64-linux-gnu", `"first.o" is elf for linux/amd64, but "second.o" is elf for linux/arm64`},
		{"elf-amd64-nopic", "macho-amd64", `"first.o" is elf for linux/amd64, but "second.o" is macho for darwin/amd64`},
		{"elf-x86_64-freebsd13", "elf-x86_64-solaris", `"first.o" is elf for freebsd/amd64, but "second.o" is elf for solaris/amd64`},
		{"macho-ios", "macho-ios-simulator", `"first.o" is macho for ios/arm64, but "second.o" is macho for ios/arm64 (simulator)`},
	} {
		first, second := fixture(t, c.first), fixture(t, c.second)
		f := inspect(t, gnuArchive(arFile{"first.o", first}, arFile{"second.o", second}, arFile{"third.o", first}))
		if f.Conflict == nil || !strings.HasSuffix(f.Conflict.Error(), c.want) {
			t.Errorf("%s and %s: conflict %v, want %s", c.first, c.second, f.Conflict, c.want)
		}
		if f.Platform != (Platform{}) || f.Platforms() != nil {
			t.Errorf("%s and %s: an archive with a conflict is for %s", c.first, c.second, f.Platform)
		}
	}
}

func TestMembersThatLinkTogetherDoNotConflict(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"elf-arm-armv5te", "elf-arm-armv7-a", "linux/arm/v7"},
		{"elf-arm-armv7-a", "elf-arm-armv5te", "linux/arm/v7"},
		{"elf-amd64-nopic", "elf-x86_64-freebsd13", "freebsd/amd64"}, // assembled without a mark
		{"elf-x86_64-freebsd13", "elf-amd64-nopic", "freebsd/amd64"},
		{"bitcode", "macho-arm64", "darwin/arm64"},
		{"coff-msvc", "bitcode-wrapped", "windows/amd64"},
	} {
		f := inspect(t, gnuArchive(arFile{"first.o", fixture(t, c.first)}, arFile{"second.o", fixture(t, c.second)}))
		if f.Conflict != nil || f.Platform.String() != c.want {
			t.Errorf("%s and %s: for %s, conflict %v, want %s", c.first, c.second, f.Platform, f.Conflict, c.want)
		}
	}
}

func TestMinimumVersionOfAnArchiveIsItsMembersHighest(t *testing.T) {
	older := append([]byte(nil), fixture(t, "macho-arm64")...)
	newer := append([]byte(nil), older...)
	i := strings.Index(string(newer), "\x32\x00\x00\x00\x18\x00\x00\x00\x01\x00\x00\x00\x00\x00\x0c\x00")
	if i < 0 {
		t.Fatal("the fixture has no LC_BUILD_VERSION for macOS 12.0")
	}
	newer[i+12], newer[i+13], newer[i+14] = 1, 2, 13
	if got := inspect(t, gnuArchive(arFile{"a.o", newer}, arFile{"b.o", older})).OSVersion; got != "13.2.1" {
		t.Errorf("minimum version %q, want 13.2.1", got)
	}
}

func TestThinArchiveIsNotFollowed(t *testing.T) {
	b := []byte(thinMagic + arHeader("/", 4) + "\x00\x00\x00\x00")
	b = appendMember(b, "//", []byte("/nowhere/a.o/\ndir/b.o/\n"))
	b = append(b, arHeader("/0", 1<<20)+arHeader("/14", 1<<20)...)
	f := inspect(t, b)
	if f.Kind != KindThinArchive || f.Members != 2 || f.Platforms() != nil {
		t.Errorf("%s of %d members for %v", f.Kind, f.Members, f.Platforms())
	}
	if got := listSymbols(t, b); got != nil {
		t.Errorf("symbols %q of files that it does not hold", got)
	}
}

func TestArchiveWithoutObjectsIsNoBinary(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty":          []byte(arMagic),
		"index only":     gnuArchive(),
		"text":           gnuArchive(arFile{"readme.txt", []byte("hello\n")}),
		"Debian package": gnuArchive(arFile{"debian-binary", []byte("2.0\n")}, arFile{"data.tar.xz", []byte("\xfd7zXZ\x00")}),
		"an archive":     gnuArchive(arFile{"inner.a", gnuArchive(arFile{"a.o", fixture(t, "elf-amd64-nopic")})}),
		"empty member":   gnuArchive(arFile{"empty.o", nil}),
	} {
		if _, err := Inspect(newReader(b)); !errors.Is(err, ErrNotBinary) {
			t.Errorf("%s: %v, want ErrNotBinary", name, err)
		}
	}
}

func TestBrokenMemberIsNamed(t *testing.T) {
	object := fixture(t, "elf-aarch64-linux-gnu")
	_, err := Inspect(newReader(gnuArchive(arFile{"good.o", object}, arFile{"cut short.o", object[:200]})))
	if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), `"cut short.o"`) {
		t.Errorf("error %v, want ErrMalformed that names the member", err)
	}
}
