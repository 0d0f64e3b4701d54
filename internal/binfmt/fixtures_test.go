package binfmt

import (
	"slices"
	"testing"
)

func TestPlatformOfObjectsOfEveryFormat(t *testing.T) {
	for _, c := range []struct {
		file, platform string
		bits           int
	}{
		{"elf-amd64-nopic", "linux/amd64", 64},
		{"elf-amd64-v3", "linux/amd64/v3", 64},
		{"elf-x86_64-linux-gnux32", "linux/amd64p32", 32},
		{"elf-i386-linux-gnu", "linux/386", 32},
		{"elf-aarch64-linux-gnu", "linux/arm64", 64},
		{"elf-arm-armv4t", "linux/arm", 32},
		{"elf-arm-armv5te", "linux/arm/v5", 32},
		{"elf-arm-armv6", "linux/arm/v6", 32},
		{"elf-arm-armv7-a", "linux/arm/v7", 32},
		{"elf-arm-armv8-a", "linux/arm/v8", 32},
		{"elf-riscv64-linux-gnu", "linux/riscv64", 64},
		{"elf-powerpc64le-linux-gnu", "linux/ppc64le", 64},
		{"elf-powerpc64-linux-gnu", "linux/ppc64", 64},
		{"elf-s390x-linux-gnu", "linux/s390x", 64},
		{"elf-mips-linux-gnu", "linux/mips", 32},
		{"elf-mips64el-linux-gnuabi64", "linux/mips64le", 64},
		{"elf-x86_64-freebsd13", "freebsd/amd64", 64},
		{"elf-x86_64-solaris", "solaris/amd64", 64},
		{"macho-arm64", "darwin/arm64", 64},
		{"macho-amd64", "darwin/amd64", 64},
		{"macho-ios", "ios/arm64", 64},
		{"coff-msvc", "windows/amd64", 64},
		{"coff-386", "windows/386", 32},
		{"coff-gnu", "windows/amd64", 64},
		{"coff-gnu-big", "windows/amd64", 64},
	} {
		f := inspect(t, fixture(t, c.file))
		if f.Platform.String() != c.platform || f.Bits != c.bits || f.Kind != KindObject {
			t.Errorf("%s: %s for %s, %d bits, want an object for %s, %d bits", c.file, f.Kind, f.Platform, f.Bits, c.platform, c.bits)
		}
	}
}

func TestEnvironmentIsToldOnlyWhereProven(t *testing.T) {
	for file, want := range map[string]string{
		"coff-msvc":           "msvc",
		"coff-386":            "",
		"coff-gnu":            "gnu",
		"coff-gnu-big":        "gnu",
		"import-gnu":          "gnu",
		"import-short":        "", // LLVM's tools make these for both
		"pe-gnu-dll":          "gnu",
		"pe-lld-dll":          "",
		"macho-ios":           "",
		"macho-ios-simulator": "simulator",
		"macho-macabi":        "macabi",
	} {
		if got := inspect(t, fixture(t, file)).Env; got != want {
			t.Errorf("%s: environment %q, want %q", file, got, want)
		}
	}
}

func TestCodeThatIsOnlyIntermediateRepresentationIsSlim(t *testing.T) {
	for file, want := range map[string]bool{
		"elf-amd64-slim-lto": true,
		"elf-amd64-fat-lto":  false,
		"elf-amd64-nopic":    false,
		"coff-gnu-slim-lto":  true,
		"coff-gnu":           false,
		"bitcode":            true,
		"bitcode-wrapped":    true,
	} {
		b := fixture(t, file)
		if got := inspect(t, b).SlimLTO; got != want {
			t.Errorf("%s: slim = %t, want %t", file, got, want)
		}
		mixed := gnuArchive(arFile{"code.o", fixture(t, "elf-amd64-v3")}, arFile{"this.o", b})
		if f, err := Inspect(newReader(mixed)); err == nil && f.Conflict == nil && f.SlimLTO != want {
			t.Errorf("%s in an archive: slim = %t, want %t", file, f.SlimLTO, want)
		}
	}
	if got := inspect(t, fixture(t, "bitcode-wrapped")).Platform.Architecture; got != "amd64" {
		t.Errorf("wrapped bitcode is for %q, want amd64", got)
	}
}

func TestAbsoluteAddressesInCodeProveThatItIsNotPositionIndependent(t *testing.T) {
	for file, want := range map[string]bool{"elf-amd64-nopic": true, "elf-amd64-fat-lto": false, "elf-aarch64-linux-gnu": false} {
		if got := inspect(t, fixture(t, file)).NonPIC; got != want {
			t.Errorf("%s: NonPIC = %t, want %t", file, got, want)
		}
	}
	archive := gnuArchive(arFile{"v3.o", fixture(t, "elf-amd64-fat-lto")}, arFile{"nopic.o", fixture(t, "elf-amd64-nopic")})
	if !inspect(t, archive).NonPIC {
		t.Error("an archive is not position-independent when one member is not")
	}
}

