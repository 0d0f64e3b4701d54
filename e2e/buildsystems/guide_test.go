package buildsystems

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/guide"
)

// readSection reads one section of a guide.
func readSection(t *testing.T, name, title string) guide.Section {
	t.Helper()
	sections := guide.Read(t, name)
	at := slices.IndexFunc(sections, func(s guide.Section) bool { return s.Title == title })
	if at < 0 {
		t.Fatalf("the guide %s has no section %q", name, title)
	}
	return sections[at]
}

// follow does what a section says, as one user in one shell, with the packages
// of a registry in place of those in ghcr.io.
func (u *user) follow(t *testing.T, s guide.Section) {
	t.Helper()
	script := "set -e\n"
	for _, b := range s.Blocks {
		text := strings.ReplaceAll(b.Text, "ghcr.io/", u.host+"/")
		if b.File != "" {
			u.WriteFile(b.File, text, 0o644)
		} else {
			script += text
		}
	}
	u.Run("sh", "-c", script).OK()
}

// story is what following a section must lead to.
type story struct {
	section string
	// elsewhere says that another test follows the section.
	elsewhere bool
	// after is a section to follow before this one, after which libpng is
	// published anew under its tag; empty for none.
	after   string
	program string
	shared  bool
	// libraries is where the program must find the shared libraries, below
	// the user's directory; empty for the store.
	libraries string
}

// testGuide follows each section of a guide as a new user.
func testGuide(t *testing.T, name string, stories []story) {
	sections := guide.Read(t, name)
	var titles, want []string
	for _, s := range sections {
		titles = append(titles, s.Title)
	}
	for _, s := range stories {
		want = append(want, s.section)
	}
	if !slices.Equal(titles, want) {
		t.Fatalf("the sections with something to do are %q, want %q", titles, want)
	}
	for i, s := range sections {
		if stories[i].elsewhere {
			continue
		}
		t.Run(s.Title, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			var before []string
			if at := slices.Index(titles, stories[i].after); at >= 0 {
				u.follow(t, sections[at])
				before = linked(t, u.linked)
				u.publishAnew()
			}
			u.follow(t, s)
			u.check(t, stories[i])
			if slices.ContainsFunc(linked(t, u.linked), func(file string) bool {
				return strings.HasPrefix(filepath.Base(file), "libpng") && slices.Contains(before, file)
			}) {
				t.Errorf("the linker took the libpng of before: %q", before)
			}
		})
	}
}
