package artifact

import (
	"errors"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

func TestAConfigThatReadersMayReadDifferentlyIsRefused(t *testing.T) {
	const file = `{"path":"a","size":1,"mode":"0644","layer":0}`
	for raw, want := range map[string]string{
		`{"files":[` + file + `],"FILES":[]}`:                                  "in other letters",
		`{"files":[` + file + `],"files":[]}`:                                  "comes twice",
		`{"files":[{"path":"a","Path":"b","size":1,"mode":"0644","layer":0}]}`: "in other letters",
		`{"files":[{}]}`:                        "no path",
		`{"files":{}}`:                          "no list",
		`{"files":[` + file + `,` + file + `]}`: "twice",
		`{"layers":{"Files":["x"],"files":["y"]},"files":[` + file + `],"x":{}}`: "",
	} {
		_, err := parse([]byte(raw), 1, limit.Default)
		if want == "" && err != nil || want != "" && (!errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func TestAConfigListsNoMoreFilesThanAreUnpacked(t *testing.T) {
	limits := limit.Default
	limits.Entries = 2
	entry := func(name string) string { return `{"path":"` + name + `","size":0,"mode":"0644","layer":0}` }
	for n, good := range map[int]bool{2: true, 3: false} {
		var files []string
		for i := range n {
			files = append(files, entry(string(rune('a'+i))))
		}
		if _, err := parse([]byte(`{"files":[`+strings.Join(files, ",")+`]}`), 1, limits); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "--limit entries=") {
			t.Errorf("%d files: %v", n, err)
		}
	}
}

// The check runs beside what decodes, which ends at such a depth by itself.
func TestKeysAreNotLookedForInWhatIsNestedBeyondReason(t *testing.T) {
	err := configKeys.check(strings.NewReader(strings.Repeat("[", 5<<20)))
	refuses(t, err, "stand in each other")
}
