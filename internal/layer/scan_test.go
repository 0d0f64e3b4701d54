package layer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

func paths(files []File) []string {
	var list []string
	for _, f := range files {
		list = append(list, f.Path)
	}
	return list
}

func TestScanListsFilesLinksAndEmptyDirectoriesSorted(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"b": "", "a/x": "12", "a/link": "-> ../b", "a.b": "", "empty/in/": "", "a/dangling": "-> gone", "dir-link": "-> a",
	})
	must(t, os.Chmod(filepath.Join(dir, "b"), 0o700))
	files := scan(t, dir)
	want := []string{"a.b", "a/dangling", "a/link", "a/x", "b", "dir-link", "empty/in/"}
	if got := paths(files); !slices.Equal(got, want) {
		t.Errorf("it lists %q, want %q", got, want)
	}
	for path, want := range map[string]File{
		"a/x":    {Path: "a/x", Size: 2, Mode: 0o644},
		"b":      {Path: "b", Mode: 0o755},
		"a/link": {Path: "a/link", Mode: 0o777, Target: "../b"},
	} {
		got := files[slices.IndexFunc(files, func(f File) bool { return f.Path == path })]
		if got.origin = nil; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestScanFollowsTheNameThatItIsGiven(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"real/a": "", "link": "-> real"})
	if got := paths(scan(t, filepath.Join(dir, "link"))); !slices.Equal(got, []string{"a"}) {
		t.Errorf("through a link it lists %q", got)
	}
}

func TestScanRefusesWhatAPackageCannotHold(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		text  string
	}{
		"no files":                      {map[string]string{}, "has no files in it"},
		"only empty directories":        {map[string]string{"a/b/": "", "c/": ""}, "has no files in it"},
		"an absolute link":              {map[string]string{"a": "-> /etc/passwd"}, `absolute path "/etc/passwd"`},
		"a link out of the tree":        {map[string]string{"d/a": "-> ../../x"}, "out of the tree"},
		"a link to the parent":          {map[string]string{"a": "-> .."}, "out of the tree"},
		"a link that goes up and down":  {map[string]string{"d/l": "-> ..", "a": "-> d/l/../x"}, "up after it went down"},
		"a link with a backslash":       {map[string]string{"a": `-> ..\..\x`}, "Windows"},
		"a link with a drive letter":    {map[string]string{"a": `-> c:x`}, "Windows"},
		"a name that is not UTF-8":      {map[string]string{"bad\xff": ""}, "not UTF-8"},
		"a directory that is not UTF-8": {map[string]string{"bad\xff/a": ""}, "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Scan(write(t, t.TempDir(), test.files), nil)
			if !errors.Is(err, errdef.ErrUsage) || errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("the error is %v; it should say %q", err, test.text)
			}
		})
	}
}

func TestScanStraightensALinkThatGoesUpAndDownToTheSameFile(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"lib/a": "", "include/b": "", "l": "-> lib/../include/b"})
	link := scan(t, dir)[1]
	if link.Path != "l" || link.Target != "include/b" {
		t.Errorf("%s links to %q", link.Path, link.Target)
	}
}

func TestScanMakesAnAbsoluteLinkIntoTheDirectoryRelative(t *testing.T) {
	for name, test := range map[string]struct {
		top, link, target string // top is the part of the directory that is packed
		want              string
	}{
		"of the root that the directory is": {"", "usr/lib/libz.so", "/lib/libz.so.1", "../../lib/libz.so.1"},
		"of a root where /lib is /usr/lib":  {"", "usr/bin/a", "/lib/libm.so.6", "../lib/libm.so.6"},
		"of one where it is not":            {"", "usr/bin/a", "/usr/lib/libz.so.1", "../../lib/libz.so.1"},
		"of a prefix":                       {"usr", "lib/libm.so", "/usr/lib/libm.so.6", "libm.so.6"},
		"of a prefix in two parts":          {"opt/x", "lib/libx.so", "/opt/x/lib/libx.so.1", "libx.so.1"},
		"to the directory itself":           {"", "etc/usr", "TOP/usr", "../usr"},
		"to a directory":                    {"", "x", "/opt/x/lib", "opt/x/lib"},
		"to what leads out":                 {"", "a", "/out/passwd", ""},
		"to what is above":                  {"usr", "x", "/../lib/libz.so.1", ""},
		"to the directory that is packed":   {"usr", "x", "/usr", ""},
		"of no such file":                   {"", "a", "/lib/libz.so.2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), map[string]string{
				"lib/libz.so.1": "", "usr/lib/libm.so.6": "", "opt/x/lib/libx.so.1": "", "out": "-> ../../../../../../../../etc",
			})
			test.target = strings.Replace(test.target, "TOP", dir, 1)
			top := filepath.Join(dir, test.top)
			write(t, top, map[string]string{test.link: "-> " + test.target})
			if test.want != "" {
				must(t, os.Remove(filepath.Join(dir, "out")))
			}
			files, err := Scan(top, nil)
			if test.want == "" {
				if !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), fmt.Sprintf("absolute path %q", test.target)) {
					t.Errorf("the error is %v; it should say where the link leads", err)
				}
				return
			}
			must(t, err)
			for _, f := range files {
				if f.Path == test.link && f.Target != test.want {
					t.Errorf("%s links to %q, want %q", f.Path, f.Target, test.want)
				}
			}
		})
	}
}

