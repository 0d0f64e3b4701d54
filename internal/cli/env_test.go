package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestVariablesAreWrittenInEachShellsQuotes(t *testing.T) {
	v := variables{PkgConfig: `/a b/it's`, Ocipkg: `C:\x\ocipkg.exe`, Allow: "(a|b)"}
	for shell, want := range map[string]string{
		"sh":         `export PKG_CONFIG='/a ''b/it'\''s' OCIPKG='C:\x\ocipkg.exe' CGO_LDFLAGS_ALLOW='(a|b)'`,
		"fish":       `set -gx PKG_CONFIG '/a b/it\'s';` + "\n" + `set -gx OCIPKG 'C:\\x\\ocipkg.exe';` + "\n" + `set -gx CGO_LDFLAGS_ALLOW '(a|b)';`,
		"powershell": `$env:PKG_CONFIG = '/a b/it''s'; $env:OCIPKG = 'C:\x\ocipkg.exe'; $env:CGO_LDFLAGS_ALLOW = '(a|b)'`,
	} {
		if got := shells[shell](v); got != want {
			t.Errorf("%s: got  %s\nwant %s", shell, got, want)
		}
	}
	v.Project = "/\u2019+(evil)+\u2018"
	if got := shells["powershell"](v); !strings.Contains(got, "OCIPKG_PROJECT = '/\u2019\u2019+(evil)+\u2018\u2018'") {
		t.Errorf("with other quotes: %s", got)
	}
	v.Project = "/p"
	if got := shells["sh"](v); !strings.Contains(got, " OCIPKG_PROJECT='/p' ") {
		t.Errorf("with a project: %s", got)
	}
}

func TestVariablesSurviveAnEvalWithoutQuotes(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil && runtime.GOOS == "windows" {
		return // no sh belongs to that system
	}
	if err != nil {
		t.Fatal(err)
	}
	line := shells["sh"](variables{PkgConfig: `/a   b/it's $HOME "x"; # % \ ü`, Ocipkg: "/o", Project: "/p q"})
	cmd := exec.Command(sh, "-c", `eval $(printf %s "$LINE"); printf '%s|%s|%s' "$PKG_CONFIG" "$OCIPKG" "$OCIPKG_PROJECT"`)
	cmd.Env = append(os.Environ(), "LINE="+line)
	out, err := cmd.Output()
	if want := `/a   b/it's $HOME "x"; # % \ ü|/o|/p q`; err != nil || string(out) != want {
		t.Errorf("got %s, %v, want %s", out, err, want)
	}
}

// program makes a file that can be run.
func program(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, executable(name))
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgramsBesideComeBeforeThoseOnThePath(t *testing.T) {
	beside, other, elsewhere := t.TempDir(), t.TempDir(), t.TempDir()
	own, front := program(t, beside, "ocipkg"), program(t, beside, frontName)
	onPath, mainOnPath := program(t, other, frontName), program(t, other, "ocipkg")
	t.Setenv("PATH", other)
	t.Chdir(elsewhere)
	for _, test := range []struct {
		what, own string
		want      variables
	}{
		{"beside", own, variables{PkgConfig: front, Ocipkg: own}},
		{"not beside", program(t, elsewhere, "ocipkg"), variables{PkgConfig: onPath, Ocipkg: mainOnPath}},
		{"gone in a moment", filepath.Join(elsewhere, "b001", "exe", executable("ocipkg")), variables{PkgConfig: onPath, Ocipkg: mainOnPath}},
	} {
		if got, err := programs(context.Background(), test.own); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.what, got, err, test.want)
		}
	}
	t.Setenv("PATH", elsewhere)
	if _, err := programs(context.Background(), filepath.Join(elsewhere, "ocipkg")); err == nil || !strings.Contains(err.Error(), "go get -tool github.com/ocipkg/ocipkg/cmd/ocipkg ") {
		t.Errorf("where there is no %s: %v", frontName, err)
	}
}

