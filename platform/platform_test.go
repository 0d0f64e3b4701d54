package platform

import (
	"errors"
	"runtime"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestTargetsAreReadAsCompilersAndDockerWriteThem(t *testing.T) {
	for target, want := range map[string]Platform{
		"linux/amd64":                   {OS: "linux", Architecture: "amd64"},
		"linux/arm/v7":                  {OS: "linux", Architecture: "arm", Variant: "v7"},
		"x86_64-unknown-linux-gnu":      {OS: "linux", Architecture: "amd64", Libc: "glibc"},
		"x86_64-linux-gnu":              {OS: "linux", Architecture: "amd64", Libc: "glibc"},
		"aarch64-linux-musl":            {OS: "linux", Architecture: "arm64", Libc: "musl"},
		"x86_64-unknown-linux-musl":     {OS: "linux", Architecture: "amd64", Libc: "musl"},
		"arm-linux-gnueabihf":           {OS: "linux", Architecture: "arm", Variant: "v7", Libc: "glibc"},
		"arm-unknown-linux-gnueabihf":   {OS: "linux", Architecture: "arm", Variant: "v6", Libc: "glibc"},
		"armv7-unknown-linux-gnueabihf": {OS: "linux", Architecture: "arm", Variant: "v7", Libc: "glibc"},
		"i686-linux-gnu":                {OS: "linux", Architecture: "386", Libc: "glibc"},
		"x86_64-pc-windows-msvc":        {OS: "windows", Architecture: "amd64", Env: "msvc"},
		"x86_64-pc-windows-gnu":         {OS: "windows", Architecture: "amd64", Env: "gnu"},
		"x86_64-w64-mingw32":            {OS: "windows", Architecture: "amd64", Env: "gnu"},
		"aarch64-apple-darwin":          {OS: "darwin", Architecture: "arm64"},
		"arm64-apple-macos12.3":         {OS: "darwin", Architecture: "arm64", OSVersion: "12.3"},
		"aarch64-linux-android":         {OS: "android", Architecture: "arm64"},
		"x86_64-unknown-freebsd":        {OS: "freebsd", Architecture: "amd64"},
		"riscv64gc-unknown-linux-gnu":   {OS: "linux", Architecture: "riscv64", Libc: "glibc"},
	} {
		if got, err := Parse(target); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", target, got, err, want)
		}
	}
	for _, target := range []string{"", "pdp11-dec-unix", "x86_64", "linux/", "/amd64", "linux/arm/7", "a/b/c/d", "x86_64-unknown-none", "linux/amd46", "lunix/amd64"} {
		if p, err := Parse(target); !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("Parse(%q) = %+v, %v; want a usage error", target, p, err)
		}
	}
}

func TestOnlyWhatRunsOnTheTargetFits(t *testing.T) {
	linux := Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.36"}
	for _, c := range []struct {
		name string
		have Platform
		want bool
	}{
		{"what is for no platform", Platform{}, true},
		{"the same platform", linux, true},
		{"an unknown libc", Platform{OS: "linux", Architecture: "amd64"}, true},
		{"an older floor, as numbers", Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.9"}, true},
		{"a newer floor", Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.38"}, false},
		{"another libc", Platform{OS: "linux", Architecture: "amd64", Libc: "musl"}, false},
		{"another architecture", Platform{OS: "linux", Architecture: "arm64"}, false},
		{"another system", Platform{OS: "darwin", Architecture: "amd64"}, false},
	} {
		if reason, ok := c.have.Fits(linux); ok != c.want || ok != (reason == "") {
			t.Errorf("%s: fits %t (%q), want %t", c.name, ok, reason, c.want)
		}
	}
	if _, ok := (Platform{Architecture: "arm", Variant: "v7"}).Fits(Platform{Architecture: "arm", Variant: "v6"}); ok {
		t.Error("ARMv7 code fits an ARMv6 target")
	}
}

func TestTheMostSpecificThenTheHighestFloorIsBetter(t *testing.T) {
	exact := Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.17"}
	for _, worse := range []Platform{
		{},
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.9"},
	} {
		if exact.Compare(worse) <= 0 || worse.Compare(exact) >= 0 {
			t.Errorf("%v is not better than %v", exact, worse)
		}
	}
}

func TestAnIndexCarriesThePlatformWhole(t *testing.T) {
	for _, p := range []Platform{
		{},
		{OS: "linux", Architecture: "arm", Variant: "v7", Libc: "musl"},
		{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.28", Cxx: "libstdc++", CxxVersion: "3.4.22"},
		{OS: "windows", Architecture: "amd64", Env: "msvc"},
		{OS: "darwin", Architecture: "arm64", OSVersion: "12.0", Cxx: "libc++"},
	} {
		if got := FromOCI(p.ToOCI()); got != p {
			t.Errorf("%+v comes back as %+v", p, got)
		}
	}
}

func TestTheTargetIsTheFirstThatApplies(t *testing.T) {
	clear := func(t *testing.T) {
		for _, v := range []string{"OCIPKG_TARGET", "GOOS", "GOARCH", "CC", "TARGET", "CARGO"} {
			t.Setenv(v, "")
		}
	}
	for _, c := range []struct {
		name, explicit string
		env            map[string]string
		want           string
	}{
		{"the flag wins", "linux/s390x", map[string]string{"OCIPKG_TARGET": "linux/arm64"}, "linux/s390x"},
		{"OCIPKG_TARGET", "", map[string]string{"OCIPKG_TARGET": "aarch64-linux-musl", "TARGET": "x", "CARGO": "c"}, "linux/arm64 musl"},
		{"GOOS and GOARCH", "", map[string]string{"GOOS": "darwin", "GOARCH": "arm64"}, "darwin/arm64"},
		{"the libc from CC", "", map[string]string{"GOOS": "linux", "GOARCH": "s390x", "CC": "s390x-linux-musl-gcc"}, "linux/s390x musl"},
		{"cargo's TARGET", "", map[string]string{"TARGET": "aarch64-unknown-linux-gnu", "CARGO": "cargo"}, "linux/arm64 glibc"},
		{"TARGET means nothing outside cargo", "", map[string]string{"TARGET": "aarch64-unknown-linux-gnu"}, Host().String()},
	} {
		t.Run(c.name, func(t *testing.T) {
			clear(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			if got, err := Target(c.explicit); err != nil || got.String() != c.want {
				t.Errorf("got %v, %v; want %s", got, err, c.want)
			}
		})
	}
	t.Run("a contradiction is an error", func(t *testing.T) {
		clear(t)
		t.Setenv("OCIPKG_TARGET", "linux/arm64")
		t.Setenv("GOARCH", "amd64")
		t.Setenv("GOOS", "linux")
		if _, err := Target(""); !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("got %v, want a usage error", err)
		}
	})
}

func TestTheHostIsReadAndNotGuessed(t *testing.T) {
	host := Host()
	if host.OS != runtime.GOOS || host.Architecture != runtime.GOARCH {
		t.Errorf("host is %v", host)
	}
	if runtime.GOOS == "linux" && host.Libc == "" {
		t.Errorf("host %v: the C library of /bin/sh was not found", host)
	}
	if got := hostLibc("/nonexistent", "/etc/passwd"); got != "" {
		t.Errorf("a libc was read from no program: %q", got)
	}
}
