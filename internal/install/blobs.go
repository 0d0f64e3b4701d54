package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// PutBlob stores an index, manifest or config as the bytes it is. For a day
// after, it is not pruned though nothing needs it yet.
func PutBlob(ctx context.Context, to *store.Store, d digest.Digest, raw []byte) error {
	if _, ok := Blob(to, d); ok {
		now := time.Now()
		if err := os.Chtimes(blobPath(to, d), now, now); !errors.Is(err, fs.ErrNotExist) {
			return nil // of a store that is read-only nothing is pruned
		}
	}
	lock, err := to.Lock(ctx, d.Encoded(), false)
	if err != nil {
		return err
	}
	defer lock.Release()
	return putBlob(to, lock, d, raw)
}

// Blob gives the bytes of an index, manifest or config that the store has, as
// they came. Damaged ones it does not give.
func Blob(from *store.Store, d digest.Digest) (raw []byte, ok bool) {
	if d.Validate() != nil {
		return nil, false
	}
	raw, err := os.ReadFile(blobPath(from, d))
	return raw, err == nil && d.Algorithm().FromBytes(raw) == d
}

func putBlob(to *store.Store, lock *store.Lock, d digest.Digest, raw []byte) error {
	return to.WriteFile(lock, blobPath(to, d), raw)
}

func blobPath(of *store.Store, d digest.Digest) string {
	return of.Path("blobs", d.Algorithm().String(), d.Encoded())
}

// Sweep removes what killed processes left in tmp/. What a living one works on
// is kept: it holds the lock of that name.
func Sweep(in *store.Store) {
	entries, err := os.ReadDir(in.Path("tmp"))
	if err != nil {
		return
	}
	for _, entry := range entries {
		name, isOld := strings.CutSuffix(strings.TrimSuffix(entry.Name(), store.FileSuffix), oldSuffix)
		lock, err := in.TryLock(name, false)
		if err != nil {
			continue
		}
		left := in.Path("tmp", entry.Name())
		for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			of := digest.NewDigestFromEncoded(algorithm, name)
			if isOld && of.Validate() == nil { // its successor may not have come into its place
				_ = putBack(left, in.PackageDir(of.String()))
			}
		}
		_ = layer.Remove(left)
		lock.Release()
	}
}
