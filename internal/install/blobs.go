package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/filelock"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// PutBlob stores an index, manifest or config as the bytes it is. For a day
// after, it is not pruned though nothing needs it yet.
func PutBlob(ctx context.Context, to *store.Store, d digest.Digest, raw []byte) error {
	if _, ok := Blob(to, d); ok && to.Others() {
		return nil
	} else if ok {
		now := time.Now()
		if err := os.Chtimes(blobPath(to, d), now, now); !errors.Is(err, fs.ErrNotExist) {
			return nil // of a store that is read-only nothing is pruned
		}
	}
	lock, err := to.Lock(ctx, d.Encoded(), false)
	if err != nil {
		return to.Explain(err)
	}
	defer lock.Release()
	return to.Explain(putBlob(to, lock, d, raw))
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

// Sweep removes what killed processes left in tmp/, but for what came of packages
// lately: another try may go on with it. What a living one works on is kept, too:
// it holds the lock of that name.
func Sweep(in *store.Store) { sweep(in, keptFor) }

// SweepAll is Sweep that keeps only what a living process works on.
func SweepAll(in *store.Store) { sweep(in, 0) }

func sweep(in *store.Store, kept time.Duration) {
	for _, entry := range inTmp(in) {
		if info, err := os.Lstat(in.Path("tmp", entry)); err == nil && time.Since(info.ModTime()) < kept && partial(in, entry) {
			continue
		}
		lock, err := in.TryLock(lockOf(entry), false)
		if err != nil {
			continue
		}
		left := in.Path("tmp", entry)
		if dir := placeOf(in, entry); dir != "" { // its successor may not have come into its place
			_ = putBack(left, dir)
		}
		_ = layer.Remove(left)
		lock.Release()
	}
}

// Leftovers lists what [SweepAll] would remove for good, by its names in tmp/, and
// changes nothing.
func Leftovers(in *store.Store) []string {
	var left []string
	for _, entry := range inTmp(in) {
		if dir := placeOf(in, entry); dir != "" {
			if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
				continue // it would be put back
			}
		}
		// Without a file for the lock nobody holds it, and none is to be made.
		if _, err := os.Lstat(in.Path("locks", lockOf(entry))); err == nil {
			lock, err := in.TryLock(lockOf(entry), false)
			if errors.Is(err, filelock.ErrLocked) {
				continue
			}
			if err == nil {
				lock.Release()
			}
		}
		left = append(left, entry)
	}
	return left
}

func inTmp(in *store.Store) []string {
	entries, err := os.ReadDir(in.Path("tmp"))
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// lockOf gives the name of the lock that is held on something in tmp/.
func lockOf(entry string) string {
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(entry, store.FileSuffix), oldSuffix), partSuffix)
}

// placeOf gives the directory of the package that something in tmp/ was taken
// from; empty when it was not.
func placeOf(in *store.Store, entry string) string {
	name, old := strings.CutSuffix(entry, oldSuffix)
	if !old {
		return ""
	}
	return packageOf(in, name)
}

// packageOf gives the directory of the package whose lock has that name; empty
// when that is not the lock of one.
func packageOf(in *store.Store, name string) string {
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		if of := digest.NewDigestFromEncoded(algorithm, name); of.Validate() == nil {
			return in.PackageDir(of.String())
		}
	}
	return ""
}
