package link

import (
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// Kind is what sort of entry an [Item] is.
type Kind string

const (
	Static    Kind = "static"    // an archive of a package
	Shared    Kind = "shared"    // a shared library of a package
	System    Kind = "system"    // a library that the toolchain finds by itself
	Framework Kind = "framework" // of Apple's systems
	Flag      Kind = "flag"      // no library: arguments that stand among them

	// What holds other items.
	Group Kind = "group" // archives that need each other, which are searched again and again
	Whole Kind = "whole" // archives of which every member is linked
	State Kind = "state" // a setting of the linker, such as -Bstatic, and what it is for
)

// Item is one entry of the list that a linker goes through. The list of a component is its link interface, and is made once:
// every format is made from it.
type Item struct {
	Kind Kind     `json:"kind"`
	Name string   `json:"name,omitempty"` // as -l or -framework takes it; empty for what is no library
	Path string   `json:"path,omitempty"` // the file, of a package's library
	Dir  string   `json:"dir,omitempty"`  // the directory to search for Name; empty: the library is given by Path
	Args []string `json:"args,omitempty"` // of a flag; of what holds others, those that begin it
	End  []string `json:"end,omitempty"`  // those that end it; empty for a setting that holds on

	Items []Item `json:"items,omitempty"` // what it holds

	Package   string `json:"package,omitempty"`
	Component string `json:"component,omitempty"`

	// Of a shared library: where programs find it, and the file that they load.
	runtimeDir, runtimeFile string
	own                     bool // the component's own library
	fixed                   bool // the component says where it is more than once, and means it
	document                *cps.Package
}

// isLibrary reports whether the item is one library.
func (l Item) isLibrary() bool {
	return l.Kind == Static || l.Kind == Shared || l.Kind == System || l.Kind == Framework
}

// byName reports whether the library is given by -l.
func (l Item) byName() bool {
	return l.Kind == System || (l.Kind == Static || l.Kind == Shared) && l.Dir != ""
}

// args returns the arguments for the item with all that it holds.
func (l Item) args() []string {
	switch {
	case l.byName():
		return []string{"-l" + l.Name}
	case l.Kind == Framework:
		return []string{"-framework", l.Name}
	case l.Kind == Flag:
		return l.Args
	case l.Kind == Whole:
		if joined, ok := l.whole(); ok {
			return []string{joined}
		}
		fallthrough
	case l.Kind == Group, l.Kind == State:
		args := slices.Clone(l.Args)
		for _, item := range l.Items {
			args = append(args, item.args()...)
		}
		return append(args, l.End...)
	}
	return []string{l.Path}
}

// whole returns a whole archive as one argument with the files in it, so that build systems which sort libraries, or put
// flags before them, leave it as it is.
func (l Item) whole() (string, bool) {
	options := []string{"-Wl", strings.TrimPrefix(l.Args[0], "-Wl,")}
	for _, item := range l.Items {
		switch {
		case item.Kind == Static && !strings.ContainsRune(item.Path, ','):
			options = append(options, item.Path)
		case item.Kind == System:
			options = append(options, "-l"+item.Name)
		default:
			return "", false
		}
	}
	for _, end := range l.End {
		options = append(options, strings.TrimPrefix(end, "-Wl,"))
	}
	return strings.Join(options, ","), true
}

// argsOf returns those of the item's arguments that belong to the selected parts. Where libraries are asked for without the
// flags around them, a group becomes its libraries as often as there are some: enough for a circle that leads through each of
// them once more, whatever their order. No number is enough for all: two archives whose members need each other in turn take
// as many rounds as members. Of what pkg_check_modules gets, CMake itself keeps two. What is not enough is an error of the
// linker's.
func (l Item) argsOf(parts Part) []string {
	const both = LibraryArgs | OtherLink
	switch {
	case parts&both == both && (parts&Repeated == 0 || len(l.Items) == 0):
		return l.args()
	case l.Kind == Whole && parts&OtherLink != 0, l.Kind == Flag && parts&OtherLink != 0:
		return l.args()
	case l.Kind == Group && parts&LibraryArgs != 0:
		return slices.Repeat(argsOf(l.Items, parts), max(len(l.Items), 2))
	case l.Kind == State && parts&OtherLink != 0:
		return slices.Concat(l.Args, argsOf(l.Items, parts), l.End)
	case l.Kind == State:
		return argsOf(l.Items, parts)
	case l.isLibrary() && l.byName() == (parts&LibraryArgs != 0) && parts&both != 0:
		return l.args()
	}
	return nil
}

func argsOf(items []Item, parts Part) []string {
	var args []string
	for _, item := range items {
		args = append(args, item.argsOf(parts)...)
	}
	return args
}

// leaves calls do for each item that holds no other.
func leaves(items []Item, do func(*Item)) {
	for i := range items {
		if len(items[i].Items) > 0 {
			leaves(items[i].Items, do)
		} else {
			do(&items[i])
		}
	}
}

// nest puts what stands between flags that belong together into one item. A group or a whole archive that does not end is
// ended at the end of the list.
func nest(flat []Item) []Item {
	items, _ := nestUntil(flat, pkgconf.NoScope)
	return items
}

// nestUntil nests up to the flag that ends the scope, and returns what comes from there on.
func nestUntil(flat []Item, end pkgconf.Scope) (items, rest []Item) {
	for len(flat) > 0 {
		item := flat[0]
		scope := pkgconf.NoScope
		if item.Kind == Flag {
			scope = pkgconf.ScopeOf(item.Args[0])
		}
		if scope != pkgconf.NoScope && scope == end {
			return items, flat
		}
		kind, until := holder(scope)
		if until == pkgconf.NoScope || len(flat) == 1 {
			items, flat = append(items, item), flat[1:]
			continue
		}
		item.Kind = kind
		item.Items, flat = nestUntil(flat[1:], until)
		switch {
		case len(flat) > 0:
			item.End, flat = flat[0].Args, flat[1:]
		case kind == Group:
			item.End = []string{"-Wl,--end-group"}
		case kind == Whole:
			item.End = []string{"-Wl,--no-whole-archive"}
		}
		items = append(items, item)
	}
	return items, nil
}

// holder returns the kind of item that a flag begins, and what ends it.
func holder(scope pkgconf.Scope) (Kind, pkgconf.Scope) {
	switch scope {
	case pkgconf.GroupBegin:
		return Group, pkgconf.GroupEnd
	case pkgconf.WholeBegin:
		return Whole, pkgconf.WholeEnd
	case pkgconf.StateBegin:
		return State, pkgconf.StateEnd
	case pkgconf.StatePush:
		return State, pkgconf.StatePop
	}
	return Flag, pkgconf.NoScope
}

// add puts the items of one component at the end. Earlier mentions of its libraries go, as with pkgconf: what needs them has
// come before now, and a linker that goes through its arguments once would not look back. What stays is the own library of
// a component that needs this one, and so has to be searched again behind it; what a component names twice; and all that
// stands between flags, but for a whole archive that is there again. Needs reports whether the component of one item needs that of another.
func (f *Flags) add(items []Item, needs func(from, to *Item) bool) {
	before := len(f.Items)
	for n, item := range items {
		if item.isLibrary() || item.Kind == Flag || item.Kind == Whole {
			for i := before - 1; i >= 0; i-- {
				other := &f.Items[i]
				if item.same(other) && !other.fixed && (item.own || !other.own || !needs(other, &items[n])) {
					f.Items = slices.Delete(f.Items, i, i+1)
					before--
				}
			}
		}
		f.Items = append(f.Items, item)
	}
}

// same reports whether two entries give the linker the same argument. A system library of the name of one of ours is ours,
// as our directories are searched first; l takes its place in the list.
func (l *Item) same(other *Item) bool {
	switch {
	case l.Kind == Flag || other.Kind == Flag:
		return l.Kind == other.Kind && slices.Equal(l.Args, other.Args)
	case l.Kind == Whole && other.Kind == Whole: // of which a second would define everything again
		return slices.Equal(l.args(), other.args())
	case !l.isLibrary() || !other.isLibrary():
		return false
	case l.byName() && other.byName() && l.Name == other.Name:
		if l.Kind == System && other.Kind != System {
			fixed := l.fixed
			*l = *other
			l.own, l.fixed = false, fixed
		}
		return other.Kind == System || l.Path == other.Path
	}
	return slices.Equal(l.args(), other.args())
}

// fix marks the libraries that a component names more than once, and drops those that stand again right behind themselves.
// Shared libraries, and those of the system, are found wherever they stand, so that the last mention is enough.
func fix(items []Item, shared bool) []Item {
	items = slices.CompactFunc(items, func(a, b Item) bool { return a.isLibrary() && b.same(&a) })
	for i := range items {
		if !items[i].isLibrary() {
			continue
		}
		for j := range items[:i] {
			if items[i].same(&items[j]) {
				items[i].fixed, items[j].fixed = !shared, !shared
			}
		}
	}
	return items
}
