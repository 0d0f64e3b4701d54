package dependencies

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// writeTop writes a project that prints, by each build system, what the function
// of the library top gives; Go by its name in the registry, others by its alias.
func writeTop(b *builder, name string) {
	b.WriteFile("go.mod", "module example.com/app\n\ngo 1.24\n", 0o644)
	b.WriteFile("main.go", "package main\n\nimport \"example.com/app/top\"\n\nfunc main() { println(top.Top()) }\n", 0o644)
	b.WriteFile("top/top.go", "package top\n\n/*\n#cgo pkg-config: "+name+"\n#include <top.h>\n*/\nimport \"C\"\n\nfunc Top() int { return int(C.top()) }\n", 0o644)
	b.WriteFile("c/main.c", "#include <stdio.h>\n#include <top.h>\n\nint main(void) {\n  printf(\"%d\\n\", top());\n  return 0;\n}\n", 0o644)
	b.WriteFile("CMakeLists.txt", "cmake_minimum_required(VERSION 3.16)\nproject(app C)\nfind_package(top REQUIRED)\nadd_executable(app c/main.c)\ntarget_link_libraries(app PRIVATE top::top)\n", 0o644)
	b.WriteFile("meson.build", "project('app', 'c')\nexecutable('app', 'c/main.c', dependencies: dependency('top', static: true))\n", 0o644)
	b.WriteFile("rust/Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[build-dependencies]\nocipkg = { path = \"../../ocipkg\" }\n", 0o644)
	b.WriteFile("rust/build.rs", "fn main() {\n    ocipkg::link_package(\"top\").unwrap();\n}\n", 0o644)
	b.WriteFile("rust/src/main.rs", "extern \"C\" {\n    fn top() -> i32;\n}\n\nfn main() {\n    println!(\"{}\", unsafe { top() });\n}\n", 0o644)
}

// prints checks what a program prints.
func (b *builder) prints(program string, want int) {
	b.t.Helper()
	r := b.Run(filepath.Join(b.Dir, program)).OK()
	if got := r.Stdout + r.Stderr; got != fmt.Sprintln(want) {
		b.t.Errorf("%s prints %q, want %d", program, got, want)
	}
}

// cmake, cargo, meson and golang build the project's program as it was built
// before, and check what it prints.
func (b *builder) cmake(want int) {
	b.t.Helper()
	b.Run("cmake", "--build", "build").OK()
	b.prints("build/app", want)
}

func (b *builder) cargo(want int) {
	b.t.Helper()
	b.Run("cargo", "build", "--manifest-path", "rust/Cargo.toml", "--target-dir", "target").OK()
	b.prints("target/debug/app", want)
}

func (b *builder) meson(want int) {
	b.t.Helper()
	b.Run("meson", "compile", "-C", "meson").OK()
	b.prints("meson/app", want)
}

func (b *builder) golang(want int) {
	b.t.Helper()
	b.Run("go", "build", "-o", "app", ".").OK()
	b.prints("app", want)
}

