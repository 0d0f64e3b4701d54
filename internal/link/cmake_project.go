package link

import (
	"maps"
	"slices"
)

// CMakeProject is what ocipkg.cmake wants to know before it is asked for a package.
type CMakeProject struct {
	Root string // the directory of the project file; empty: there is none
	// Files are those whose change makes CMake configure anew.
	Files []string
	// Answers says which alias answers to a name of find_package, in lower case.
	Answers map[string]string
	Target  string // the platform of the build, as --platform takes it
	// State is another text whenever a name may stand for another package than before.
	State string
}

// Text writes it as variables that ocipkg.cmake reads.
func (p CMakeProject) Text() (string, error) {
	var t cmakeText
	var answers []string
	for _, name := range slices.Sorted(maps.Keys(p.Answers)) {
		answers = append(answers, name, "="+p.Answers[name])
	}
	t.line("set(_ocipkg_root %s)", t.quote(p.Root))
	t.line("set(_ocipkg_target %s)", t.quote(p.Target))
	t.line("set(_ocipkg_state %s)", t.quote(p.State))
	t.set("_ocipkg_files", p.Files...)
	t.set("_ocipkg_answers", answers...)
	return t.String(), t.err
}
