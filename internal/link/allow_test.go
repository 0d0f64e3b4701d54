package link

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// asks gives what is made of a package that asks for flags: an error of the kind that names them, or nil.
func asks(t *testing.T, opts Options, set func(a *cps.Attributes)) error {
	t.Helper()
	var a cps.Attributes
	set(&a)
	p := interfaceOf(a)
	_, err := Link([]*Package{p}, []Request{{Package: p}}, opts)
	if refused := (*FlagError)(nil); err != nil && !errors.As(err, &refused) {
		t.Errorf("%+v: the error is none of a flag: %v", a, err)
	}
	_, _, cmakeErr := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Options: opts, Name: "X"})
	_, cpsErr := CPS(p, opts)
	if (err == nil) != (cmakeErr == nil) || (err == nil) != (cpsErr == nil) {
		t.Errorf("%+v: a shell is told %v, CMake %v, a reader of CPS %v", a, err, cmakeErr, cpsErr)
	}
	return err
}

// Lines of flags, each with its arguments behind blanks.
const (
	harmlessToCompile = `-pthread|-std=c11|-std=gnu++20|-DX|-DX=a-b|-DX="a;b(c)"|-DX=a-@b c|-I@prefix@/a b|-DX=@x|-D X=1|-UX|-U X|-I@prefix@/include|-I @prefix@|
-isystem @prefix@/x|-isystem@prefix@/x|-F@prefix@/x|-include @prefix@/include/x.h|-include @prefix@/x/y.hpp|-fPIC|-Wno-x|-Werror=format|-O|-O2|-Ofast|-msse4.2|-mavx|-march=native|
-fsanitize=address,undefined|-arch arm64|-mfpmath=sse|-flto=auto|-ffat-lto-objects|-fstack-protector-strong|-fcf-protection=full|-pipe|
-fwrapv|-ffunction-sections|-Wp,-D_FORTIFY_SOURCE=2|-ffile-prefix-map=/build/x=.|-mbranch-protection=standard`
	hostileToCompile = `-fplugin=x.so|-fplugin=@prefix@/x.so|-fplugin-arg-x-y=z|-B/x|-B @prefix@|-B@prefix@/bin|-wrapper gdb|-specs=x|--specs=x|
-specs x|@file|@prefix@|@prefix@/file|-I@file|-I @file|-D-x|-D @file|-D1=x|-DX(y)=z|-Wl,--plugin|-Wa,x|-Wp,-MD,x|-Xclang -load|-Xclang -fplugin=x|
-Xpreprocessor -include|-Xassembler x|-I|-include /etc/x|-include x.h|-include @prefix@/include/x.c|-include @prefix@/../x.h|-include@prefix@/include/x.h|-imacros x|x.so|x.c|@prefix@/lib/libz.a|-isystem -B|
-isystem /usr/include/evil|-isystem/usr/include/evil|-I/usr/include|-I.|-Ix|-I@prefix@/../x|-I@prefix@x|-I@prefix@/x/../../y|
-I@prefix@/..\x|-I\\server\x|-IC:/x|-F/x|-idirafter /x|-iquote /x|-iprefix x|-isysroot /x|--sysroot=/x|-fuse-ld=x|-o /x|-ox|-x c++|-x|-xc|
-save-temps|-MF /x|-MF/x|-dumpdir x|-v|-S|-E|-c|-T x|-O=x|-O/x|-W -B|-std=c11 -B|-fprofile-use=/x|-fprofile-generate|
-fdump-tree-all=/x|-fcompare-debug|-ffile-prefix-map=a b|-fdiagnostics-add-output=sarif:file=/x|-fmodules|-fmodule-map-file=x|-fmodule-mapper=|/evil|-DX=$(touch x)|
-DX=` + "`touch x`" + `|-I@prefix@/$(touch x)|-I@prefix@/` + "`x`" + `|-DX=1 -wrapper touch|-DX=1 @x|-DX=  -B|-I@prefix@/a -wrapper touch|-I@prefix@/a	-x|-isystem@prefix@/a @x|-I@prefix@/a,b|--param=x=y|-include-pch x|--config=x|--config x|-ivfsoverlay x|
-load x|-add-plugin x|-mllvm -load=x|-arch|-archx86_64|-cc1|-fsanitize-blacklist=/x|-stdlib=/x|-gsplit-dwarf=x|-wrapper,x`
	harmlessToLink = `-lm|-l m|-l:libz.a|-L@prefix@/lib|-L @prefix@/lib|-pthread|-framework Foo|-Wl,-rpath,@prefix@/lib|-Wl,-rpath=@prefix@/lib|
-Wl,-rpath-link,@prefix@/lib|-Wl,--as-needed|-Wl,-z,now|-Wl,-O1|-Wl,--hash-style=gnu|-Wl,-framework,Foo|@prefix@/lib/libz.a|-O2|
-Wl,-O1,--sort-common,--as-needed,-z,relro,-z,now|-Wl,-z,defs|-Wl,-z,nodlopen|-z nodlopen|-Wl,-Bsymbolic|-Wl,--gc-sections|-Wl,--build-id=sha1|-flto=auto|-s|-Wl,-rpath,@prefix@/a,-rpath,@prefix@/b|
-Wl,--whole-archive,-la,--no-whole-archive|-Wl,--start-group,@prefix@/lib/liba.a,-lb,--end-group|-Wl,-(,-la,-)|-(|-)|-z now|-Wl,-undefined,dynamic_lookup|
-Wl,--push-state,--as-needed,-la,--pop-state|-Xlinker -rpath=@prefix@/lib`
	hostileToLink = `-Wl,-rpath,@prefix@/x,--plugin,y|-Wl,-rpath,/x|-Wl,-rpath,$ORIGIN|-Wl,-rpath,.|-Wl,-rpath,@prefix@/..|-Wl,-rpath,@loader_path|-rpath /x|
-Wl,-rpath-link,/x|-Wl,-R,/x|-R/x|-L/x|-L.|-L|-Lx|-L@prefix@/../x|-Wl,-T,x|-Wl,--wrap=x|-fuse-ld=x|-fuse-ld=lld|-Xlinker -plugin|-Xlinker x|-lto_library|
-l to_library|-lto_libraryx|-l@x|-l../x|-l:../x|-l/x|-l:a:b|-la:b|-u main|-plugin x|-s x|-Wl,@x|-Wl,@prefix@|@x|@prefix@/x|-T x|-T@prefix@/x|-l|-l -plugin|
-Wl,--dynamic-linker=/x|-Wl,-dynamic-linker,/x|-Wl,-I/x|-Wl,-plugin,x|-Wl,-plugin=x|-Wl,--plugin-opt=x|-Wl,-load_hidden,x|-Bx|-B x|-o x|-o/x|
-Wl,-o,x|-Wl,--script=x|-Wl,-dT,x|-Wl,--version-script=x|-Wl,--just-symbols=x|-Wl,-Map=x|-Wl,-Map,x|-Wl,--dependency-file=x|-Wl,--out-implib=x|
-Wl,-framework,x,-plugin,y|-framework -Wl,x|-framework a/b|-Wl,--hash-style=gnu,-plugin,x|-Wl,-O1,-plugin,x|-Wl,--subsystem,x,-plugin,y|-Wl,--audit=x|
-Wl,--depaudit,x|-Wl,-soname,x|-Wl,-e,x|-Wl,-init,x|-Wl,-F,x|-Wl,-f,x|-Wl,--start-group,-plugin|-Wl,--push-state,@x|-Wl,-z,origin|
-Wl,--no-undefined,x|-Wl|-Wl,|-z x|-e x|-x c|libz.a|/x/libz.a|C:/x/z.lib|\x\z.lib|-Wa,x|-specs=x|-nostdlib|-shared|-static|-r|-wrapper x|
-weak_framework x|-weak_library x|-force_load x|-sectcreate a b|-dylib_file x:y|-O3 -fplugin=x|-F/x|@prefix@/lib,-plugin,@prefix@/x.so,/libz.a|
@prefix@/lib -wrapper touch/libz.a|-Wl,-rpath,@prefix@/x -B|-L@prefix@/x @y|@prefix@/lib/$(x)/libz.a|@prefix@/lib/libz.a -plugin|LINKER:-plugin,x,y.a|SHELL:-Wl,-plugin,x y.a|-Wl,-rpath,@prefix@/a:/x|-Wl,-rpath,@prefix@/a:|-Wl,-rpath,@prefix@/a::@prefix@/b|-Wl,-rpath-link=@prefix@/a:b|
-Wl,-O1,-z,now,-plugin,@prefix@/x.so|-Wl,--whole-archive,/x/liba.a|-Wl,--whole-archive,-l,x|-Wl,--as-needed,-la,-T,liba.a|-Wl,-la,@x|-Xlinker -T|
-Wl,--start-group,x.a|-Wl,-z,now,|-Wl,,-z,now|-Xlinker a,-plugin,b|-Wl,-T,@prefix@/libx.a|-Wl,--version-script,@prefix@/x.a|-mllvm x|-flto=jobserver x|-fsanitize=a b|/OUT:x`
	harmlessToMSVC = `/MD|-MDd|/EHsc|/std:c++17|/Zc:__cplusplus|/wd4996|/utf-8|/DX=1|-DX|/UX|/I@prefix@/include|/external:I@prefix@/include|/O2|/W4|-fPIC`
	hostileToMSVC  = `/link|-link|/FIx.h|-FIx.h|/Fox|-Fex|/Fdx|/Fpx|/Bx|/clang:-load|@x|/I/x|/I C:/x|/IC:\x|/I@prefix@/..\x|/Tcx|/analyze:pluginx.dll|/d1x|/Yux|/LDx|
/showIncludes|/P|/sourceDependencies:x|/wd@x|/Zc:@x|/DX=` + "`x`" + `|/openmp:x y|//MD|/-MD`
	harmlessToLinkMSVC = `/DEFAULTLIB:foo|/defaultlib:foo.lib|/NODEFAULTLIB|/nodefaultlib:libcmt|/LIBPATH:@prefix@/lib|/SUBSYSTEM:WINDOWS|-ignore:4099|/OPT:REF|-lm`
	hostileToLinkMSVC  = `/OUT:x.exe|-OUT:x.exe|-o x|/LIBPATH:/x|/LIBPATH:C:\x|/DEF:x|/MANIFESTINPUT:x|/STUB:x|/LTCG:x|@x|/DEFAULTLIB:@x|/DEFAULTLIB:..\x|/ENTRY:x|
/DLL|/PDB:x.lib|/OUT:x.lib|/IMPLIB:x.lib|/WINMD|/DELAYLOAD:x.dll|/INCLUDE:x|/link|/LIB|/TIME:x|/NATVIS:x|/ORDER:@x|/DEFAULTLIB:a b`
)

