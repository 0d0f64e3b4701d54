package program

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/childproc"
)

var sharedMu sync.Mutex

// SharedDir returns a directory that all unprivileged sessions of this test run
// may use, the same for the same name: for a cache that takes long to fill and
// that the tests are not about. Main removes it.
func SharedDir(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(Bin(t), "shared-"+name)
	sharedMu.Lock()
	defer sharedMu.Unlock()
	err := os.Mkdir(dir, 0o755)
	if os.IsExist(err) {
		return dir
	}
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(dir, int(childproc.Nobody.UID), int(childproc.Nobody.GID))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
