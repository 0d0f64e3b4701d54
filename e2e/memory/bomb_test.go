//go:build unix

package memory

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/internal/hostile"
)

// A limit of the system on the size of files shows that no more is unpacked: the
// program would fail by it, and not by its own bound.
func TestABombOfTenGibibytesIsRefusedWithLittleMemoryAndBeforeMuchIsWritten(t *testing.T) {
	const most = 300 * mebibyte // bytes in the file
	s, limit := session(t, "OCIPKG_TARGET=linux/amd64"), promised(1)
	for kind, bomb := range hostile.Bombs(10 << 30) {
		server := httptest.NewServer(bomb)
		defer server.Close()
		if err := bomb.WriteArchive(filepath.Join(s.Dir, kind+".tar"), ""); err != nil {
			t.Fatal(err)
		}
		for _, arguments := range []string{
			"get " + strings.TrimPrefix(server.URL, "http://") + "/acme/" + kind + ":1",
			"load " + kind + ".tar",
			"inspect --verify " + kind + ".tar",
		} {
			r := s.Run("sh", "-c", fmt.Sprintf("ulimit -f %d && exec ocipkg %s", most/512, arguments))
			r.Fails(5, "more than 100 bytes for each compressed one", "--limit ratio=")
			t.Logf("%s %-8s %3d MiB, %v", kind, strings.Fields(arguments)[0], r.PeakRSS/mebibyte, r.Elapsed)
			if r.PeakRSS > limit {
				t.Errorf("%s had %d MiB of memory, more than %d", r.Command, r.PeakRSS/mebibyte, limit/mebibyte)
			}
			storetest.CheckTmpEmpty(t, storetest.Dir(s))
		}
	}
}