func TestPackagesMayOnlyAskForHarmlessFlags(t *testing.T) {
	compile := func(words []string) func(*cps.Attributes) {
		return func(a *cps.Attributes) { a.CompileFlags = cps.All(words...) }
	}
	link := func(words []string) func(*cps.Attributes) {
		return func(a *cps.Attributes) { a.LinkFlags = words }
	}
	libraries := func(words []string) func(*cps.Attributes) {
		return func(a *cps.Attributes) { a.LinkLibraries = words }
	}
	gcc, msvc := Options{OS: "linux"}, Options{OS: "windows", Env: "msvc"}
	for _, test := range []struct {
		where string
		opts  Options
		set   func([]string) func(*cps.Attributes)
		list  string
		ok    bool
	}{
		{"to the compiler", gcc, compile, harmlessToCompile, true},
		{"to the compiler", gcc, compile, hostileToCompile, false},
		{"to the linker", gcc, link, harmlessToLink, true},
		{"to the linker", gcc, link, hostileToLink, false},
		{"among libraries", gcc, libraries, harmlessToLink, true},
		{"to MSVC's compiler", msvc, compile, harmlessToMSVC, true},
		{"to MSVC's compiler", msvc, compile, hostileToMSVC + "|" + hostileToCompile, false},
		{"to MSVC's linker", msvc, link, harmlessToLinkMSVC, true},
		{"to MSVC's linker", msvc, link, hostileToLinkMSVC + "|" + hostileToLink, false},
		{"to gcc as to MSVC", gcc, compile, "/MD|/DX|-MD|-MDd|/utf-8", false},
		{"to ld as to MSVC's", gcc, link, "/DEFAULTLIB:foo|-NODEFAULTLIB", false},
	} {
		for flag := range strings.SplitSeq(strings.ReplaceAll(test.list, "\n", ""), "|") {
			for _, words := range slices.Compact([]string{flag, strings.Replace(flag, " ", "\x00", 1)}) {
				args := strings.Split(words, "\x00")
				if test.ok && strings.Contains(flag, " ") && (len(args) == 1) != (strings.HasPrefix(flag, "-DX") || strings.HasPrefix(flag, "-I@")) {
					continue // one argument with a blank in it, or two
				}
				err := asks(t, test.opts, test.set(args))
				if (err == nil) != test.ok {
					t.Errorf("%s %q: got %v", test.where, args, err)
				}
				if err == nil {
					continue
				}
				var refused *FlagError
				if errors.As(err, &refused); refused == nil {
					continue
				}
				advice := strings.Contains(err.Error(), "--allow-flag=") && strings.Contains(err.Error(), "[trust]")
				isFlag := strings.IndexAny(refused.Flag, "-/") == 0 || pkgconf.LibraryPath(refused.Flag)
				if refused.Package != "x" || advice != isFlag {
					t.Errorf("%s %q: the error does not help: %v", test.where, args, err)
				}
			}
		}
	}
}

