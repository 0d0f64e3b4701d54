// Package publish builds a project with its own build tool and collects what a
// package of it holds: the libraries, the headers, the annotations and the name.
//
// Cargo is the build tool so far. Its outputs are taken from the messages that
// cargo prints, never guessed from names:
// https://doc.rust-lang.org/cargo/reference/external-tools.html
package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path/filepath"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// CargoOptions says what to build and how. The zero value builds the package in
// the working directory as a plain `cargo build` does. Fields that share a name
// with a flag of cargo have that flag's meaning.
type CargoOptions struct {
	// Dir is the directory cargo runs in, which decides about its
	// configuration and toolchain; empty is the working directory.
	Dir string
	// ManifestPath is relative to Dir; empty looks upwards from Dir.
	ManifestPath string
	// Package is a name, name@version or package id of a workspace member;
	// empty takes the package of the manifest.
	Package string

	Release           bool
	Profile           string // empty is cargo's default
	Target            string // empty is cargo's default, the host unless configured
	TargetDir         string // relative to Dir; empty is cargo's default
	Features          []string
	AllFeatures       bool
	NoDefaultFeatures bool
	Locked            bool
	Offline           bool
	Frozen            bool

	// Tag is the image name to use as it is. When empty, the name is made
	// from [package.metadata.ocipkg] registry and the git commit, which then
	// must describe the sources completely.
	Tag string
	// Stderr receives what cargo says; nil discards it.
	Stderr io.Writer
}

// Output is one built package, ready to be packed.
type Output struct {
	// Package is the name of the cargo package.
	Package string
	// Name is the image name.
	Name string
	// Target is the triple that was built for, such as
	// x86_64-unknown-linux-gnu; for a custom target the name of its file.
	Target string
	// Files are the package's files, sorted by destination.
	Files []File
	// Annotations are org.opencontainers.image.* from Cargo.toml; keys whose
	// value is unknown are absent.
	Annotations map[string]string
	// NativeStaticLibs are the linker arguments that the static library needs,
	// in rustc's order and with its repetitions; empty without a static
	// library, or when it needs nothing.
	NativeStaticLibs []string
	// Archive is the default path of the archive, beside the built files.
	Archive string
}

// File is one file of a package.
type File struct {
	// Path is the file on this machine.
	Path string
	// Dest is its slash-separated path inside the package.
	Dest string
}

// Cargo builds a cargo package's staticlib and cdylib with `cargo build` and
// collects them. The program is what CARGO names in the environment, else
// cargo on PATH. When cargo fails, the error is an [*ExitError].
func Cargo(ctx context.Context, opts CargoOptions) (*Output, error) {
	c := newCargo(opts)
	ws, err := c.readWorkspace(ctx)
	if err != nil {
		return nil, err
	}
	pkg, err := ws.choose(opts.Package)
	if err != nil {
		return nil, err
	}
	if err := ws.checkNative(pkg); err != nil {
		return nil, err
	}
	settings, err := pkg.settings()
	if err != nil {
		return nil, err
	}
	name, revision, err := nameImage(ctx, opts.Tag, settings.registry, pkg, ws.TargetDirectory)
	if err != nil {
		return nil, err
	}
	built, err := c.build(ctx, pkg)
	if err != nil {
		return nil, err
	}
	headers, err := collectHeaders(pkg.ManifestPath, ws.TargetDirectory, settings.include)
	if err != nil {
		return nil, err
	}
	target, err := c.targetOf(ctx, built, ws.TargetDirectory)
	if err != nil {
		return nil, err
	}
	return &Output{
		Package:          pkg.Name,
		Name:             name,
		Target:           target,
		Files:            sortFiles(append(built.files, headers...)),
		Annotations:      pkg.annotations(revision),
		NativeStaticLibs: built.nativeStaticLibs,
		Archive:          filepath.Join(built.dir, archiveName(name, target)),
	}, nil
}

// nameImage gives the image name, and the commit where it describes the sources
// completely (else empty).
func nameImage(ctx context.Context, tag, registry string, pkg *cargoPackage, targetDir string) (name, revision string, err error) {
	if tag != "" {
		if _, err := reference.Parse(tag); err != nil {
			return "", "", err
		}
		// The name is given, so the commit is only information: leave it out
		// where it would not be the truth.
		revision, err := gitRevision(ctx, pkg.dir(), targetDir)
		if err != nil {
			return tag, "", ctx.Err()
		}
		return tag, revision, nil
	}
	if registry == "" {
		return "", "", errdef.Errorf(errdef.ErrUsage, "naming the image of package %s: %s has no image repository; add registry = \"ghcr.io/OWNER/%s\" under [package.metadata.ocipkg], or give a name with -t NAME",
			pkg.Name, pkg.ManifestPath, pkg.Name)
	}
	revision, err = gitRevision(ctx, pkg.dir(), targetDir)
	if err != nil {
		return "", "", err
	}
	return registry + ":" + revision[:shortHash], revision, nil
}

// shortHash is the number of digits of a commit hash that tags carry, as the
// Rust ocipkg has them.
const shortHash = 7

// archiveName is a pure function of its arguments, so that building twice
// replaces the archive and building for two targets makes two.
func archiveName(image, target string) string {
	sum := sha256.Sum256([]byte(image + "\x00" + target))
	return "ocipkg_" + hex.EncodeToString(sum[:8]) + ".tar"
}