func TestScanOfWhatIsNoDirectory(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"file": ""})
	if _, err := Scan(filepath.Join(dir, "file"), nil); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "compose") {
		t.Errorf("for a file the error is %v", err)
	}
	if _, err := Scan(filepath.Join(dir, "gone"), nil); !errors.Is(err, errdef.ErrNotFound) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("for nothing the error is %v", err)
	}
}

func TestEntryFollowsLinksAndRefusesDirectories(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"libz.so.1.2": "bytes", "libz.so": "-> libz.so.1.2", "d/": ""})
	f, err := Entry(filepath.Join(dir, "libz.so"), "lib/libz.so", nil)
	must(t, err)
	if f.Size != 5 || f.Path != "lib/libz.so" || !f.IsRegular() || f.Source() != filepath.Join(dir, "libz.so") {
		t.Errorf("the entry is %+v", f)
	}
	if _, err := Entry(filepath.Join(dir, "d"), "d", nil); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "pack") {
		t.Errorf("for a directory the error is %v", err)
	}
	if _, err := Entry(filepath.Join(dir, "gone"), "d", nil); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("for nothing the error is %v", err)
	}
}

func TestArrangeRefusesWhatIsNoPackage(t *testing.T) {
	for name, files := range map[string][]File{
		"nothing":          nil,
		"two of one name":  {{Path: "a"}, {Path: "a"}},
		"a file in a file": {{Path: "a/b"}, {Path: "a"}},
		"a way out":        {{Path: "../a"}},
		"an absolute path": {{Path: "/a"}},
	} {
		if err := Arrange(files); !errors.Is(err, errdef.ErrUsage) || errors.Is(err, errdef.ErrVerification) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestPathsThatAPackageMayHave(t *testing.T) {
	for _, p := range []string{"a", "a/b", "dir/", "a..b", "..a", "a/..b", ".hidden", "a b", "Grüße", "libstdc++.so.6", "x:y", `a\b`, strings.Repeat("n", 255)} {
		if err := CheckPath(p); err != nil {
			t.Errorf("%q is refused: %v", p, err)
		}
	}
	for p, text := range map[string]string{
		"": "empty", ".": "empty", "/": "empty", "/a": "absolute", "//a": "absolute", "..": "out of", "../a": "out of", "a/../b": "out of", "a/..": "out of",
		"a//b": "not clean", "./a": "not clean", "a/.": "not clean", "a/./b": "not clean", "a\x00b": "NUL", "a\xffb": "UTF-8",
		strings.Repeat("n", 256): "255", strings.Repeat("n/", 3000) + "n": "--limit path=", strings.Repeat("n/", 300) + "n": "--limit depth=",
	} {
		err := CheckPath(p)
		refuses(t, err, text)
	}
}

func TestPathsThatMeanSomethingElseOnWindows(t *testing.T) {
	for _, p := range []string{"lib/a.lib", "a.b.c", "include/x-y_z.h", "Grüße"} {
		if !windowsPath(p) {
			t.Errorf("%q is refused", p)
		}
	}
	for _, p := range []string{"C:/x", "C:x", `a\b`, `..\x`, "a:stream", "a.", "a ", "a./b", "d /b", "a*", "x?"} {
		if windowsPath(p) {
			t.Errorf("%q is allowed", p)
		}
	}
}

func TestTargetsThatALinkMayHave(t *testing.T) {
	for _, c := range [][2]string{{"a", "b"}, {"a/b/c", "../../d"}, {"a", "./b"}, {"a/b", ".././c"}, {"a", "b/"}, {"a/b", ".."}, {"a", "x..y/..z"}} {
		if err := CheckTarget(c[0], c[1]); err != nil {
			t.Errorf("%s to %s is refused: %v", c[0], c[1], err)
		}
	}
	for _, c := range []struct{ link, target, text string }{
		{"a", "", "empty"}, {"a", "/b", "absolute"}, {"a", "..", "out of"}, {"a/b", "../..", "out of"}, {"a", "./../b", "out of"},
		{"a", "b/../../c", "out of"}, {"a", "b/../c", "up after"}, {"a/b", "../c/..", "up after"}, {"a", "b\x00", "no path"}, {"a", "b\xff", "no path"},
		{"a", `C:\x`, "Windows"}, {"a", "c:x", "Windows"}, {"a", `\x`, "Windows"}, {"a/b/c", `..\..\..\x`, "Windows"}, {"a", strings.Repeat("n", 5000), "no path"},
	} {
		refuses(t, CheckTarget(c.link, c.target), c.text)
	}
}

func TestFilesThatCanBeOnePackage(t *testing.T) {
	for name, test := range map[string]struct {
		files []File
		text  string
	}{
		"twice":                      {[]File{{Path: "a"}, {Path: "a"}}, "twice"},
		"a directory and a file":     {[]File{{Path: "a/"}, {Path: "a"}}, "twice"},
		"a file below a file":        {[]File{{Path: "a"}, {Path: "a/b/c"}}, "not a directory"},
		"a file below a link":        {[]File{{Path: "a/b"}, {Path: "a", Target: "c"}}, "not a directory"},
		"below an empty directory":   {[]File{{Path: "a/"}, {Path: "a/b"}}, "not a directory"},
		"a negative size":            {[]File{{Path: "a", Size: -1}}, "negative"},
		"a link with a size":         {[]File{{Path: "a", Size: 1, Target: "b"}}, "several things"},
		"a directory with a target":  {[]File{{Path: "a/", Target: "b"}}, "several things"},
		"a link out":                 {[]File{{Path: "a", Target: "../b"}}, "out of the tree"},
		"a path that is not allowed": {[]File{{Path: "a/../b"}}, "out of the package"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, CheckFiles(test.files, limit.Default), test.text) })
	}
	must(t, CheckFiles([]File{{Path: "a/b/c"}, {Path: "a/b/d/"}, {Path: "a/e", Target: "b/c"}, {Path: "a-b"}, {Path: "z", Size: 1 << 40}}, limit.Default))
}