func TestAFlagIsAllowedToTheLetter(t *testing.T) {
	for flag, others := range map[string][]string{
		"-fplugin=@prefix@/a.so":        {"-fplugin=@prefix@/b.so", "-fplugin=@prefix@/a.so.evil", "-fplugin=", "-fplugin"},
		"-Xclang -fcolor-diagnostics":   {"-Xclang -load", "-Xclang", "-fcolor-diagnosticsx"},
		"-imacros @prefix@/include/a.h": {"-imacros /etc/passwd", "-imacros"},
		"-Wl,--wrap=x":                  {"-Wl,--wrap=y", "-Wl,--wrap=x,-plugin,y"},
		"-I/opt/x":                      {"-I/opt/x/y", "-I/opt", "-I /opt/x"},
	} {
		set := func(flag string) func(*cps.Attributes) {
			return func(a *cps.Attributes) { a.CompileFlags = cps.All(strings.Split(flag, " ")...) }
		}
		for _, allow := range []string{"*", strings.SplitN(flag, " ", 2)[0], flag[:len(flag)-1], flag[:len(flag)-1] + "*", strings.ToUpper(flag), " " + flag} {
			if allow != flag && asks(t, Options{AllowFlags: []string{allow}}, set(flag)) == nil {
				t.Errorf("%q is allowed by %q", flag, allow)
			}
		}
		err := asks(t, Options{}, set(flag))
		var refused *FlagError
		if !errors.As(err, &refused) || refused.Flag != flag {
			t.Errorf("%q is refused with %v", flag, err)
		}
		allowed := Options{AllowFlags: []string{flag}}
		if err := asks(t, allowed, set(flag)); err != nil {
			t.Errorf("%q is not allowed: %v", flag, err)
		}
		for _, other := range others {
			if asks(t, allowed, set(other)) == nil {
				t.Errorf("with %q allowed, %q is too", flag, other)
			}
		}
	}
}

