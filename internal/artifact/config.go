package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/platform"
)

// Config is the config blob of a package. Keys that a reader does not know are
// ignored.
type Config struct {
	// Layers says which names a layer has at the top, by its digest: what the
	// Rust program writes and reads. It is informative; nil in a package that
	// the Rust program cannot read.
	Layers map[digest.Digest][]string
	// Files lists every file, link and empty directory, sorted by path. It is
	// empty in a package by the Rust program.
	Files []layer.File
	// Platform is what the package was built for; the zero value when it fits
	// any target.
	Platform platform.Platform
	// CPS describes how the package is linked, @prefix@ standing for its
	// root; nil when there is nothing to link.
	CPS *cps.Package
	// Requires lists the packages that this one needs.
	Requires []reference.Requirement
}

// wireConfig is [Config] as JSON has it.
type wireConfig struct {
	Layers   map[digest.Digest][]string `json:"layers,omitzero"`
	Files    wireFiles                  `json:"files,omitzero"`
	Platform *platform.Platform         `json:"platform,omitempty"`
	CPS      *cps.Package               `json:"cps,omitempty"`
	Requires []reference.Requirement    `json:"requires,omitempty"`
}

// wireFile has its keys in order, as all of a config has.
type wireFile struct {
	Digest digest.Digest `json:"digest,omitempty"`
	Layer  int           `json:"layer"`
	Mode   string        `json:"mode"`
	Path   string        `json:"path"`
	Size   int64         `json:"size"`
	Target string        `json:"target,omitempty"`
}

// wireFiles is a list of files, which is read one by one: what no package can
// have is refused before it takes up memory.
type wireFiles struct {
	list   []wireFile
	limits limit.Limits // a config may list no more files than are unpacked
}

// MarshalJSON writes the list alone.
func (w wireFiles) MarshalJSON() ([]byte, error) { return plainJSON(w.list) }

// IsZero tells whether there is nothing to write.
func (w wireFiles) IsZero() bool { return len(w.list) == 0 }

// UnmarshalJSON reads the list.
func (w *wireFiles) UnmarshalJSON(raw []byte) error {
	w.list = nil // where the key comes twice, which is refused
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token == nil {
		return err
	} else if token != json.Delim('[') {
		return errors.New("files is no list")
	}
	for decoder.More() {
		var f wireFile
		if err := decoder.Decode(&f); err != nil {
			return err
		}
		if f.Path == "" {
			return errors.New("a file has no path")
		}
		if int64(len(w.list)) >= w.limits.Entries {
			return w.limits.Exceeded("entries", "it lists more than %d files", w.limits.Entries)
		}
		w.list = append(w.list, f)
	}
	return nil
}

// Marshal writes the config as JSON with sorted keys, so that one config has
// one digest.
func (c Config) Marshal() ([]byte, error) {
	wire := wireConfig{Layers: c.Layers, CPS: c.CPS, Requires: c.Requires}
	if !c.Platform.IsZero() {
		wire.Platform = &c.Platform
	}
	rest, err := sortedJSON(wire)
	if err != nil {
		return nil, err
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(rest, &values); err != nil {
		return nil, err
	}
	// The files are nearly all of it, and in order as they are.
	if len(c.Files) > 0 {
		if values["files"], err = plainJSON(toWire(c.Files)); err != nil {
			return nil, err
		}
	}
	sorted := []byte("{")
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if len(sorted) > 1 {
			sorted = append(sorted, ',')
		}
		sorted = fmt.Appendf(sorted, "%q:", key)
		sorted = append(sorted, values[key]...)
	}
	return append(sorted, '}'), nil
}

const (
	// plainConfig is up to how many bytes a config stays as people and other
	// tools can read it: the first flight of a connection has room for them.
	plainConfig = 16 << 10
	// maxConfigRatio is how many bytes each byte of a compressed config may
	// become. Digests alone keep lists of files far below it; beyond it, few
	// bytes from the network would take up much memory.
	maxConfigRatio = 100
)

// packConfig gives the media type and the bytes of the blob that a config becomes
// beside layers of that compression.
func packConfig(raw []byte, layers layer.Compression) (string, []byte, error) {
	if layers != layer.Zstd || len(raw) <= plainConfig {
		return ConfigType, raw, nil
	}
	packed, err := layer.Compress(raw)
	if err != nil {
		return "", nil, err
	}
	if int64(len(raw)) > configBound(packed, limit.Default) {
		return ConfigType, raw, nil
	}
	return ConfigTypeZstd, packed, nil
}

