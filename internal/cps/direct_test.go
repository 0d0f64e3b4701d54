package cps

import (
	"errors"
	"slices"
	"testing"
)

func TestDirectGivesWhatAComponentRequiresItself(t *testing.T) {
	base := &Package{Name: "base", Components: map[string]*Component{"b": {Type: Archive}}}
	top := &Package{Name: "top", Components: map[string]*Component{
		"a": {Type: Archive, Attributes: Attributes{Requires: []string{":c", "base"}, LinkRequires: []string{"base", "elsewhere"}, DyldRequires: []string{":d"}}},
		"c": {Type: Archive, Attributes: Attributes{Requires: []string{":d"}}},
		"d": {Type: Archive},
		"x": {Type: Archive, Attributes: Attributes{Requires: []string{":gone"}}},
	}}
	w := &Walker{Find: func(_ *Package, name string) (*Package, string) {
		if name == "base" {
			return base, ""
		}
		return nil, ""
	}}
	for stage, want := range map[Stage][]string{Compile: {"top:c", "base:b"}, Link: {"top:c", "base:b"}, Load: {"top:c", "base:b", "top:d"}} {
		roots, err := w.Roots(Root{Package: top, Component: "a"})
		if err != nil || len(roots) != 1 {
			t.Fatal(roots, err)
		}
		items, missing, err := w.Direct(stage, roots[0])
		var got []string
		for _, item := range items {
			got = append(got, item.String())
		}
		if err != nil || !slices.Equal(got, want) || (len(missing) == 1 && missing[0].Package == "elsewhere" && missing[0].By.Component == "a") != (stage != Compile) {
			t.Errorf("stage %d: %v, missing %v, %v; want %v", stage, got, missing, err, want)
		}
	}
	roots, err := w.Roots(Root{Package: top, Component: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var e *MissingError
	if _, _, err := w.Direct(Link, roots[0]); !errors.As(err, &e) || e.By != "top:x" {
		t.Errorf("a component that is not there: %v", err)
	}
	if _, err := w.Roots(Root{Package: top, Component: "gone"}); !errors.As(err, &e) || e.By != "" {
		t.Errorf("a root that is not there: %v", err)
	}
}