func TestAnErrorSaysHowAFlagIsAllowed(t *testing.T) {
	err := asks(t, Options{}, func(a *cps.Attributes) { a.CompileFlags = cps.All("-imacros", `@prefix@/it's "x".h`) })
	want := `link x: its component "x" asks for "-imacros @prefix@/it's \"x\".h", which is not on the list of harmless flags with paths in the package: ` +
		`if you trust the package, allow it with --allow-flag='-imacros @prefix@/it'\''s "x".h', or in ocipkg.toml with allow-flags = ["-imacros @prefix@/it's \"x\".h"] under [trust]`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAPieceOfAPathIsNotCalledAFlag(t *testing.T) {
	err := asks(t, Options{}, func(a *cps.Attributes) { a.CompileFlags = cps.All("Doe/inst/include") })
	want := `link x: its component "x" has "Doe/inst/include" among its flags, which is neither a flag nor a library; a path with a blank in it that is not quoted comes apart: have its author correct that`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestWhatBreaksALineCannotBeAllowed(t *testing.T) {
	for _, flag := range []string{"-DX=1\ncargo::rustc-env=X=1", "-DX=\r", "-DX=\x00", "-DX=\x1b[2J", "-fplugin=\x7f", "-fplugin=\u009b2J"} {
		err := asks(t, Options{AllowFlags: []string{flag}}, func(a *cps.Attributes) { a.CompileFlags = cps.All(flag) })
		if err == nil || strings.Contains(err.Error(), "--allow-flag") || control(err.Error()) {
			t.Errorf("%q: got %v", flag, err)
		}
	}
}

func TestAnErrorShowsNothingThatATerminalWouldHide(t *testing.T) {
	err := asks(t, Options{}, func(a *cps.Attributes) { a.CompileFlags = cps.All("-fplugin=\u202ea.so") })
	if err == nil || strings.Contains(err.Error(), "\u202e") {
		t.Errorf("got %v", err)
	}
}

func TestPathsOutsideOfThePackageAreAllowedOneByOne(t *testing.T) {
	for allow, set := range map[string]func(*cps.Attributes){
		"-I/opt/include":  func(a *cps.Attributes) { a.Includes = cps.All("/opt/include") },
		"/opt/libx.a":     func(a *cps.Attributes) { a.LinkLibraries = []string{"/opt/libx.a"} },
		"C:/x/x.lib":      func(a *cps.Attributes) { a.LinkLibraries = []string{"C:/x/x.lib"} },
		"@prefix@/../x.a": func(a *cps.Attributes) { a.LinkLibraries = []string{"@prefix@/../x.a"} },
		"../x.a":          func(a *cps.Attributes) { a.LinkLibraries = []string{"../x.a"} },
	} {
		if asks(t, Options{}, set) == nil || asks(t, Options{AllowFlags: []string{allow + "x"}}, set) == nil {
			t.Errorf("%s is taken", allow)
		}
		if err := asks(t, Options{AllowFlags: []string{allow}}, set); err != nil {
			t.Errorf("%s is allowed, and refused: %v", allow, err)
		}
	}
}

func TestADocumentForOthersHasOnlyWhatWasChecked(t *testing.T) {
	document := `{"name": "z", "cps_version": "0.13.0", "cps_path": "@prefix@", "x_load": "evil.cmake", "requires": {"y": {"hints": ["@prefix@/evil"], "x_more": 1}},
		"components": {"z": {"type": "archive", "location": "@prefix@/lib/libz.a", "x_run": "evil", "requires": ["y"],
		"configurations": {"debug": {"link_flags": ["FLAG"], "x_run": "evil"}}}}}`
	read := func(flag string) *Package {
		p := new(cps.Package)
		if err := p.UnmarshalJSON([]byte(strings.ReplaceAll(document, "FLAG", flag))); err != nil {
			t.Fatal(err)
		}
		return &Package{Name: "z", Root: "/s/z", CPS: p}
	}
	text, err := CPS(read("-pthread"), Options{})
	if err != nil || strings.Contains(string(text), "evil") || strings.Contains(string(text), "x_") || !strings.Contains(string(text), "-pthread") {
		t.Errorf("got %s, %v", text, err)
	}
	// It is in no configuration that a link here would choose.
	if text, err := CPS(read("-fplugin=x"), Options{}); err == nil {
		t.Errorf("got %s", text)
	}
}
