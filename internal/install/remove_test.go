package install_test

import (
	"errors"
	"os"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Who finds a package that is being taken away either sees that it is gone, or
// is seen by who takes it.
func TestAPackageThatIsTakenAwayIsNotGivenOutAndComesBackWhenItIsNeeded(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	digest := desc.Digest.String()
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lock, err := s.Lock(t.Context(), store.LockName(digest), false)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	for _, needed := range []bool{true, false} {
		if !s.Use(digest) {
			t.Fatal("the package is not there")
		}
		removed, err := install.Remove(s, lock, digest, func() bool {
			if _, err := s.Package(digest); !errors.Is(err, errdef.ErrNotFound) || s.Use(digest) {
				t.Errorf("while it is away it is found (%v), or given out", err)
			}
			return needed
		})
		if err != nil || removed == needed {
			t.Errorf("needed %t, removed %t (%v)", needed, removed, err)
		}
		if _, err := os.Stat(p.Root); (err == nil) != needed || s.Use(digest) != needed {
			t.Errorf("needed %t: %v", needed, err)
		}
		if left := leftovers(t, s); len(left) > 0 {
			t.Errorf("left in tmp: %v", left)
		}
	}
	if removed, err := install.Remove(s, lock, digest, nil); err != nil || removed {
		t.Errorf("what is not there: %t, %v", removed, err)
	}
}

func TestAPackageThatWasTakenAwayByAKilledProcessComesBack(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	digest := desc.Digest.String()
	if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); err != nil {
		t.Fatal(err)
	}
	lock, err := s.Lock(t.Context(), store.LockName(digest), false)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = install.Remove(s, lock, digest, func() bool {
		lock.Release() // as the end of the process does
		if left := install.Leftovers(s); len(left) > 0 {
			t.Errorf("%v would be removed", left)
		}
		install.Sweep(s)
		return true
	})
	if !s.Use(digest) {
		t.Error("it is gone")
	}
}
