package artifact

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/jsonstream"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// wireFile is a file as a config has it. Its keys are in order, as all of a
// config has them.
type wireFile struct {
	Digest digest.Digest `json:"digest,omitempty"`
	Layer  int           `json:"layer"`
	Mode   string        `json:"mode"`
	Path   string        `json:"path"`
	Size   int64         `json:"size"`
	Target string        `json:"target,omitempty"`
}

// ReadFiles reads a list of files, one by one: what no package can have is
// refused before it takes up memory. It may have no more files than are unpacked.
// Next is called before each.
func ReadFiles(d *json.Decoder, limits limit.Limits, next func()) ([]layer.File, error) {
	var files []layer.File
	return files, jsonstream.List(d, func() error {
		next()
		var w wireFile
		if err := d.Decode(&w); err != nil {
			return err
		}
		if w.Path == "" {
			return errors.New("a file has no path")
		}
		if limits.Entries > 0 && int64(len(files)) >= limits.Entries {
			return limits.Exceeded("entries", "it lists more than %d files", limits.Entries)
		}
		f, err := w.file()
		files = append(files, f)
		return err
	})
}

// file gives what a list says of a file. The error is of kind
// [errdef.ErrVerification].
func (w wireFile) file() (layer.File, error) {
	mode, err := strconv.ParseUint(w.Mode, 8, 32)
	if err != nil || mode > 0o777 {
		return layer.File{}, errdef.Errorf(errdef.ErrVerification, "%q has the mode %q; only permissions, such as 0644, are allowed", w.Path, w.Mode)
	}
	if w.Digest != "" {
		if err := w.Digest.Validate(); err != nil {
			return layer.File{}, errdef.Errorf(errdef.ErrVerification, "%q has the digest %q: %w", w.Path, w.Digest, err)
		}
	}
	return layer.File{Path: w.Path, Size: w.Size, Mode: fs.FileMode(mode), Digest: w.Digest, Target: w.Target, Layer: w.Layer}, nil
}

// WriteFiles writes a list of files as [ReadFiles] reads it, and as
// encoding/json would write it.
func WriteFiles(w io.Writer, files []layer.File) error {
	out := bufio.NewWriter(w)
	if err := writeFiles(out, files, true); err != nil {
		return err
	}
	return out.Flush()
}

// writeFiles writes a list of files, one by one: of many, what encoding/json makes
// at once takes up much more memory than they do.
func writeFiles(w *bufio.Writer, files []layer.File, escapeHTML bool) error {
	w.WriteByte('[')
	var entry []byte
	for i, f := range files {
		if entry = entry[:0]; i > 0 {
			entry = append(entry, ',')
		}
		if _, err := w.Write(appendFile(entry, f, escapeHTML)); err != nil {
			return err
		}
	}
	return w.WriteByte(']')
}

// appendFile writes f as encoding/json would write its [wireFile].
func appendFile(to []byte, f layer.File, escapeHTML bool) []byte {
	to = append(to, '{')
	if f.Digest != "" {
		to = append(appendString(append(to, `"digest":`...), string(f.Digest), escapeHTML), ',')
	}
	to = strconv.AppendInt(append(to, `"layer":`...), int64(f.Layer), 10)
	to = fmt.Appendf(to, `,"mode":"%04o"`, f.Mode.Perm())
	to = appendString(append(to, `,"path":`...), f.Path, escapeHTML)
	to = strconv.AppendInt(append(to, `,"size":`...), f.Size, 10)
	if f.Target != "" {
		to = appendString(append(to, `,"target":`...), f.Target, escapeHTML)
	}
	return append(to, '}')
}

// appendString writes a string as encoding/json does. Nearly all paths are what
// they are.
func appendString(to []byte, s string, escapeHTML bool) []byte {
	if !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c >= 0x7f || strings.ContainsRune(`"\<>&`, c) }) {
		return append(append(append(to, '"'), s...), '"')
	}
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(escapeHTML)
	_ = encoder.Encode(s) // a string can be encoded
	return append(to, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}
