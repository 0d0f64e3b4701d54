package ocipkg

import (
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/platform"
)

func TestTheTargetOfACMakeBuildFollowsFromItsVariables(t *testing.T) {
	native := "linux/amd64"
	if libc := platform.Host().Libc; libc != "" {
		native += " " + libc
	}
	for _, c := range []struct{ name, variables, want string }{
		{"a Debian", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=x86_64 C_COMPILER=/usr/bin/cc LIBRARY_ARCHITECTURE=x86_64-linux-gnu", "linux/amd64 glibc"},
		{"before a language is enabled", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=x86_64", native},
		{"a compiler for musl", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=x86_64 C_COMPILER=/usr/bin/musl-gcc LIBRARY_ARCHITECTURE=x86_64-linux-gnu", "linux/amd64 musl"},
		{"a compiler named for its target", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=arm CROSSCOMPILING=TRUE C_COMPILER=/opt/bin/arm-linux-gnueabihf-gcc-12", "linux/arm/v7 glibc"},
		{"a compiler named for its vendor too", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=x86_64 C_COMPILER=x86_64-alpine-linux-musl-gcc", "linux/amd64 musl"},
		{"a compiler that is told its target", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=x86_64 C_COMPILER=clang C_COMPILER_TARGET=aarch64-linux-musl LIBRARY_ARCHITECTURE=x86_64-linux-gnu", "linux/arm64 musl"},
		{"a cross build that says no more", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=aarch64 CROSSCOMPILING=TRUE C_COMPILER=gcc", "linux/arm64"},
		{"C++ alone", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=aarch64 CROSSCOMPILING=TRUE CXX_COMPILER=aarch64-linux-gnu-g++", "linux/arm64 glibc"},
		{"32 bits on a machine of 64", "SYSTEM_NAME=Linux SYSTEM_PROCESSOR=x86_64 SIZEOF_VOID_P=4 CROSSCOMPILING=TRUE C_COMPILER=gcc", "linux/386"},
		{"a Mac", "SYSTEM_NAME=Darwin SYSTEM_PROCESSOR=arm64 OSX_DEPLOYMENT_TARGET=12.3", "darwin/arm64"},
		{"another Mac than the machine", "SYSTEM_NAME=Darwin SYSTEM_PROCESSOR=arm64 OSX_ARCHITECTURES=x86_64", "darwin/amd64"},
		{"Microsoft's compiler", "SYSTEM_NAME=Windows SYSTEM_PROCESSOR=AMD64 MSVC=1 C_COMPILER_ARCHITECTURE_ID=ARM64", "windows/arm64"},
		{"Microsoft's compiler for x64", "SYSTEM_NAME=Windows SYSTEM_PROCESSOR=AMD64 MSVC=1 C_COMPILER_ARCHITECTURE_ID=x64", "windows/amd64"},
		{"MinGW", "SYSTEM_NAME=Windows SYSTEM_PROCESSOR=x86_64 MINGW=1 C_COMPILER=x86_64-w64-mingw32-gcc", "windows/amd64"},
		{"Android", "SYSTEM_NAME=Android SYSTEM_PROCESSOR=armv7-a", "android/arm/v7"},
		{"FreeBSD", "SYSTEM_NAME=FreeBSD SYSTEM_PROCESSOR=amd64", "freebsd/amd64"},
	} {
		variables := map[string]string{}
		for pair := range strings.FieldsSeq(c.variables) {
			name, value, _ := strings.Cut(pair, "=")
			if name != "MSVC" && name != "MINGW" {
				name = "CMAKE_" + name
			}
			variables[name] = value
		}
		got, err := platform.Parse(cmakeTarget(variables))
		if err != nil || !strings.HasPrefix(got.String(), c.want) || c.want != native && strings.HasPrefix(c.want, "linux") && got.String() != c.want {
			t.Errorf("%s: %s is %v, %v; want %s", c.name, cmakeTarget(variables), got, err, c.want)
		}
	}
}

func TestTheEnvironmentOfWindowsTellsMicrosoftFromGNU(t *testing.T) {
	for variables, want := range map[string]string{"MSVC": "msvc", "MINGW": "gnu"} {
		got, err := platform.Parse(cmakeTarget(map[string]string{"CMAKE_SYSTEM_NAME": "Windows", "CMAKE_SYSTEM_PROCESSOR": "AMD64", variables: "1"}))
		if err != nil || got.Env != want {
			t.Errorf("%s: %+v, %v; want %s", variables, got, err, want)
		}
	}
}