// Whatever links are allowed, no way through them leads out: the rule looks at
// one link at a time, and the system follows all of them.
func TestAllowedLinksNeverLeadOutTogether(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	pick := func(parts ...string) string { return parts[random.IntN(len(parts))] }
	followed := 0
	for range 500 {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		must(t, err)
		inside := filepath.Join(dir, "a", "b")
		must(t, os.MkdirAll(filepath.Join(inside, "d", "d"), 0o755))
		var files []File
		for range 6 {
			f := File{Path: pick("", "d/", "d/d/") + pick("x", "y", "z"), Target: strings.Repeat("../", random.IntN(3)) + pick("", "d/", "x/", "y/", "z/") + pick("x", "y", "d", ".", "..", "../..", "x/../..")}
			if CheckFiles(append(files, f), limit.Default) == nil {
				files = append(files, f)
				must(t, os.Symlink(f.Target, filepath.Join(inside, f.Path)))
			}
		}
		for _, f := range files {
			to, err := filepath.EvalSymlinks(filepath.Join(inside, f.Path))
			if err != nil {
				continue // a loop, or nothing there
			}
			followed++
			if to != inside && !strings.HasPrefix(to, inside+string(filepath.Separator)) {
				t.Fatalf("of %+v, %s leads to %s", files, f.Path, to)
			}
		}
	}
	if followed < 100 {
		t.Errorf("only %d links led anywhere", followed)
	}
}

func TestLongerAndDeeperPathsAreAllowedByALimit(t *testing.T) {
	deep, long := strings.Repeat("d/", 290)+"f", strings.Repeat(strings.Repeat("n", 200)+"/", 30)+"f"
	for _, p := range []string{deep, long} {
		if CheckFiles([]File{{Path: p}}, limit.Default) == nil {
			t.Errorf("%d bytes are allowed", len(p))
		}
		must(t, CheckFiles([]File{{Path: p}}, limit.Limits{Path: 10_000, Depth: 300}))
		raised := NewListing(limit.Limits{Path: 10_000, Depth: 300})
		must(t, raised.Apply(ctx, bytes.NewReader(archive(t, file(p, ""))), None, 0))
		if files := raised.Files(); len(files) != 1 || files[0].Path != p {
			t.Errorf("the listing has %v", files)
		}
	}
}

// File systems that know times only to the second often have for the time of
// change what a program has set.
func TestAStampOfWholeSecondsTellsNothing(t *testing.T) {
	const second = 1e9
	for _, test := range []struct {
		modified, changed int64
		tells             bool
	}{
		{5 * second, 6 * second, false},
		{0, 0, false},
		{-5 * second, 6 * second, false},
		{5*second + 1, 6 * second, true},
		{5 * second, 6*second + 1, true}, // a program set the first: touch, tar, git
		{5*second - 1, 6*second + 999_999_999, true},
	} {
		s := stamp(1, 2, test.modified, test.changed)
		if s.Before(10*second) != test.tells || (s != Stamp{}) != test.tells {
			t.Errorf("of the times %d and %d the stamp is %v", test.modified, test.changed, s)
		}
		if s.Before(max(test.modified, test.changed)) {
			t.Errorf("the stamp %v is from before its own time", s)
		}
	}
}
