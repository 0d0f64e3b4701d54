package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/store"
)

func TestALayerIsNotedWithThePackagesThatHadItLast(t *testing.T) {
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Mkdir("layers"); err != nil {
		t.Fatal(err)
	}
	owner := func(i int) string { return fmt.Sprintf("sha256:%064d", i) }
	long := "sha512:" + strings.Repeat("a", 128)
	layer := owner(99)
	for _, c := range []struct {
		note string
		want []string
	}{
		{owner(1), []string{owner(1)}},
		{long, []string{long, owner(1)}},
		{owner(1), []string{owner(1), long}},
		{owner(2), []string{owner(2), owner(1), long}},
		{owner(3), []string{owner(3), owner(2), owner(1), long}},
		{owner(4), []string{owner(4), owner(3), owner(2), owner(1)}},
	} {
		s.NoteLayer(layer, c.note, s.LayerOwners(layer))
		if got := s.LayerOwners(layer); !slices.Equal(got, c.want) {
			t.Errorf("after %s: %q, want %q", c.note, got, c.want)
		}
	}
	for text, want := range map[string][]string{
		"":                     {},
		owner(1):               {owner(1)}, // as there was one a note before
		owner(1)[:40]:          {},
		owner(1) + "\n../../x": {owner(1)},
	} {
		if err := os.WriteFile(filepath.Join(s.Path("layers"), store.LockName(layer)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := s.LayerOwners(layer); !slices.Equal(got, want) {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
	}
}