// configBound gives how many bytes a compressed config may become.
func configBound(packed []byte, limits limit.Limits) int64 {
	return min(limits.Config, int64(len(packed))*maxConfigRatio)
}

// parseConfig reads the config blob of a package that has one of ours.
func (p *Package) parseConfig(limits limit.Limits) (Config, error) {
	raw := p.RawConfig
	if p.Manifest.Config.MediaType == ConfigTypeZstd {
		var err error
		if raw, err = layer.Decompress(raw, configBound(raw, limits)); err != nil {
			return Config{}, err
		}
	}
	return ParseConfig(raw, len(p.Manifest.Layers), limits)
}

// sortedJSON gives v as JSON whose objects have their keys sorted, with nothing
// escaped that need not be.
func sortedJSON(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return plainJSON(tree)
}

// plainJSON gives v as JSON with nothing escaped that need not be.
func plainJSON(v any) ([]byte, error) {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(plain.Bytes(), []byte("\n")), nil
}

// ParseConfig reads the config of a package of so many layers and checks that
// its files can be unpacked. The error is of kind [errdef.ErrVerification].
func ParseConfig(raw []byte, layers int, limits limit.Limits) (Config, error) {
	wire := wireConfig{Files: wireFiles{limits: limits}}
	// Of thousands of files each of the two takes a good part of what a get does
	// before anything is unpacked.
	keys := make(chan error, 1)
	go func() { keys <- configKeys.check(raw) }()
	if err := decode(raw, &wire); err != nil {
		return Config{}, err
	}
	if err := <-keys; err != nil {
		return Config{}, err
	}
	c := Config{Layers: wire.Layers, CPS: wire.CPS, Requires: wire.Requires}
	if wire.Platform != nil {
		c.Platform = wire.Platform.Clean()
	}
	var err error
	if c.Files, err = fromWire(wire.Files.list); err != nil {
		return Config{}, err
	}
	for _, f := range c.Files {
		if f.Layer < 0 || f.Layer >= layers {
			return Config{}, errdef.Errorf(errdef.ErrVerification, "%q is said to be in layer %d of %d", f.Path, f.Layer, layers)
		}
	}
	if err := layer.CheckFiles(c.Files, limits); err != nil {
		return Config{}, err
	}
	if err := layer.CheckNames(c.Files, c.Platform.OS); err != nil {
		return Config{}, err
	}
	if c.CPS != nil {
		if err := c.CPS.Validate(); err != nil {
			return Config{}, errdef.Errorf(errdef.ErrVerification, "its cps: %w", err)
		}
	}
	return c, nil
}

func toWire(files []layer.File) []wireFile {
	wire := make([]wireFile, len(files))
	for i, f := range files {
		wire[i] = wireFile{Path: f.Path, Size: f.Size, Mode: fmt.Sprintf("%04o", f.Mode.Perm()), Digest: f.Digest, Target: f.Target, Layer: f.Layer}
	}
	return wire
}

func fromWire(wire []wireFile) ([]layer.File, error) {
	files := make([]layer.File, len(wire))
	for i, w := range wire {
		mode, err := strconv.ParseUint(w.Mode, 8, 32)
		if err != nil || mode > 0o777 {
			return nil, errdef.Errorf(errdef.ErrVerification, "%q has the mode %q; only permissions, such as 0644, are allowed", w.Path, w.Mode)
		}
		if w.Digest != "" {
			if err := w.Digest.Validate(); err != nil {
				return nil, errdef.Errorf(errdef.ErrVerification, "%q has the digest %q: %w", w.Path, w.Digest, err)
			}
		}
		files[i] = layer.File{Path: w.Path, Size: w.Size, Mode: fs.FileMode(mode), Digest: w.Digest, Target: w.Target, Layer: w.Layer}
	}
	return files, nil
}

// MarshalFiles writes a list of files as a config has it.
func MarshalFiles(files []layer.File) ([]byte, error) { return json.Marshal(toWire(files)) }

// UnmarshalFiles reads what [MarshalFiles] wrote.
func UnmarshalFiles(raw []byte) ([]layer.File, error) {
	var wire []wireFile
	if err := decode(raw, &wire); err != nil {
		return nil, err
	}
	return fromWire(wire)
}
