package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// oldestGlibc and oldestLibstdcxx are the versions to which older ones are raised, as fewer versions make a smaller table. No system in
// use has an older glibc. GLIBCXX_3.4.21 is GCC 5's, which brought namespace std::__cxx11, by which binfmt tells it without the
// table: that has two thirds of all symbols.
const (
	oldestGlibc     = "2.2.5"
	oldestLibstdcxx = "3.4.21"
)

// static maps functions that every program gets from libc_nonshared.a, or got from there before glibc 2.33, to the function of
// the shared library that they call: its versions are theirs too.
var static = map[string]string{
	"stat": "__xstat", "stat64": "__xstat64",
	"fstat": "__fxstat", "fstat64": "__fxstat64",
	"lstat": "__lxstat", "lstat64": "__lxstat64",
	"fstatat": "__fxstatat", "fstatat64": "__fxstatat64",
	"mknod": "__xmknod", "mknodat": "__xmknodat",
	"atexit": "__cxa_atexit", "at_quick_exit": "__cxa_at_quick_exit", "pthread_atfork": "__register_atfork",
	"__stack_chk_fail_local": "__stack_chk_fail",
}

// addStatic adds the functions of libc_nonshared.a.
func (t *table) addStatic() {
	for architecture, symbols := range t.symbols {
		for name, called := range static {
			if symbols[called] == nil {
				continue
			}
			for _, version := range symbols[called].versions {
				t.add(architecture, name, version, true)
			}
		}
	}
}

// span is the oldest and the newest version that the glibc of an architecture has.
type span struct{ base, newest string }

func (t *table) spans() map[string]span {
	spans := make(map[string]span)
	for architecture, symbols := range t.symbols {
		var all []string
		for _, s := range symbols {
			all = append(all, s.versions...)
		}
		spans[architecture] = span{
			base:   slices.MaxFunc([]string{t.oldest, slices.MinFunc(all, compare)}, compare),
			newest: slices.MaxFunc(all, compare),
		}
	}
	return spans
}

// write writes the table as glibc.txt explains it.
func (t *table) write(w io.Writer, sources []string) error {
	slices.Sort(sources)
	spans := t.spans()
	rows := t.rows(spans)
	var b strings.Builder
	fmt.Fprintf(&b, "# The versions of %s's symbols, made by glibcgen from these packages of Debian:\n#\n", t.library)
	for _, source := range sources {
		fmt.Fprintf(&b, "#\t%s\n", source)
	}
	b.WriteString(`#
# A row has the versions that its symbols have, oldest first, and after them those of architectures that differ. What is below an
# architecture's base stands for its base. A symbol that has no version but the base anywhere is left out, and so is one that
# nothing can be linked with any more.
`)
	if len(t.musl) > 0 {
		b.WriteString("# Of symbols that have no other version, those are here that musl lacks; the last list is the symbols above that musl has.\n")
	}
	fmt.Fprintf(&b, "versions %s\n", strings.Join(versionsOf(rows, spans), " "))
	bases := make(map[string][]string)
	for architecture, span := range spans {
		bases[span.base] = append(bases[span.base], architecture)
	}
	for _, base := range slices.SortedFunc(maps.Keys(bases), compare) {
		slices.Sort(bases[base])
		fmt.Fprintf(&b, "base %s %s\n", base, strings.Join(bases[base], " "))
	}
	for _, row := range slices.SortedFunc(maps.Keys(rows), compare) {
		fmt.Fprintf(&b, "row %s\n", row)
		writeNames(&b, rows[row])
	}
	if len(t.musl) > 0 {
		b.WriteString("musl\n")
		writeNames(&b, slices.DeleteFunc(slices.Concat(slices.Collect(maps.Values(rows))...), t.lackedByMusl))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeNames writes lines of names, sorted.
func writeNames(b *strings.Builder, names []string) {
	line := ""
	slices.Sort(names)
	for _, name := range names {
		if line != "" && len(line)+1+len(name) > 128 {
			b.WriteString(line + "\n")
			line = ""
		}
		line += "\t" + name
	}
	b.WriteString(line + "\n")
}

// lackedByMusl reports whether glibc has a symbol on amd64, which musl's was looked at for, and musl has not. musl's startup code has
// __stack_chk_fail_local, where it is needed.
func (t *table) lackedByMusl(name string) bool {
	return len(t.musl) > 0 && t.symbols["amd64"][name] != nil && !t.musl[name] && name != "__stack_chk_fail_local"
}

// rows maps what is the same for several symbols to their names.
func (t *table) rows(spans map[string]span) map[string][]string {
	lists := make(map[string]map[string][]string) // name, architecture, versions
	for architecture, symbols := range t.symbols {
		span := spans[architecture]
		for name, s := range symbols {
			if !s.links {
				continue
			}
			if lists[name] == nil {
				lists[name] = make(map[string][]string)
			}
			lists[name][architecture] = within(s.versions, span)
		}
	}
	rows := make(map[string][]string)
	for name, byArchitecture := range lists {
		onlyBase := true
		for architecture, versions := range byArchitecture {
			onlyBase = onlyBase && slices.Equal(versions, []string{spans[architecture].base})
		}
		if !onlyBase || t.lackedByMusl(name) {
			row := shortest(byArchitecture, spans)
			rows[row] = append(rows[row], name)
		}
	}
	return rows
}

// within sorts versions, raises those below a base, and leaves out those above the newest.
func within(versions []string, span span) []string {
	var list []string
	for _, v := range versions {
		if compare(v, span.newest) <= 0 {
			list = append(list, slices.MaxFunc([]string{v, span.base}, compare))
		}
	}
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}

// shortest writes a row with as few exceptions as can be.
func shortest(byArchitecture map[string][]string, spans map[string]span) string {
	best, fewest := "", len(spans)+1
	for _, candidate := range slices.SortedFunc(maps.Values(byArchitecture), slices.Compare[[]string]) {
		row, exceptions := strings.Join(candidate, ","), 0
		for _, architecture := range slices.Sorted(maps.Keys(byArchitecture)) {
			versions := byArchitecture[architecture]
			if !slices.Equal(within(candidate, spans[architecture]), versions) {
				row += " " + architecture + "=" + strings.Join(versions, ",")
				exceptions++
			}
		}
		if exceptions < fewest {
			best, fewest = row, exceptions
		}
	}
	return best
}

// versionsOf lists all versions in rows and bases, in order.
func versionsOf(rows map[string][]string, spans map[string]span) []string {
	var all []string
	for row := range rows {
		for list := range strings.FieldsSeq(row) {
			all = append(all, strings.Split(list[strings.IndexByte(list, '=')+1:], ",")...)
		}
	}
	for _, span := range spans {
		all = append(all, span.base)
	}
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}

// compare compares versions, or rows, which begin with versions.
func compare(a, b string) int {
	numbers := func(s string) (list []int) {
		for number := range strings.FieldsFuncSeq(s, func(r rune) bool { return r < '0' || r > '9' }) {
			n, _ := strconv.Atoi(number)
			list = append(list, n)
		}
		return list
	}
	return cmp.Or(slices.Compare(numbers(a), numbers(b)), strings.Compare(a, b))
}
