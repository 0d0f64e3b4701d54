package survey

import (
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/rawfile"
)

// maxText is how many bytes are read of a text.
const maxText = 1 << 20

var (
	// storePath is a path in a store of packages.
	storePath = regexp.MustCompile(`[^\s"';:=,()]*/packages/sha256/[0-9a-f]{64}[^\s"';:,()]*`)
	// builderPath is one of a user or of a build, at its start.
	builderPath = regexp.MustCompile(`(?:^|[\s"'=;:,(]|-[LIF])((?:/home|/Users|/root|/tmp|/var/tmp|/private|/build|/builds)/[^\s"';:,()]+)`)
	ownPrefix   = regexp.MustCompile(`(?m)^prefix=(.+?)\s*$`)
)

// lintTexts tells of .pc files, CMake files and the scripts that print flags which
// name paths of the machine that built them.
func (s *Survey) lintTexts(found *kinds) {
	for _, f := range s.files {
		base := path.Base(f.Path)
		module := strings.HasSuffix(base, ".pc")
		if !f.IsRegular() || base[0] == '.' || !module && path.Ext(base) != ".cmake" && !strings.HasSuffix(base, "-config") {
			continue
		}
		text, err := readText(f.Source())
		if err != nil || slices.Contains(text, 0) {
			continue // what cannot be read is told of when it is packed
		}
		if storePath.Match(text) {
			found.say(f.Path, "it names a package in the store of the machine that built it; have [dependencies] list that package, and the file require its module")
			continue
		}
		own := ""
		if prefix := ownPrefix.FindSubmatch(text); module && prefix != nil {
			own = string(prefix[1]) // which links put the package's directory in for
		}
		for _, match := range builderPath.FindAllSubmatch(text, -1) {
			if file := string(match[1]); own == "" || file != own && !strings.HasPrefix(file, own+"/") {
				found.say(f.Path, "it names paths of the machine that built it; make them relative to the file")
				break
			}
		}
		if strings.Contains(string(text), "@@HOMEBREW_") && !module {
			found.say(f.Path, "it has Homebrew's marks for directories, which only brew replaces")
		}
	}
}

func readText(name string) ([]byte, error) {
	f, err := rawfile.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, 0, maxText))
}
