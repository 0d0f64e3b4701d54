package artifact

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/jsonstream"
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

// wireConfig is [Config] as JSON has it, but for the files.
type wireConfig struct {
	Layers   map[digest.Digest][]string `json:"layers,omitzero"`
	Platform *platform.Platform         `json:"platform,omitempty"`
	CPS      *cps.Package               `json:"cps,omitempty"`
	Requires []reference.Requirement    `json:"requires,omitempty"`
}

// write writes the config as JSON with sorted keys, so that one config has one
// digest.
func (c Config) write(w io.Writer) error {
	wire := wireConfig{Layers: c.Layers, CPS: c.CPS, Requires: c.Requires}
	if !c.Platform.IsZero() {
		wire.Platform = &c.Platform
	}
	rest, err := sortedJSON(wire)
	if err != nil {
		return err
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(rest, &values); err != nil {
		return err
	}
	if len(c.Files) > 0 {
		values["files"] = nil // nearly all of it, and in order as they are
	}
	out := bufio.NewWriter(w)
	before := "{"
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(out, "%s%q:", before, key)
		before = ","
		if key == "files" {
			err = writeFiles(out, c.Files, false)
		} else {
			_, err = out.Write(values[key])
		}
		if err != nil {
			return err
		}
	}
	if len(values) == 0 {
		out.WriteByte('{')
	}
	out.WriteByte('}')
	return out.Flush()
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

// putConfig writes the blob that a config becomes beside layers of that
// compression, and holds none of it.
func putConfig(sink Sink, c Config, layers layer.Compression) (ocispec.Descriptor, error) {
	var size counter
	if err := c.write(&size); err != nil {
		return ocispec.Descriptor{}, err
	}
	if layers == layer.Zstd && size > plainConfig {
		desc, err := put(sink, ConfigTypeZstd, func(w io.Writer) error {
			packed := counter(0)
			z, err := layer.Compress(io.MultiWriter(w, &packed), int64(size))
			if err != nil {
				return err
			}
			err = errors.Join(c.write(z), z.Close())
			if err == nil && int64(size) > configBound(int64(packed), limit.Default) {
				err = errShrunk
			}
			return err
		})
		if err != errShrunk {
			return desc, err
		}
	}
	return put(sink, ConfigType, c.write)
}

// errShrunk tells of a config that is so much smaller when it is compressed that
// nobody would read it.
var errShrunk = errors.New("it shrinks beyond the bound")

// counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// configBound gives how many bytes a compressed config of so many may become.
func configBound(packed int64, limits limit.Limits) int64 {
	return min(limits.Config, packed*maxConfigRatio)
}

// readConfig reads the config blob of a package that has one of ours.
func (p *Package) readConfig(limits limit.Limits) (Config, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.RawConfig)), nil }
	if p.Manifest.Config.MediaType == ConfigTypeZstd {
		open = func() (io.ReadCloser, error) {
			return layer.Decompress(p.RawConfig, configBound(int64(len(p.RawConfig)), limits))
		}
	}
	return parseConfig(open, len(p.Manifest.Layers), limits)
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

// parseConfig reads the config of a package of so many layers, which open gives
// as often as it is asked to, and checks that its files can be unpacked. The
// error is of kind [errdef.ErrVerification].
func parseConfig(open func() (io.ReadCloser, error), layers int, limits limit.Limits) (Config, error) {
	// Of thousands of files each of the two takes a good part of what a get does
	// before anything is unpacked. Neither holds the document.
	keys := make(chan error, 1)
	go func() {
		r, err := open()
		if err == nil {
			defer r.Close()
			err = configKeys.check(jsonstream.NewBounded(r, jsonstream.Bounds{String: configBounds.String}, tooMuch))
		}
		keys <- err
	}()
	r, err := open()
	if err != nil {
		return Config{}, err
	}
	defer r.Close()
	var c Config
	if err := c.read(r, limits); err != nil {
		return Config{}, err
	}
	if err := <-keys; err != nil {
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

// configBounds are those of a config, but for its list of files, which is read one
// file at a time.
var configBounds = jsonstream.Bounds{Bytes: 24 << 20, Values: 200_000, Elements: 30_000, String: 1 << 20}

// read reads a config, of which each key comes once.
func (c *Config) read(r io.Reader, limits limit.Limits) error {
	bounded := jsonstream.NewBounded(r, configBounds, tooMuch)
	err := jsonstream.Object(bounded, func(key string, d *json.Decoder) (err error) {
		switch key {
		case "layers":
			return d.Decode(&c.Layers)
		case "files":
			c.Files, err = ReadFiles(d, limits, bounded.Reset)
			bounded.Reset()
			return err
		case "platform":
			var p *platform.Platform
			if err = d.Decode(&p); p != nil {
				c.Platform = p.Clean()
			}
			return err
		case "cps":
			return d.Decode(&c.CPS)
		case "requires":
			return d.Decode(&c.Requires)
		}
		return jsonstream.Skip(d)
	})
	switch {
	case err == nil || errors.Is(err, errdef.ErrVerification):
		return err
	case errors.Is(err, jsonstream.ErrTrailing):
		return errdef.Mark(errdef.ErrVerification, err)
	}
	return invalid(err)
}
