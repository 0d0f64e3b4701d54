package detection

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// find finds a program, also under a name that ends in a version, as Debian
// calls some of LLVM's.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		found, err := filepath.Glob(filepath.Join(dir, name+"-[0-9]*"))
		if err == nil && len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	return "", fmt.Errorf("there is no program %s; run scripts/tools", name)
}

func program(t testing.TB, name string) string {
	t.Helper()
	path, err := find(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// batchSize is the number of files that a tool is given at a time.
const batchSize = 60

// tool is a program that says what files are.
type tool struct {
	program   string
	arguments []string
	// parse reads what the program says about files, and adds it.
	parse func(output string, files map[string]facts)
}

// ask asks a tool about files. It leaves out those that the tool refuses, which
// it ends at: so it asks again about the halves.
func (tool tool) ask(t testing.TB, paths []string) map[string]facts {
	all := map[string]facts{}
	for batch := range slices.Chunk(paths, batchSize) {
		tool.askBatch(t, batch, all)
	}
	return all
}

func (tool tool) askBatch(t testing.TB, paths []string, all map[string]facts) {
	cmd := exec.Command(tool.program, slices.Concat(tool.arguments, paths)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var output strings.Builder
	cmd.Stdout = &output
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		said := make(map[string]facts, len(paths))
		for _, path := range paths {
			said[path] = facts{}
		}
		tool.parse(output.String(), said)
		for path, facts := range said {
			all[path] = facts
		}
	case !errors.As(err, &exit):
		t.Fatalf("run %s: %v", tool.program, err)
	case len(paths) > 1:
		tool.askBatch(t, paths[:len(paths)/2], all)
		tool.askBatch(t, paths[len(paths)/2:], all)
	}
}

// cutMember splits "lib.a(member.o)", or with other brackets, into the archive
// and the member. Paths of the sample have no brackets.
func cutMember(name, open, close string) (path, member string) {
	path, member, isMember := strings.Cut(name, open)
	if !isMember {
		return name, ""
	}
	return path, strings.TrimSuffix(member, close)
}
