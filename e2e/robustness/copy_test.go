package robustness

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestCopyOntoAFullDiskFailsAndKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := program.New(t, program.Options{})
	makePackage(t, s, 24*megabyte)
	s.WriteFile("small/file", "small", 0o644)
	name, small := registry.Host+"/acme/library:1", registry.Host+"/acme/small:1"
	s.Run("ocipkg", "push", "in", name).OK()
	s.Run("ocipkg", "push", "small", small).OK()
	disk, resize := smallDisk(t, "10m")
	archive, layout := filepath.Join(disk, "out.tar"), "oci:"+filepath.Join(disk, "layout")
	s.Run("ocipkg", "copy", small, archive).OK()
	s.Run("ocipkg", "copy", small, layout).OK()
	before := tree.Of(t, disk)
	for _, arguments := range [][]string{{name, archive, "--overwrite"}, {name, filepath.Join(disk, "other.tar")}, {name, layout}, {name, "oci:" + filepath.Join(disk, "other")}} {
		s.Run("ocipkg", append([]string{"copy"}, arguments...)...).Fails(1, name, "no space left on device")
		tree.Check(t, "the disk", tree.Of(t, disk), before)
	}
	s.Run("ocipkg", "inspect", "--verify", layout).OK()
	resize("100m")
	s.Run("ocipkg", "copy", name, archive, "--overwrite").OK()
	s.Run("ocipkg", "copy", name, layout).OK()
	s.Run("ocipkg", "inspect", "--verify", layout+":1").Exit(2) // two have that tag
	s.Run("ocipkg", "inspect", "--verify", archive).OK()
}

func TestInterruptedCopyLeavesNothing(t *testing.T) {
	t.Parallel()
	proxy := registrytest.StartProxy(t, registrytest.StartDistribution(t, registrytest.Options{}))
	other := registrytest.StartMemory(t)
	name := proxy.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	makePackage(t, s, 16*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	before := tree.Of(t, s.Dir)
	for _, destination := range []string{"out.tar", "oci:layout", other.Host + "/acme/library:1"} {
		proxy.ClearRequests()
		proxy.SetIntercept(registrytest.StallBlob("", 100_000))
		p := s.Start("ocipkg", "copy", name, destination)
		p.When(func() bool { return proxy.Count("GET", "/blobs/") >= 2 })
		checkInterrupted(t, s, p.InterruptAfter(0), before)
		if n := other.Count("PUT", "/manifests/"); n != 0 {
			t.Errorf("the other registry has %d manifests", n)
		}
	}
	proxy.SetIntercept(nil)
	s.Run("ocipkg", "copy", name, other.Host+"/acme/library:1").OK()
	s.Run("ocipkg", "inspect", "--verify", other.Host+"/acme/library:1").OK()
}

func TestACopyGoesOnWhenConnectionsBreakOnEitherSide(t *testing.T) {
	t.Parallel()
	from, to := registrytest.StartMemory(t), registrytest.StartMemory(t)
	name := from.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	makePackage(t, s, 4*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	from.SetIntercept(registrytest.Times(12, registrytest.ResetBlob("", 300_000)))
	to.SetIntercept(registrytest.When(registrytest.Path("PUT", "/blobs/uploads/"), registrytest.Times(2, registrytest.Reset())))
	s.Run("ocipkg", "copy", name, to.Host+"/acme/library:1").OK()
	s.Run("ocipkg", "inspect", "--verify", to.Host+"/acme/library:1").OK()
	tree.Check(t, "TMPDIR", tree.Of(t, s.Temp), tree.Tree{}) // it goes from one to the other
}

func TestCopiesIntoOneLayoutAtOnceLoseNoName(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	const copies = 8
	for i := range copies {
		s.WriteFile(fmt.Sprintf("in%d/file", i), fmt.Sprint(i), 0o644)
		s.Run("ocipkg", "pack", fmt.Sprintf("in%d", i), fmt.Sprintf("%d.tar", i), "-t", fmt.Sprintf("example.com/acme/library:%d", i)).OK()
	}
	for _, layout := range []string{"one", "another", "third"} {
		var all []*program.Process
		for i := range copies {
			all = append(all, s.Start("ocipkg", "copy", fmt.Sprintf("%d.tar", i), "oci:"+layout))
		}
		for _, p := range all {
			p.Wait().OK()
		}
		for i := range copies {
			s.Run("ocipkg", "inspect", "--verify", fmt.Sprintf("oci:%s:%d", layout, i)).OK()
		}
	}
}
