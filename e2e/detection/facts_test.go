package detection

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
)

// facts is what a program says about one file: values by their names. A name
// that is missing was not said. Of a universal file the names begin with the
// architecture of the slice, and a slash.
type facts map[string]string

// set keeps a value under a name.
func (f facts) set(name, value string) { f[name] = value }

// list keeps values in their order.
func (f facts) list(name string, values []string) { f[name] = strings.Join(values, "\n") }

// bag keeps values without an order.
func (f facts) bag(name string, values []string) { f.list(name, slices.Sorted(slices.Values(values))) }

// count keeps a number.
func (f facts) count(name string, n int) { f[name] = fmt.Sprint(n) }

// ours gives all that binfmt says about a file, nothing of one that it says is
// no compiled code.
func ours(path string) (facts, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, err
	}
	file, err := binfmt.Inspect(r, info.Size())
	if errors.Is(err, binfmt.ErrNotBinary) {
		return facts{"kind": "none"}, nil
	}
	if err != nil {
		return nil, err
	}
	executable, err := binfmt.IsExecutable(r, info.Size())
	if err != nil {
		return nil, err
	}
	if executable != (file.Kind == binfmt.KindExecutable) {
		return nil, fmt.Errorf("IsExecutable says %t of what Inspect calls %q", executable, file.Kind)
	}
	f := facts{}
	if file.Slices == nil {
		f.add("", file)
	} else {
		f.set("slices", architectures(file))
		for _, slice := range file.Slices {
			f.add(slice.Platform.Architecture+"/", slice)
		}
	}
	return f, f.addSymbols(r, info.Size())
}

// architectures names the slices of a universal file.
func architectures(file *binfmt.File) string {
	var names []string
	for _, p := range file.Platforms() {
		names = append(names, p.Architecture)
	}
	return strings.Join(names, " ")
}

func (f facts) add(prefix string, file *binfmt.File) {
	f.set(prefix+"format", string(file.Format))
	f.set(prefix+"kind", string(file.Kind))
	f.set(prefix+"os", file.Platform.OS)
	f.set(prefix+"architecture", file.Platform.Architecture)
	f.set(prefix+"variant", file.Platform.Variant)
	f.set(prefix+"environment", file.Env)
	f.count(prefix+"bits", file.Bits)
	f.set(prefix+"soname", file.Soname)
	f.set(prefix+"interpreter", file.Interpreter)
	f.set(prefix+"static", fmt.Sprint(file.Static))
	f.list(prefix+"needed", file.Needed)
	f.list(prefix+"rpath", file.RPath)
	f.list(prefix+"runpath", file.RunPath)
	f.set(prefix+"libc", file.Libc)
	f.set(prefix+"glibc", file.LibcVersion)
	f.set(prefix+"glibcxx", file.CXXVersion)
	f.set(prefix+"system version", file.OSVersion)
	f.count(prefix+"members", file.Members)
	f.set(prefix+"conflict", fmt.Sprint(file.Conflict != nil))
	f.set(prefix+"slim", fmt.Sprint(file.SlimLTO))
}

// addSymbols keeps the symbols.
func (f facts) addSymbols(r *os.File, size int64) error {
	lists := map[string]*symbolLists{}
	for _, architecture := range strings.Split(f["slices"], " ") {
		lists[architecture] = &symbolLists{}
	}
	for s, err := range binfmt.Symbols(r, size) {
		if err != nil {
			return fmt.Errorf("list symbols: %w", err)
		}
		lists[s.Architecture].add(s.Member, s.Name, s.Defined, s.Weak)
	}
	for architecture, l := range lists {
		prefix := ""
		if architecture != "" {
			prefix = architecture + "/"
		}
		l.keep(f, prefix)
		l.keepWeak(f, prefix)
	}
	return nil
}

// symbolLists holds symbols, each behind the member that has it.
type symbolLists struct{ defined, undefined, weak []string }

func (l *symbolLists) add(member, name string, defined, weak bool) {
	if member != "" {
		name = member + ": " + name
	}
	if defined {
		l.defined = append(l.defined, name)
	} else {
		l.undefined = append(l.undefined, name)
	}
	if weak {
		l.weak = append(l.weak, name)
	}
}

func (l *symbolLists) keep(f facts, prefix string) {
	f.bag(prefix+"defined symbols", l.defined)
	f.bag(prefix+"undefined symbols", l.undefined)
}

// keepWeak is for those who tell which are weak.
func (l *symbolLists) keepWeak(f facts, prefix string) {
	f.bag(prefix+"weak symbols", l.weak)
}

// withoutPointers leaves out the symbols of the pointers to what is imported.
func (f facts) withoutPointers() facts {
	f = maps.Clone(f)
	for name, value := range f {
		if strings.HasSuffix(name, "symbols") {
			f.list(name, slices.DeleteFunc(strings.Split(value, "\n"), func(line string) bool {
				return strings.HasPrefix(line[strings.LastIndexByte(line, ' ')+1:], "__imp_")
			}))
		}
	}
	return f
}

// withoutDecision makes one list of the defined symbols and the undefined ones.
func (f facts) withoutDecision() facts {
	f = maps.Clone(f)
	all := strings.Split(f["defined symbols"]+"\n"+f["undefined symbols"], "\n")
	f.bag("symbols", slices.DeleteFunc(all, func(line string) bool { return line == "" }))
	for _, name := range []string{"defined symbols", "undefined symbols", undecided} {
		delete(f, name)
	}
	return f
}

// disagreements tells where a tool and binfmt say different things.
func disagreements(tool string, theirs, ours facts) []string {
	var all []string
	for name, want := range theirs {
		got, said := ours[name]
		if said && got == want {
			continue
		}
		if strings.Contains(name, "symbols") {
			got, want = difference(got, want), difference(want, got)
		}
		all = append(all, fmt.Sprintf("%s is %q, and %s says %q", name, got, tool, want))
	}
	slices.Sort(all)
	return all
}

// difference gives the first lines of a list that another lacks.
func difference(a, b string) string {
	const shown = 5
	counts := map[string]int{}
	for line := range strings.SplitSeq(b, "\n") {
		counts[line]++
	}
	var only []string
	for line := range strings.SplitSeq(a, "\n") {
		if counts[line]--; counts[line] < 0 {
			only = append(only, line)
		}
	}
	if len(only) > shown {
		only = append(only[:shown], fmt.Sprintf("and %d more", len(only)-shown))
	}
	return strings.Join(only, ", ")
}