func TestMuslSharedLibraryHasNoFloor(t *testing.T) {
	f := inspect(t, fixture(t, "elf-amd64-musl-shared"))
	if f.Kind != KindShared || f.Libc != Musl || f.LibcVersion != "" || !slices.Equal(f.Needed, []string{"libc.so"}) {
		t.Errorf("got %+v", f)
	}
}

func TestMachODylibTellsInstallNameRPathAndMinimumVersion(t *testing.T) {
	f := inspect(t, fixture(t, "macho-amd64-dylib"))
	if f.Kind != KindShared || f.Soname != "@rpath/libadd.dylib" || f.OSVersion != "11.0" || !slices.Equal(f.RPath, []string{"@loader_path"}) {
		t.Errorf("got %+v", f)
	}
	if got := inspect(t, fixture(t, "macho-amd64")).OSVersion; got != "10.13" {
		t.Errorf("minimum version %q, want 10.13 of LC_VERSION_MIN_MACOSX", got)
	}
}

func TestMachOObjectTellsLibcxx(t *testing.T) {
	f := inspect(t, fixture(t, "macho-arm64-cxx"))
	if !f.CXX || f.CXXRuntime != Libcxx {
		t.Errorf("C++ = %t, runtime %q, want %q", f.CXX, f.CXXRuntime, Libcxx)
	}
}

func TestUniversalArchiveTellsEachSlice(t *testing.T) {
	f := inspect(t, fixture(t, "macho-universal-archive"))
	want := []Platform{{OS: "darwin", Architecture: "amd64"}, {OS: "darwin", Architecture: "arm64"}}
	if f.Kind != KindArchive || f.Format != FormatMachO || !slices.Equal(f.Platforms(), want) || f.Platform != (Platform{}) {
		t.Errorf("%s of %s for %v (%s), want an archive for %v", f.Kind, f.Format, f.Platforms(), f.Platform, want)
	}
	if f.Slices[0].OSVersion != "10.13" || f.Slices[1].OSVersion != "12.0" {
		t.Errorf("minimum versions %q and %q", f.Slices[0].OSVersion, f.Slices[1].OSVersion)
	}
}

func TestImportLibraryTellsItsDLL(t *testing.T) {
	for file, dll := range map[string]string{"import-gnu": "add.dll", "import-short": "use.dll"} {
		f := inspect(t, fixture(t, file))
		if f.Kind != KindImportLibrary || f.Soname != dll || f.Format != FormatCOFF || f.Platform.String() != "windows/amd64" {
			t.Errorf("%s: %s of %q for %s", file, f.Kind, f.Soname, f.Platform)
		}
	}
	mixed := gnuArchive(arFile{"code.obj", fixture(t, "coff-gnu")}, arFile{"import.obj", shortImportObject("f", "f.dll")})
	if f := inspect(t, mixed); f.Kind != KindArchive || f.Soname != "" {
		t.Errorf("an archive with code and imports is %s of %q, want an archive", f.Kind, f.Soname)
	}
}

func TestDLLTellsItsNameAndImports(t *testing.T) {
	f := inspect(t, fixture(t, "pe-gnu-dll"))
	if f.Kind != KindShared || f.Format != FormatPE || f.Soname != "add.dll" {
		t.Errorf("got %+v", f)
	}
	f = inspect(t, fixture(t, "pe-gnu-dll-needing"))
	if !slices.Equal(f.Needed, []string{"add.dll"}) || f.Soname != "needing.dll" {
		t.Errorf("needs %q, is %q", f.Needed, f.Soname)
	}
}

func TestSymbolsOfEveryFormat(t *testing.T) {
	for file, want := range map[string][]string{
		"elf-amd64-nopic":         {"add", "at", "counter", "table"},
		"elf-aarch64-linux-gnu":   {"use", "U add"},
		"elf-amd64-musl-shared":   {"use", "U add"},
		"macho-amd64":             {"_use", "U _add"},
		"macho-amd64-dylib":       {"_add", "_at", "_counter", "_table"},
		"macho-universal-archive": {"_use", "U _add", "_add", "_at", "_counter", "_table"},
		"coff-msvc":               {"use", "U add"},
		"coff-386":                {"_add", "_at", "_counter", "_table"},
		"coff-gnu-big":            {"add", "at", "counter", "table"},
		"pe-gnu-dll":              {"add", "at", "counter", "table"},
		"pe-gnu-dll-needing":      {"use", "U add"},
		"import-short":            {"__imp_use", "use"},
		"bitcode":                 nil,
	} {
		got := listSymbols(t, fixture(t, file))
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("%s: no %q among %q", file, name, got)
			}
		}
		if want == nil && got != nil {
			t.Errorf("%s: %q, want none", file, got)
		}
	}
}
