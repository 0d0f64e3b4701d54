package detection

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// workshop is a directory in which files are made that no Debian package has.
type workshop struct {
	t    testing.TB
	dir  string
	musl string // the directory of musl's library
}

// sources need no header of any system.
var sources = map[string]string{
	// What may be missing, and what other files of the library see only.
	"add.c": "#ifndef _WIN32\n__attribute__((weak)) int may(int);\n" +
		"__attribute__((visibility(\"hidden\"))) int own(int x) { return may ? may(x) : x; }\n#endif\n" +
		"int counter;\nint add(int a, int b) { return a + b + counter++; }\n",
	"use.c":  "int add(int, int);\n__attribute__((weak)) int offset(int x) { return x; }\nint use(int x) { return add(offset(x), 1); }\n",
	"main.c": "int main(void) { return 0; }\nvoid _start(void) { main(); }\n",
	// Where Windows' delayed imports begin.
	"delay.c": "void *__delayLoadHelper2(void *descriptor, void **address) { return 0; }\nint use(int);\nint late(void) { return use(1); }\n",
}

// make makes the files, and lists them.
func (w workshop) make() []string {
	w.t.Helper()
	for name, text := range sources {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for _, part := range []func(){w.elf, w.windows, w.apple} {
		all.Go(part)
	}
	all.Wait()
	if w.t.Failed() {
		w.t.FailNow()
	}
	return w.files()
}

// run runs a program of the tools with arguments that have no blanks in them. A
// failure does not end the test: it is not the test's goroutine that makes files.
func (w workshop) run(name string, line string, arguments ...any) {
	w.t.Helper()
	path, err := find(name)
	if err != nil {
		w.t.Error(err)
		return
	}
	cmd := exec.Command(path, strings.Fields(fmt.Sprintf(line, arguments...))...)
	cmd.Dir = w.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Errorf("%s: %v\n%s", cmd, err, out)
	}
}