func TestATagThatMovesUnderALockMovesNothingUntilItIsUpdated(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	base := made{name: registry.Host + "/acme/base:1", value: 1}
	top := made{name: registry.Host + "/acme/top:1", value: 100, requires: []string{base.name}}
	baseBefore, topBefore := base.publish(t), top.publish(t)
	b := newProject(t)
	writeTop(b, top.name)
	b.Run("ocipkg", "add", top.name).OK()
	b.Run("ocipkg", "pin", "./...").OK()
	if got := read(t, b.Session, "top/top.go"); !strings.Contains(got, top.name+"@"+topBefore+"\n") {
		t.Errorf("pinned, Go's source is\n%s", got)
	}
	b.Run("sh", "-c", "cmake -S . -B build "+provider).OK()
	b.Run("meson", "setup", "meson").OK()
	all := func(want int) {
		t.Helper()
		b.cmake(want)
		b.cargo(want)
		b.meson(want)
		b.golang(want)
	}
	all(101)

	base.value, top.value = 2, 200
	baseAfter, topAfter := base.publish(t), top.publish(t)
	lock := read(t, b.Session, "ocipkg.lock")
	for _, moved := range []struct{ name, before, after string }{{base.name, baseBefore, baseAfter}, {top.name, topBefore, topAfter}, {"top", topBefore, topAfter}} {
		r := b.Run("ocipkg", "get", moved.name)
		if got := r.Digest(); got != moved.before {
			t.Errorf("get %s followed: %s", moved.name, r)
		}
		r.Says("has moved: ocipkg.lock has it as "+moved.before+", which is what is used, and it is "+moved.after+" now", "ocipkg update")
	}
	all(101)
	b.Run("rm", "-rf", "build").OK()
	b.Run("sh", "-c", "cmake -S . -B build "+provider).OK()
	b.cmake(101)
	b.Env = append(b.Env, "CGO_CPPFLAGS=-DASK") // Go asks anew
	b.golang(101)

	changes := fmt.Sprintf("~ %s %s → %s\n~ %s %s → %s\n", base.name, baseBefore, baseAfter, top.name, topBefore, topAfter)
	r := b.Run("ocipkg", "update", "--check").Exit(stale)
	if r.Stdout != changes {
		t.Errorf("update --check says\n%s\nand not\n%s", r, changes)
	}
	r.Says("update: 2 names stand for something else than the lock has, the first of them " + base.name + ", which is " + baseAfter + " now; run: ocipkg update")
	if got := read(t, b.Session, "ocipkg.lock"); got != lock {
		t.Errorf("update --check changed the lock:\n%s", got)
	}

	// What is only required moves alone.
	if got := b.Run("ocipkg", "update", base.name).OK().Stdout; got != fmt.Sprintf("~ %s %s → %s\n", base.name, baseBefore, baseAfter) {
		t.Errorf("update of one says %q", got)
	}
	b.cmake(102)
	b.cargo(102)

	if got := b.Run("ocipkg", "update").OK().Stdout; got != fmt.Sprintf("~ %s %s → %s\n", top.name, topBefore, topAfter) {
		t.Errorf("update says %q", got)
	}
	b.Run("ocipkg", "update", "--check").OK()
	b.cmake(202)
	b.cargo(202)
	b.Run("meson", "configure", "meson", "--clearcache").OK()
	b.Run("meson", "setup", "meson", "--reconfigure").OK()
	b.meson(202)
	if got := b.Run("ocipkg", "pin", "--update", "./...").OK().Stdout; !strings.Contains(got, top.name+"@"+topAfter) {
		t.Errorf("pin --update says %q", got)
	}
	b.golang(202)
}

func TestALockThatIsMadeLaterReachesWhatWasBuiltWithoutOne(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	top := made{name: registry.Host + "/acme/top:1", value: 1}
	top.publish(t)
	b := newProject(t)
	writeTop(b, top.name)
	b.WriteFile("ocipkg.toml", "[dependencies]\ntop = \""+top.name+"\"\n", 0o644)
	b.Run("sh", "-c", "cmake -S . -B build "+provider).OK()
	b.cmake(1)
	b.cargo(1)
	top.value = 2
	top.publish(t)
	b.Run("ocipkg", "lock").OK()
	b.cmake(2)
	b.cargo(2)

	b.Run("rm", "ocipkg.lock").OK()
	b.Env = append(b.Env, "OCIPKG_LOCKED=1")
	for _, command := range [][]string{{"cmake", "--build", "build"}, {"cargo", "build", "--manifest-path", "rust/Cargo.toml", "--target-dir", "target"}} {
		if r := b.Run(command[0], command[1:]...); r.ExitCode == 0 {
			t.Errorf("it is built without its lock\n%s", r)
		} else {
			r.Says("ocipkg.lock is not there; run:")
		}
	}
}