func TestPkgConfigOfTheShellStaysTheRealOne(t *testing.T) {
	dir := t.TempDir()
	front, other := program(t, dir, frontName), program(t, dir, "pkgconf")
	link := filepath.Join(dir, executable("pkg-config"))
	if err := os.Link(front, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for set, want := range map[string]string{
		"":           "",
		front:        "",
		frontName:    "",
		"pkg-config": "", // a link to ours
		"missing":    "",
		other:        other,
		"pkgconf":    other,
	} {
		t.Setenv("PKG_CONFIG", set)
		if got := otherPkgConfig(front); got != want {
			t.Errorf("with PKG_CONFIG=%q: got %q, want %q", set, got, want)
		}
	}
}

// The go command takes a flag that the whole of one of the alternatives matches.
func TestTheGoCommandIsToldToTakeWholeArchivesAndNothingElse(t *testing.T) {
	for _, set := range []string{"", "-Wl,-z,mine", allowed("-Wl,-z,mine")} {
		flags := regexp.MustCompile("^(?:" + allowed(set) + ")$")
		for flag, want := range map[string]bool{
			"-Wl,--whole-archive,/s/x/lib/liba.a,--no-whole-archive":                 true,
			"-Wl,--whole-archive,/s/x/lib/liba.a,/s/x/lib/libb.a,--no-whole-archive": true,
			"-Wl,--whole-archive,C:/s/x/lib/a.lib,-lb,--no-whole-archive":            true,
			"-Wl,--whole-archive,-plugin,x.so,--no-whole-archive":                    false,
			"-Wl,--whole-archive,-plugin,/s/liba.a,--no-whole-archive":               false,
			"-Wl,--whole-archive,-l-plugin,--no-whole-archive":                       false,
			"-Wl,--whole-archive,/s/liba.so,--no-whole-archive":                      false,
			"-Wl,--whole-archive,/s/liba.a,--no-whole-archive,-plugin,x.so":          false,
			"-Wl,--whole-archive,@/s/liba.a,--no-whole-archive":                      false,
			"-Wl,--whole-archive,/s/liba.a":                                          false,
			"-Wl,-z,mine":                                                            set != "",
		} {
			if got := flags.MatchString(flag); got != want {
				t.Errorf("with CGO_LDFLAGS_ALLOW=%q, %s: got %v, want %v", set, flag, got, want)
			}
		}
	}
	if again := allowed(allowed("x")); again != allowed("x") {
		t.Errorf("the second time it is %s", again)
	}
}

func TestFlagsComeBehindWhatTheShellHasAndReplaceThoseOfBefore(t *testing.T) {
	const one = `{"cflags": ["-I/s/one/include", "-DA=\"x y\""], "libs": ["-L/s/one/lib", "-Wl,--disable-new-dtags", "-Wl,-rpath,/s/a b", "-lone", "-L/odd"]}`
	const two = `{"cflags": [], "libs": ["-L/s/two/lib", "-ltwo"]}`
	names := []string{"CPPFLAGS", "LDFLAGS", "LIBS", "LDLIBS", "CGO_CPPFLAGS", "CGO_LDFLAGS", "OCIPKG_CPPFLAGS", "OCIPKG_LDFLAGS", "OCIPKG_LIBS"}
	for _, name := range names {
		t.Setenv(name, "")
	}
	t.Setenv("CPPFLAGS", "-DUSER")
	t.Setenv("LIBS", "-luser")
	for _, step := range []struct {
		linked string
		want   map[string]string
	}{
		{one, map[string]string{
			"CPPFLAGS": `-DUSER -I/s/one/include -DA=\"x\ y\"`, "LDFLAGS": `-L/s/one/lib -Wl,--disable-new-dtags -Wl,-rpath,/s/a\ b`,
			"LIBS": "-luser -lone -L/odd", "LDLIBS": "-lone -L/odd",
			"CGO_CPPFLAGS": `-I/s/one/include '-DA="x y"'`, "CGO_LDFLAGS": `-O2 -g -L/s/one/lib -Wl,--disable-new-dtags '-Wl,-rpath,/s/a b' -lone -L/odd`,
		}},
		{two, map[string]string{
			"CPPFLAGS": "-DUSER", "LDFLAGS": "-L/s/two/lib", "LIBS": "-lmore -luser -ltwo", "LDLIBS": "-ltwo", "CGO_CPPFLAGS": "", "CGO_LDFLAGS": "-O2 -g -L/s/two/lib -ltwo",
		}},
	} {
		for range 2 { // the second time it is all the same
			var v variables
			if err := v.addFlags([]byte(step.linked)); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			v.each(func(name, value string) {
				t.Setenv(name, value)
				got[name] = value
			})
			for name, want := range step.want {
				if value, ok := got[name]; value != want || !ok {
					t.Errorf("%s: got %q (set: %v), want %q", name, value, ok, want)
				}
			}
		}
		t.Setenv("LIBS", "-lmore "+os.Getenv("LIBS")) // by the user, meanwhile
	}
	var v variables
	if err := v.addFlags([]byte(`{"cflags": ["-DA=\"'\""]}`)); err == nil {
		t.Errorf("a flag that Go has no quotes for: got %q", v.CgoCPPFlags)
	}
}
