package derive

import (
	"slices"
	"testing"
	"testing/fstest"
)

func TestHeadersAtTheTopAreFoundThere(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  []string
	}{
		"beside the library":     {[]string{"libgreet.a", "greet.h"}, []string{"@prefix@"}},
		"alone":                  {[]string{"greet.hpp"}, []string{"@prefix@"}},
		"not where there are no": {[]string{"libgreet.a", "README"}, nil},
		"include comes first":    {[]string{"libgreet.a", "greet.h", "include/greet.h"}, []string{"@prefix@/include"}},
	} {
		tree := fstest.MapFS{}
		for _, file := range c.files {
			tree[file] = &fstest.MapFile{Data: []byte("x")}
		}
		p, err := Package(tree, Options{Name: "greet"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if p != nil {
			for _, component := range p.Components {
				got = append(got, component.Includes.For("c")...)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: includes %q, want %q", name, got, c.want)
		}
	}
}