// files lists what was made.
func (w workshop) files() []string {
	w.t.Helper()
	var all []string
	err := filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && filepath.Ext(path) != ".c" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// elf makes objects and linked files for processors of both byte orders and
// widths, and what a system's compiler makes for itself.
func (w workshop) elf() {
	for _, target := range []string{
		"x86_64-linux-gnu", "x86_64-linux-gnux32", "i386-linux-gnu", "aarch64-linux-gnu", "aarch64_be-linux-gnu",
		"armv5te-linux-gnueabi", "armv7a-linux-gnueabihf", "armv7a-linux-androideabi21", "riscv64-linux-gnu", "riscv32-linux-gnu",
		"powerpc-linux-gnu", "powerpc64-linux-gnu", "powerpc64le-linux-gnu", "s390x-linux-gnu", "sparcv9-linux-gnu",
		"mips-linux-gnu", "mipsel-linux-gnu", "mips64-linux-gnuabi64", "mips64el-linux-gnuabin32",
		"x86_64-unknown-freebsd13", "x86_64-unknown-netbsd", "x86_64-unknown-openbsd", "x86_64-linux-musl",
	} {
		w.run("clang", "-target %s -integrated-as -fPIC -c add.c -o %[1]s-add.o", target)
	}
	for emulation, target := range map[string]string{
		"elf_x86_64": "x86_64-linux-gnu", "aarch64elf": "aarch64-linux-gnu", "elf64lriscv": "riscv64-linux-gnu", "elf32btsmip": "mips-linux-gnu",
	} {
		w.run("clang", "-target %s -fPIC -c use.c -o %[1]s-use.o", target)
		w.run("clang", "-target %s -fPIC -c main.c -o %[1]s-main.o", target)
		w.run("ld.lld", "-m %s -shared -soname libadd.so.1 %s-add.o -o %[2]s-libadd.so", emulation, target)
		w.run("ld.lld", "-m %s -shared -soname libuse.so.2 --enable-new-dtags -rpath $ORIGIN:/opt/lib %s-use.o %[2]s-libadd.so -o %[2]s-libuse.so", emulation, target)
		w.run("ld.lld", "-m %s -pie -e main --disable-new-dtags -rpath /opt/lib -dynamic-linker /lib/ld.so %s-main.o %[2]s-libadd.so -o %[2]s-pie", emulation, target)
		w.run("ld.lld", "-m %s -e main %s-main.o -o %[2]s-static", emulation, target)
	}
	w.run("cc", "-nostartfiles -static main.c -o here-static")
	w.run("cc", "-nostartfiles -static-pie main.c -o here-static-pie")
	w.run("cc", "-nostartfiles -no-pie main.c -o here-no-pie")
	w.run("cc", "-nostartfiles -pie main.c -o here-pie")
	w.run("cc", "-nostdlib -shared -fPIC use.c -Wl,--no-as-needed -L%s -l:libc.so -o here-musl.so", w.musl)
	w.run("cc", "-nostdlib -pie main.c -Wl,--no-as-needed -L%s -l:libc.so -Wl,-dynamic-linker,/lib/ld-musl-here.so.1 -o here-musl", w.musl)
	w.run("clang", "-target x86_64-linux-gnu -march=x86-64-v3 -c add.c -o x86_64-v3.o")
	w.run("cc", "-flto -fno-fat-lto-objects -c add.c -o slim-lto.o")
	w.run("cc", "-flto -ffat-lto-objects -c add.c -o fat-lto.o")
	w.run("clang", "-flto -c add.c -o bitcode.o")
	w.archives()
}

// foreignArchive is of a variant that GNU's tools do not read.
const foreignArchive = "bsd.a"

// archives makes archives of every variant.
func (w workshop) archives() {
	objects := "x86_64-linux-gnu-add.o x86_64-linux-gnu-use.o"
	w.run("llvm-ar", "--format=gnu rcs gnu.a %s", objects)
	w.run("llvm-ar", "--format=bsd rcs "+foreignArchive+" %s", objects)
	w.run("llvm-ar", "--format=gnu rcsT thin.a %s", objects)
	w.run("ar", "rcsT thin-gnu.a %s", objects)
	w.run("ar", "rcS unindexed.a %s", objects)
	w.run("llvm-ar", "--format=gnu rcs mixed.a x86_64-linux-gnu-add.o aarch64-linux-gnu-add.o")
}

// mingw makes what GNU's tools make for Windows. LLVM's stand in for them.
func (w workshop) mingw() {
	w.run("clang", "-target x86_64-w64-windows-gnu -c add.c -o add-mingw.o")
	w.run("clang", "-target x86_64-w64-windows-gnu -c use.c -o use-mingw.o")
	w.run("ld.lld", "-m i386pep -shared -Xlink=-noentry --out-implib libadd.dll.a add-mingw.o -o add-mingw.dll")
	w.run("ld.lld", "-m i386pep -shared -Xlink=-noentry use-mingw.o libadd.dll.a -o use-mingw.dll")
}

// windows makes what Microsoft's tools make.
func (w workshop) windows() {
	for machine, target := range map[string]string{
		"x64": "x86_64-pc-windows-msvc", "x86": "i686-pc-windows-msvc", "arm64": "aarch64-pc-windows-msvc", "arm": "thumbv7-pc-windows-msvc",
	} {
		for _, source := range []string{"add", "use"} {
			w.run("clang", "-target %s -c %s.c -o %[2]s-%[3]s.obj", target, source, machine)
		}
		w.run("lld-link", "/dll /noentry /machine:%s /export:add /export:counter,DATA add-%[1]s.obj /out:add-%[1]s.dll /implib:add-%[1]s.lib", machine)
		w.run("lld-link", "/dll /noentry /machine:%s /export:use use-%[1]s.obj add-%[1]s.lib /out:use-%[1]s.dll /implib:use-%[1]s.lib", machine)
		w.run("llvm-lib", "/out:static-%s.lib add-%[1]s.obj use-%[1]s.obj", machine)
	}
	w.run("clang", "-target x86_64-pc-windows-msvc -c main.c -o main-x64.obj")
	w.run("clang", "-target x86_64-pc-windows-msvc -c delay.c -o delay-x64.obj")
	w.run("lld-link", "/machine:x64 /subsystem:console /entry:main main-x64.obj /out:main-x64.exe")
	w.mingw()
	w.run("lld-link", "/dll /machine:x64 /noentry /export:late delay-x64.obj use-x64.lib /delayload:use-x64.dll /out:delay-x64.dll")
	w.run("lld-link", "/dll /machine:x64 /noentry /subsystem:efi_application /export:add add-x64.obj /out:add-x64.efi")
}

// apple makes what Apple's tools make.
func (w workshop) apple() {
	for architecture, target := range map[string]string{
		"arm64": "arm64-apple-macos12", "x86_64": "x86_64-apple-macos10.13",
	} {
		for _, source := range []string{"add", "use", "main"} {
			w.run("clang", "-target %s -c %s.c -o apple-%s-%s.o", target, source, source, architecture)
		}
		w.run("llvm-ar", "--format=darwin rcs apple-%s.a apple-add-%[1]s.o apple-use-%[1]s.o", architecture)
	}
	for _, target := range []string{
		"arm64-apple-ios15", "arm64-apple-ios15-simulator", "x86_64-apple-ios14-macabi", "arm64-apple-tvos15", "arm64_32-apple-watchos8", "armv7-apple-ios9",
	} {
		w.run("clang", "-target %s -c add.c -o apple-%[1]s.o", target)
	}
	for architecture, version := range map[string]string{"arm64": "12.0", "x86_64": "10.13"} {
		at := fmt.Sprintf("-arch %s -undefined dynamic_lookup -platform_version macos %s %[2]s", architecture, version)
		w.run("ld64.lld", "%s -dylib -install_name @rpath/libadd.dylib apple-add-%s.o -o libadd-%[2]s.dylib", at, architecture)
		w.run("ld64.lld", "%s -dylib -install_name @rpath/libuse.dylib -rpath @loader_path -rpath /opt/lib apple-use-%s.o libadd-%[2]s.dylib -o libuse-%[2]s.dylib", at, architecture)
		w.run("ld64.lld", "%s -bundle apple-add-%s.o -o add-%[2]s.bundle", at, architecture)
		w.run("ld64.lld", "%s -e _main apple-main-%s.o libadd-%[2]s.dylib -o apple-main-%[2]s", at, architecture)
	}
	for _, parts := range []string{"apple-add-%s.o", "apple-%s.a", "libadd-%s.dylib", "libuse-%s.dylib", "apple-main-%s"} {
		name := strings.NewReplacer("%s", "fat").Replace(parts)
		w.run("llvm-lipo", "-create "+parts+" "+parts+" -output "+name, "x86_64", "arm64")
	}
}
