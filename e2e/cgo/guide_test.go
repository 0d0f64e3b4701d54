package cgo

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/guide"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/subject"
)

// publishPNG publishes libpng and zlib, and gives the name of the first.
func publishPNG(t *testing.T, registry *registrytest.Registry) string {
	t.Helper()
	subject.Publish(t, program.New(t, program.Options{}), registry.Host, "zlib", "libpng")
	return subject.Find(t, "libpng").Reference(registry.Host)
}

func TestTheGuideForGoIsRight(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	publishPNG(t, registry)
	s := goUser(t)
	s.Env = slices.DeleteFunc(s.Env, func(v string) bool {
		return strings.HasPrefix(v, "PKG_CONFIG=") || strings.HasPrefix(v, "OCIPKG")
	})

	// One shell from top to bottom, as a reader has it.
	sections := guide.Read(t, "go.md")
	script := "set -e\n"
	for i, section := range sections {
		for j, block := range section.Blocks {
			text := strings.ReplaceAll(block.Text, "ghcr.io/", registry.Host+"/")
			if block.File == "" {
				script += text
				continue
			}
			staged := s.WriteFile(filepath.Join(s.Temp, fmt.Sprint(i), fmt.Sprint(j)), text, 0o644)
			script += fmt.Sprintf("mkdir -p %s && cp %s %s\n", filepath.Dir(block.File), staged, block.File)
		}
		script += "rm -f built && mv app built && go env CGO_CFLAGS && ./built && grep -h pkg-config: png/png.go\n"
	}
	lines := strings.Split(strings.TrimSpace(s.Run("sh", "-c", script).OK().Stdout), "\n")
	said, directives := map[string]int{}, map[string]int{}
	for _, line := range lines {
		directive, isDirective := strings.CutPrefix(line, "#cgo pkg-config: ")
		switch before, _, pinned := strings.Cut(directive, "@sha256:"); {
		case isDirective && pinned:
			directives["pinned "+strings.TrimPrefix(before, registry.Host)]++
		case isDirective:
			directives[strings.TrimPrefix(before, registry.Host)]++
		default:
			said[line]++
		}
	}
	if said["-O2 -g"] != len(sections) { // C is optimized as it is without us
		t.Errorf("of %d sections, CGO_CFLAGS is %v", len(sections), said)
	}
	if said["libpng 1.6.39"] != len(sections) || len(sections) != 5 {
		t.Errorf("of %d sections, the programs say %v\n%s", len(sections), said, strings.Join(lines, "\n"))
	}
	if directives["/acme/libpng:1.6"] != 1 || directives["pinned /acme/libpng:1.6"] != 2 || directives["libpng"] != 2 {
		t.Errorf("the directives are %v", directives)
	}
}
