package upkeep

import (
	"io/fs"
	"path/filepath"
)

// inode tells one file of the system from another, whatever its names.
type inode struct{ device, file uint64 }

// size is that of a file that has several names.
type size struct {
	inode inode
	names uint64 // in all
	bytes int64
}

// measured is what a tree takes up.
type measured struct {
	bytes  int64  // of files that have one name
	shared []size // the others, once for each of their names in the tree
}

// measure finds out what a tree takes up.
func measure(dir string) (measured, error) {
	var m measured
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		if id, names := identify(path, info); names > 1 {
			m.shared = append(m.shared, size{id, names, info.Size()})
		} else {
			m.bytes += info.Size()
		}
		return nil
	})
	return m, err
}

// links adds up what trees take up that go: a file which has several names is
// freed with the last of them.
type links map[inode]*link

type link struct {
	size
	seen uint64
}

func (l links) add(m measured) {
	l.of(inode{}).bytes += m.bytes
	for _, s := range m.shared {
		at := l[s.inode]
		if at == nil {
			at = &link{size: s}
			l[s.inode] = at
		}
		at.seen++
	}
}

// of gives the place of files that have one name.
func (l links) of(id inode) *link {
	if l[id] == nil {
		l[id] = &link{}
	}
	return l[id]
}

// freed gives how many bytes the trees took up by themselves.
func (l links) freed() int64 {
	var bytes int64
	for _, at := range l {
		if at.seen >= at.names {
			bytes += at.bytes
		}
	}
	return bytes
}
