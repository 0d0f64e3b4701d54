package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// built is what one build of a package left.
type built struct {
	dir              string // directory of the libraries
	files            []File
	nativeStaticLibs []string
}

// message is one line of cargo's --message-format=json.
// https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages
type message struct {
	Reason    string `json:"reason"`
	PackageID string `json:"package_id"`

	// For "compiler-message":
	Message struct {
		Level    string `json:"level"`
		Message  string `json:"message"`
		Rendered string `json:"rendered"`
	} `json:"message"`

	// For "compiler-artifact":
	Target struct {
		CrateTypes []string `json:"crate_types"`
	} `json:"target"`
	Filenames []string `json:"filenames"`
}

// build runs cargo build on the library of pkg. Where there is a static library
// its native libraries are asked for first, because that run leaves a library
// of its own under the same name, which the build then replaces.
func (c *cargo) build(ctx context.Context, pkg *cargoPackage) (*built, error) {
	b := &built{}
	if pkg.makes("staticlib") {
		libs, err := c.nativeStaticLibs(ctx, pkg)
		if err != nil {
			return nil, err
		}
		b.nativeStaticLibs = libs
	}
	// cargo itself renders the compiler's messages here.
	args := append(c.buildArgs("build", pkg), "--message-format=json-render-diagnostics")
	err := c.messages(ctx, args, func(m *message) error {
		if m.Reason != "compiler-artifact" || m.PackageID != pkg.ID {
			return nil
		}
		return b.add(m)
	})
	if err != nil {
		return nil, err
	}
	if len(b.files) == 0 {
		return nil, fmt.Errorf("building package %s: cargo build reported no static or shared library; check that the target supports the crate-type in %s", pkg.Name, pkg.ManifestPath)
	}
	return b, nil
}

// nativeStaticLibs asks rustc what must be linked along with the static library.
//
// rustc says so only while it makes one, and only with --print, which cargo
// passes on by `cargo rustc`. Done on the real outputs, that would make cargo
// recompile the library at each change between `cargo build` and this. Asking
// for other crate types than the package declares gives cargo a unit of its own,
// which shares all dependencies, stays fresh, and whose messages cargo repeats
// when it is fresh. The price is a second compilation of this one crate when it
// changed; without link-time optimisation, which has no influence on the answer,
// it is a cheap one.
func (c *cargo) nativeStaticLibs(ctx context.Context, pkg *cargoPackage) ([]string, error) {
	crateTypes := "staticlib"
	if !pkg.makes("cdylib", "rlib", "lib", "dylib") {
		crateTypes = "staticlib,rlib"
	}
	args := append(c.buildArgs("rustc", pkg), "--crate-type", crateTypes, c.renderedFormat(),
		"--", "--print", "native-static-libs", "-C", "lto=off")
	var libs []string
	err := c.messages(ctx, args, func(m *message) error {
		if m.Reason != "compiler-message" {
			return nil
		}
		if list, ok := strings.CutPrefix(m.Message.Message, "native-static-libs:"); ok {
			libs = strings.Fields(list)
		}
		// Warnings come again with the build; errors prevent it.
		if strings.HasPrefix(m.Message.Level, "error") || m.Message.Level == "failure-note" {
			_, err := io.WriteString(c.stderr, m.Message.Rendered)
			return err
		}
		return nil
	})
	return libs, err
}

// buildArgs are the arguments that cargo build and cargo rustc share.
func (c *cargo) buildArgs(command string, pkg *cargoPackage) []string {
	args := []string{command, "--lib", "--manifest-path", pkg.ManifestPath, "--package", pkg.spec()}
	flag := func(set bool, name string) {
		if set {
			args = append(args, name)
		}
	}
	value := func(name, value string) {
		if value != "" {
			args = append(args, name, value)
		}
	}
	flag(c.opts.Release, "--release")
	value("--profile", c.opts.Profile)
	value("--target", c.opts.Target)
	value("--target-dir", c.opts.TargetDir)
	value("--features", strings.Join(c.opts.Features, ","))
	flag(c.opts.AllFeatures, "--all-features")
	flag(c.opts.NoDefaultFeatures, "--no-default-features")
	flag(c.opts.Locked, "--locked")
	flag(c.opts.Offline, "--offline")
	flag(c.opts.Frozen, "--frozen")
	return args
}

// messages runs cargo and gives its JSON messages to handle.
func (c *cargo) messages(ctx context.Context, args []string, handle func(*message) error) error {
	return c.run(ctx, args, func(line []byte) error {
		var m message
		if json.Unmarshal(line, &m) != nil {
			return nil // what a procedural macro prints comes in between
		}
		return handle(&m)
	})
}

// add notes the libraries of one artifact message.
func (b *built) add(m *message) error {
	for _, name := range m.Filenames {
		dest := libraryDest(name, m.Target.CrateTypes)
		if dest == "" {
			continue
		}
		dir := filepath.Dir(name)
		if b.dir != "" && b.dir != dir {
			return fmt.Errorf("collecting the libraries: cargo built for several targets, into %s and %s; choose one with --target", b.dir, dir)
		}
		b.dir = dir
		b.files = append(b.files, File{Path: name, Dest: dest})
	}
	return nil
}

// libraryDest gives the place in the package for a file that cargo made for a
// library of the given crate types; empty for what other languages cannot link
// (rlibs) and for debug information beside the library (.pdb, .dSYM), which
// names the build machine's directories.
func libraryDest(name string, crateTypes []string) string {
	base := filepath.Base(name)
	lower := strings.ToLower(base)
	has := func(crateType string) bool { return slices.Contains(crateTypes, crateType) }
	hasSuffix := func(suffixes ...string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(lower, s) })
	}
	switch {
	case hasSuffix(".dll.a", ".dll.lib") && has("cdylib"): // import libraries
		return "lib/" + base
	case hasSuffix(".dll") && has("cdylib"):
		return "bin/" + base
	case hasSuffix(".so", ".dylib", ".wasm") && has("cdylib"):
		return "lib/" + base
	case hasSuffix(".a", ".lib") && !hasSuffix(".dll.a", ".dll.lib") && has("staticlib"):
		return "lib/" + base
	}
	return ""
}

// targetOf gives the triple that was built for. With --target or build.target,
// cargo's directories are TARGET_DIR/TRIPLE/PROFILE; without, they are
// TARGET_DIR/PROFILE and the host is the target.
func (c *cargo) targetOf(ctx context.Context, b *built, targetDir string) (string, error) {
	if above := filepath.Dir(b.dir); !sameFile(above, targetDir) {
		return filepath.Base(above), nil
	}
	answer, err := c.output(ctx, "--version", "--verbose")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(answer)) {
		if host, ok := strings.CutPrefix(strings.TrimSpace(line), "host: "); ok {
			return host, nil
		}
	}
	return "", fmt.Errorf("asking %s --version --verbose for the host: it names none; choose the target with --target", c.program)
}
