package pkgconf

import (
	"slices"
	"strings"
	"testing"
)

func TestEachOptionOfTheLinkerGetsAnArgument(t *testing.T) {
	for flags, want := range map[string]string{
		"-lz -Wl,-O1,--sort-common,--as-needed,-z,relro,-z,now": "-lz|-Wl,-O1|-Wl,--sort-common|-Wl,--as-needed|-Wl,-z,relro|-Wl,-z,now",
		"-Wl,--whole-archive,-la,--no-whole-archive":            "-Wl,--whole-archive|-la|-Wl,--no-whole-archive",
		"-Wl,--start-group,/x/liba.a,/x/libb.so.1,--end-group":  "-Wl,--start-group|/x/liba.a|/x/libb.so.1|-Wl,--end-group",
		"-( -la -lb -)":                           "-Wl,--start-group|-la|-lb|-Wl,--end-group",
		"-Wl,-(,-la,-)":                           "-Wl,--start-group|-la|-Wl,--end-group",
		"-Wl,-rpath -Wl,/x":                       "-Wl,-rpath,/x",
		"-Wl,-rpath,/x,-rpath=/y":                 "-Wl,-rpath,/x|-Wl,-rpath=/y",
		"-Xlinker -z -Xlinker now -Xlinker a,b":   "-Wl,-z,now|-Xlinker|a,b",
		"-z now -z,x":                             "-Wl,-z,now|-z,x",
		"-Wl,-T,x.a,-lto_library,libx.so":         "-Wl,-T,x.a|-Wl,-lto_library,libx.so",
		"-Wl,-soname,x.so -Wl,--wrap,malloc -u x": "-Wl,-soname,x.so|-Wl,--wrap,malloc|-u|x",
		"-Wl,--as-needed,x -Wl, -Wl,-O1,":         "-Wl,--as-needed|-Wl,x|-Wl,|-Wl,-O1,",
		"-Xlinker":                                "-Xlinker",
		"-Wl,-framework,Foo -framework Bar":       "-Wl,-framework,Foo|-framework|Bar",
	} {
		if got := LinkerFlags(strings.Fields(flags)); !slices.Equal(got, strings.Split(want, "|")) {
			t.Errorf("%s: got %q, want %s", flags, got, want)
		}
	}
}

func TestFlagsOfTheProducersOwnBuildAreToldFromOthers(t *testing.T) {
	for flag := range strings.FieldsSeq(`-O -O2 -g -ggdb3 -gdwarf-5 -Wall -Wno-x -Werror=format-security -pipe -s -flto -flto=auto -flto=4 -ffat-lto-objects
		-fstack-protector-strong -fstack-clash-protection -fcf-protection -fcf-protection=full -mbranch-protection=standard -fwrapv -no-pie
		-ffile-prefix-map=/build/a=. -Wp,-D_FORTIFY_SOURCE=2 -Wl,-O1 -Wl,--gc-sections -Wl,--build-id=sha1 -Wl,-z,defs -Wl,-z,nodlopen -Wl,-z,text -Wl,-Bsymbolic -Wl,--hash-style=gnu
		-Wl,--no-undefined -Wl,--enable-new-dtags -Wl,-z,max-page-size=0x1000 -ffunction-sections -fasynchronous-unwind-tables`) {
		if !Harmless([]string{flag}) {
			t.Errorf("%s is taken for one that a consumer needs", flag)
		}
	}
	for flag := range strings.SplitSeq(`-pthread|-lz|-L/x|-fopenmp|-march=native|-msse2|-mfpmath=sse|-std=c99|-D_FORTIFY_SOURCE=2|-DX|-fPIC|-fexceptions|-rdynamic|
-Wl,--as-needed|-Wl,--whole-archive|-Wl,-z,now|-Wl,-z,relro|-Wl,--export-dynamic|-Wl,-undefined,dynamic_lookup|-Wl,--exclude-libs,ALL|-fuse-ld=lld|
-specs=x|-fplugin=x|-Wl,-T,x|-Wl|-Wl,|-Wa,x|-Wp,x|-W,x|-O/x|-fsanitize=address|-ffast-math|-flto=a b|-flto=a,b|-fdiagnostics-x=$(y)|
-ffile-prefix-map=é=.|-Wl,-O1,-T,x|-gcc-toolchain|-static|-mno-red-zone|-s x|-z now`, "|") {
		if args := strings.Split(strings.TrimSpace(flag), " "); Harmless(args) {
			t.Errorf("%q is taken for one of the producer's own build", args)
		}
	}
}
