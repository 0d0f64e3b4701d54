package upkeep

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// many is how many packages a store has that has many: more with OCIPKG_SOAK=1,
// where times are looked at, too.
func many() (n int, soak bool) {
	if os.Getenv("OCIPKG_SOAK") == "1" {
		return 10_000, true
	}
	return 500, false
}

func TestAStoreOfManyPackagesIsListedAndPruned(t *testing.T) {
	n, soak := many()
	s := newSite(t)
	name, digest := s.publish("1")
	s.Run("ocipkg", "get", name).OK()
	s.multiply(digest, n)
	s.Own(s.store)
	s.age(40 * day)
	best := func(args ...string) (text string, elapsed time.Duration) {
		elapsed = time.Hour
		for range 10 {
			result := s.Run("ocipkg", args...).OK()
			text, elapsed = result.Stdout, min(elapsed, result.Elapsed)
		}
		return text, elapsed
	}
	list, listed := best("list")
	if lines := strings.Count(list, "\n"); lines != n+2 {
		t.Errorf("the list has %d lines, want %d", lines, n+2)
	}
	dry, told := best("store", "prune", "--dry-run")
	if !strings.Contains(dry, fmt.Sprintf("%d packages and %d names", n+1, n+1)) {
		t.Errorf("prune says %q", dry[max(0, len(dry)-200):])
	}
	t.Logf("%d packages are listed in %v, and prune --dry-run takes %v", n, listed, told)
	// Promised is a tenth of a second, on a machine that does nothing else.
	if soak && (listed > 300*time.Millisecond || told > 10*time.Second) {
		t.Error("that is too long")
	}
	s.Run("ocipkg", "get", name).OK()
	pruned := s.Run("ocipkg", "store", "prune").OK().Says(fmt.Sprintf("%d packages and %d names", n, n))
	t.Logf("prune takes %v", pruned.Elapsed)
	if lines := strings.Count(s.Run("ocipkg", "list").OK().Stdout, "\n"); lines != 2 {
		t.Errorf("after prune the list has %d lines", lines)
	}
	s.checkGood()
}

// multiply makes n packages out of one, whose files they share, each with a name.
func (s *site) multiply(digest string, n int) {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	from := filepath.Join(s.store, "packages", "sha256", strings.TrimPrefix(digest, "sha256:"))
	for i := range n {
		encoded := fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i)))
		to := filepath.Join(s.store, "packages", "sha256", encoded)
		must(os.MkdirAll(filepath.Join(to, "root", "lib"), 0o755))
		for _, file := range []string{"link.json", "files", "root/lib/large.bin"} {
			must(os.Link(filepath.Join(from, file), filepath.Join(to, file)))
		}
		for _, dir := range []string{"root/lib", "root"} {
			must(os.Chmod(filepath.Join(to, dir), 0o555))
		}
		must(os.WriteFile(filepath.Join(s.store, "blobs", "sha256", encoded), []byte("{}"), 0o644))
		must(os.WriteFile(filepath.Join(s.store, "used", encoded), nil, 0o600))
		name := fmt.Sprintf("h.io/acme/library-%d:1", i)
		raw, err := json.Marshal(map[string]any{"name": name, "digest": "sha256:" + encoded, "lookedUp": time.Now().UTC()})
		must(err)
		must(os.WriteFile(filepath.Join(s.store, "refs", fmt.Sprintf("%x", sha256.Sum256([]byte(name)))), raw, 0o644))
	}
}
