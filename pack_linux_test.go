package ocipkg_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg"
)

func TestNamesThatOnlySomeDisksKeepApartAreRefusedBeforeAnybodyFetchesThem(t *testing.T) {
	for _, names := range [][]string{{"aux.h"}, {"xt_MARK.h", "xt_mark.h"}, {"dir./a"}} {
		dir := t.TempDir()
		for _, name := range names {
			at := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, nil, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		output := filepath.Join(t.TempDir(), "out.tar")
		_, err := ocipkg.Pack(t.Context(), dir, output, ocipkg.PackOptions{})
		if !errors.Is(err, ocipkg.ErrUsage) || !strings.Contains(err.Error(), "--platform") || !strings.Contains(err.Error(), names[0]) {
			t.Errorf("%v: %v", names, err)
		}
		if _, err := os.Stat(output); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: there is an output (%v)", names, err)
		}
		if _, err := ocipkg.Pack(t.Context(), dir, output, ocipkg.PackOptions{Platform: "linux/amd64"}); err != nil {
			t.Errorf("%v for Linux: %v", names, err)
		}
	}
}
