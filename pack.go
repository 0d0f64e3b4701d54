package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/derive"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/linkable"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/internal/survey"
	"github.com/ocipkg/ocipkg/platform"
)

// PackOptions say how a package is made. The zero value makes one without a
// name.
type PackOptions struct {
	// Name is written into the layout, for [Client.Load] and [Client.Push];
	// empty writes none.
	Name string
	// Project is an ocipkg.toml to take annotations and what is not to be
	// derived from; empty is none.
	Project string
	// Annotations go onto the manifest, over those of Project.
	Annotations map[string]string
	// Compression of the layers: "zstd" or "gzip", which the Rust ocipkg
	// reads; empty is zstd.
	Compression string
	// Platform is what the package is for, as in [GetOptions]; "any" fits
	// every target. Empty is read off the files, and so is what the platform
	// leaves open; files that are for another are an error of kind
	// [ErrPlatform]. A target triple is also noted in an annotation.
	Platform string
	// MaxGlibc is the newest glibc that the package may need, such as "2.28";
	// what needs a newer one is warned of. Empty is any.
	MaxGlibc string
	// Strict makes what Warn would be told of the package an error of kind
	// [ErrUsage].
	Strict bool
	// Locked wants the lock file beside Project to go with it: what is missing
	// or stale gives an error of kind [ErrLock]. OCIPKG_LOCKED and OCIPKG_FROZEN
	// set it, too.
	Locked bool
	// Force replaces an output that is there.
	Force bool
	// Reread makes [Client.Push] read all files, also those that look as they did
	// when they were pushed before, by inode, size and times.
	Reread bool
	// NativeStaticLibs holds, by the name of a static library that rustc made
	// (after "lib"), what rustc says it must be linked with.
	NativeStaticLibs map[string][]string
	// Warn takes a line about something that went on all the same; nil drops
	// it.
	Warn func(line string)
}

// Input is a file for [Compose].
type Input struct {
	Path string // on this machine; links are followed
	Dest string // in the package, slash-separated; empty is the name of Path
}

// Pack makes a package of the directory dir. The output is oci:DIR[:TAG] or the
// path of an archive, to which .tar is added where it does not end so. It gives
// the descriptor of the package's manifest.
//
// A failed Pack leaves no output, and the old one as it was.
func Pack(ctx context.Context, dir, output string, options PackOptions) (Descriptor, error) {
	files, err := layer.Scan(dir, isExecutable)
	if err != nil {
		return Descriptor{}, fmt.Errorf("pack %s: %w", dir, err)
	}
	if err := outside(output, dir); err != nil {
		return Descriptor{}, fmt.Errorf("pack %s: %w", dir, err)
	}
	desc, err := write(ctx, files, output, options)
	if err != nil {
		return Descriptor{}, fmt.Errorf("pack %s into %s: %w", dir, output, err)
	}
	return desc, nil
}

// Compose makes a package of single files. Otherwise it is as [Pack].
func Compose(ctx context.Context, inputs []Input, output string, options PackOptions) (Descriptor, error) {
	var files []layer.File
	from := map[string]string{}
	for _, in := range inputs {
		dest := in.Dest
		if dest == "" {
			dest = filepath.Base(in.Path)
		}
		dest = path.Clean(dest)
		if other, twice := from[dest]; twice {
			return Descriptor{}, errdef.Errorf(errdef.ErrUsage, "compose %s: %s and %s would both be %s in the package; give one of them another place as PATH=DEST", output, other, in.Path, dest)
		}
		from[dest] = in.Path
		f, err := layer.Entry(in.Path, dest, isExecutable)
		if err != nil {
			return Descriptor{}, fmt.Errorf("compose %s: %w", output, err)
		}
		files = append(files, f)
	}
	if err := layer.Arrange(files); err != nil {
		return Descriptor{}, fmt.Errorf("compose %s: %w", output, err)
	}
	desc, err := write(ctx, files, output, options)
	if err != nil {
		return Descriptor{}, fmt.Errorf("compose %s: %w", output, err)
	}
	return desc, nil
}

// Runnable makes a container image of a statically linked Linux program, which
// any container runtime can start. The output is as that of [Pack]; of the
// options, Name, Project, Annotations and Force apply.
func Runnable(ctx context.Context, program, output string, options PackOptions) (Descriptor, error) {
	desc, err := runnable(ctx, program, output, options)
	if err != nil {
		return Descriptor{}, fmt.Errorf("make an image of %s: %w", program, err)
	}
	return desc, nil
}

func runnable(ctx context.Context, program, output string, options PackOptions) (Descriptor, error) {
	file, err := layer.Entry(program, filepath.Base(program), isExecutable)
	if err != nil {
		return Descriptor{}, err
	}
	built, err := staticProgram(program)
	if err != nil {
		return Descriptor{}, err
	}
	spec, _, err := options.spec()
	if err != nil {
		return Descriptor{}, err
	}
	return writeLayout(output, options, func(sink artifact.Sink) (Descriptor, error) {
		return artifact.BuildImage(ctx, sink, file, built, spec.Annotations)
	})
}

// staticProgram reads the platform of a program, which must run without any
// library beside it.
func staticProgram(program string) (Platform, error) {
	info, err := survey.Inspect(program)
	switch {
	case errors.Is(err, binfmt.ErrNotBinary) || errors.Is(err, binfmt.ErrMalformed):
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "it is no program (%w); give a statically linked ELF executable", err)
	case err != nil:
		return Platform{}, err
	case info.Format != binfmt.FormatELF || info.Kind != binfmt.KindExecutable:
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "it is a file of the format %s and the kind %s; give a statically linked ELF executable", info.Format, info.Kind)
	case !info.Static:
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "it is linked dynamically (it asks for %s), and the image would have nothing else in it; link it with -static", info.Interpreter)
	}
	return Platform{OS: info.Platform.OS, Architecture: info.Platform.Architecture, Variant: info.Platform.Variant}, nil
}

// write builds a package of files into output.
func write(ctx context.Context, files []layer.File, output string, options PackOptions) (Descriptor, error) {
	spec, err := options.describe(files)
	if err != nil {
		return Descriptor{}, err
	}
	return writeLayout(output, options, func(sink artifact.Sink) (Descriptor, error) {
		return artifact.Build(ctx, sink, spec)
	})
}

// writeLayout makes the layout at output from what build writes.
func writeLayout(output string, options PackOptions, build func(artifact.Sink) (Descriptor, error)) (Descriptor, error) {
	name := options.Name
	if name != "" {
		ref, err := reference.Parse(name)
		if err != nil {
			return Descriptor{}, err
		}
		name = ref.String()
	}
	place, err := parseOutput(output)
	if err != nil {
		return Descriptor{}, err
	}
	w, err := place.create(options.Force)
	if err != nil {
		return Descriptor{}, err
	}
	if name == "" {
		name = place.tag
	}
	defer w.Close()
	desc, err := build(w)
	if err != nil {
		return Descriptor{}, err
	}
	return desc, w.Finish(desc, name)
}

// spec gives the part of a package's description that does not depend on its
// files, and the project file that it came from.
func (o PackOptions) spec() (artifact.Spec, project.File, error) {
	compression, err := layer.ParseCompression(o.Compression)
	if err != nil {
		return artifact.Spec{}, project.File{}, err
	}
	var file project.File
	if o.Project != "" {
		if file, err = project.Read(o.Project); err != nil {
			return artifact.Spec{}, file, err
		}
	}
	spec := artifact.Spec{Compression: compression, Annotations: map[string]string{}}
	maps.Copy(spec.Annotations, file.Annotations)
	maps.Copy(spec.Annotations, o.Annotations)
	if triple, _, _ := strings.Cut(o.Platform, " "); !strings.Contains(triple, "/") {
		if _, err := platform.FromTriple(triple); err == nil {
			spec.Annotations[platform.AnnotationTarget] = triple
		}
	}
	spec.Requires, err = o.requires(file)
	return spec, file, err
}

// requires makes of what the project links what its package requires, with what
// its lock says that it was built with.
func (o PackOptions) requires(file project.File) ([]reference.Requirement, error) {
	if len(file.Dependencies) == 0 {
		return nil, nil
	}
	of, err := project.At(filepath.Dir(o.Project), file)
	if err != nil {
		return nil, err
	}
	policy, err := project.PolicyFromEnv()
	if err != nil {
		return nil, err
	}
	if o.Locked || policy.Locked {
		if err := of.CheckLock(); err != nil {
			return nil, err
		}
	}
	var all []reference.Requirement
	for _, alias := range slices.Sorted(maps.Keys(file.Dependencies)) {
		ref, err := reference.Parse(file.Dependencies[alias].Reference())
		if err != nil {
			return nil, err
		}
		requirement := reference.Requirement{Package: alias, Image: ref.Name(), Tag: ref.Tag, BuiltWith: ref.Digest}
		linked, err := of.Reference(alias)
		if err != nil {
			return nil, err
		}
		locked, err := of.Locked(linked)
		if err != nil {
			return nil, err
		}
		// An override may have put another repository's package in its place.
		if locked != nil && ref.Digest == "" && linked.Name() == ref.Name() {
			requirement.BuiltWith = locked.Digest
		}
		all = append(all, requirement)
	}
	return all, nil
}

// describe says what a package of files is to be. What they are for and how they
// are linked is read off them while they are packed.
func (o PackOptions) describe(files []layer.File) (artifact.Spec, error) {
	if o.MaxGlibc != "" && !platform.IsVersion(o.MaxGlibc) {
		return artifact.Spec{}, errdef.Errorf(errdef.ErrUsage, "the newest glibc that the package may need is given as %q, which is no version; write it as 2.28", o.MaxGlibc)
	}
	spec, file, err := o.spec()
	if err != nil {
		return spec, err
	}
	if spec.Files, err = o.withoutScripts(files); err != nil {
		return spec, err
	}
	spec.Complete = func(spec *artifact.Spec) error { return o.complete(spec, file) }
	return spec, nil
}

// withoutScripts leaves out linker scripts in the place of shared libraries that
// lie beside them, such as Debian's libc.so: they name files of one machine, and
// every consumer refuses them. The library is linked by the name of the script.
func (o PackOptions) withoutScripts(files []layer.File) ([]layer.File, error) {
	var left []string
	tree := layer.FS(files)
	kept := slices.DeleteFunc(slices.Clone(files), func(f layer.File) bool {
		beside := func(other layer.File) bool { return strings.HasPrefix(other.Path, f.Path+".") }
		if path.Ext(f.Path) != ".so" || !f.IsRegular() || !slices.ContainsFunc(files, beside) {
			return false
		}
		found, err := linkable.Check(tree, []layer.File{f}, Platform{})
		if err != nil || len(found) == 0 || !found[0].Script {
			return false
		}
		left = append(left, f.Path)
		return true
	})
	if len(left) == 0 {
		return files, nil
	}
	return kept, o.tell([]string{derive.Several(left) + ": linker scripts that name files elsewhere, which every consumer refuses: they are left out, and the libraries beside them are linked by their names"})
}

// complete reads off the files of a package what they are for and how they are
// linked, as far as the project's file does not say.
func (o PackOptions) complete(spec *artifact.Spec, file project.File) error {
	of, err := survey.Of(spec.Files)
	if err != nil {
		return err
	}
	given, err := o.given()
	if err != nil {
		return err
	}
	if o.Platform != "any" {
		if spec.Platform, err = of.Platform(given); err != nil {
			return err
		}
	}
	if err := layer.CheckNames(spec.Files, spec.Platform.OS); err != nil {
		return errdef.Errorf(errdef.ErrUsage, "%v; rename it, or, where the package is for a system like Linux alone, say so with --platform", err)
	}
	var found []string
	derivation := derive.Options{
		Name: file.Package.Name, Version: file.Package.Version, SystemLibs: file.Package.SystemLibs,
		Names:            file.Package.Names,
		NativeStaticLibs: o.NativeStaticLibs, Warn: func(line string) { found = append(found, line) },
	}
	for _, requirement := range spec.Requires {
		derivation.Requires = append(derivation.Requires, requirement.Package)
	}
	derivation.Require = func(name string) (string, error) { return require(spec, name) }
	if file.Package.CPS != "" {
		if derivation.Document, err = readCPS(filepath.Join(filepath.Dir(o.Project), file.Package.CPS)); err != nil {
			return err
		}
	}
	if spec.CPS, err = derive.Package(layer.FS(spec.Files), derivation); err != nil {
		return err
	}
	var requires []string
	for _, r := range spec.Requires {
		requires = append(requires, r.Package, path.Base(r.Image))
	}
	of.LinkedWith(spec.CPS, requires)
	of.Estimate(&spec.Platform, given)
	lint := survey.LintOptions{MaxGlibc: o.MaxGlibc, Platform: spec.Platform, CPS: spec.CPS, SystemLibs: file.Package.SystemLibs}
	lint.Required, lint.RequiredUnknown = o.required(file, *spec)
	return o.tell(slices.Concat(found, of.Lint(lint), refusedFlags(*spec)))
}

// required returns the descriptions of the packages that a package requires, by
// its names for them, and whether there are some that the store does not have.
func (o PackOptions) required(file project.File, spec artifact.Spec) (required map[string]*cps.Package, unknown bool) {
	if len(spec.Requires) == 0 {
		return nil, false
	}
	if len(spec.Requires) > len(file.Dependencies) {
		return nil, true // by reference, in a .pc file
	}
	of, err := project.At(filepath.Dir(o.Project), file)
	if err != nil {
		return nil, true
	}
	in, err := store.Open("")
	if err != nil {
		return nil, true
	}
	target := spec.Platform
	resolver := &resolve.Resolver{Store: in, Project: of, Target: func() (Platform, error) { return target, nil }}
	_, all, err := resolver.Closure(context.Background(), slices.Collect(maps.Keys(file.Dependencies)))
	if err != nil {
		return nil, true
	}
	required = map[string]*cps.Package{}
	for _, node := range all {
		if node.Package.CPS != nil {
			required[node.Name] = node.Package.CPS
		}
	}
	return required, false
}

// refusedFlags tells of the flags that a package asks for and that every consumer
// refuses.
func refusedFlags(spec artifact.Spec) []string {
	if spec.CPS == nil {
		return nil
	}
	p := &link.Package{Name: spec.CPS.Name, Root: "/", CPS: spec.CPS}
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(spec.CPS.Components)) {
		for _, shared := range []bool{false, true} {
			options := link.Options{Shared: shared, OS: spec.Platform.OS, Env: spec.Platform.Env, AllowFlags: slices.Clone(flags)}
			for range 100 {
				var refused *link.FlagError
				_, err := link.Link([]*link.Package{p}, []link.Request{{Package: p, Components: []string{name}}}, options)
				if !errors.As(err, &refused) || slices.Contains(flags, refused.Flag) {
					break
				}
				flags = append(flags, refused.Flag)
				options.AllowFlags = flags
			}
		}
	}
	if len(flags) == 0 {
		return nil
	}
	return []string{derive.Several(flags) + ": flags that are not on the list of harmless ones with paths in the package, so that every consumer refuses them; leave them out of the .pc or .cps file"}
}

// require adds what a library was linked with by reference to what its package
// requires, unless the project does, and gives the name that it goes by.
func require(spec *artifact.Spec, name string) (string, error) {
	ref, err := reference.Parse(name)
	if err != nil {
		return "", err
	}
	alias := path.Base(ref.Repository)
	for _, r := range spec.Requires {
		if r.Image == ref.Name() && r.Tag == ref.Tag {
			return r.Package, nil
		}
		if r.Package == alias {
			alias = strings.NewReplacer("/", "-", ":", "-").Replace(ref.Name())
		}
	}
	spec.Requires = append(spec.Requires, reference.Requirement{Package: alias, Image: ref.Name(), Tag: ref.Tag, BuiltWith: ref.Digest})
	return alias, nil
}

// readCPS reads the document that a project describes its package with.
func readCPS(name string) (*cps.Package, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "%s, which ocipkg.toml names as the cps document, does not exist", name)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return cps.Read(f, name)
}

// given reads what the user says that the package is for.
func (o PackOptions) given() (Platform, error) {
	if o.Platform == "" || o.Platform == "any" {
		return Platform{}, nil
	}
	return platform.Parse(o.Platform)
}

// tell tells the user what will trouble those who link the package; with Strict
// that is an error.
func (o PackOptions) tell(found []string) error {
	if len(found) > 0 && o.Strict {
		return errdef.Errorf(errdef.ErrUsage, "the package is not fit to be published: %s; mend it, or leave --strict out", strings.Join(found, "; "))
	}
	for _, line := range found {
		if o.Warn != nil {
			o.Warn(line)
		}
	}
	return nil
}

// place is a parsed output.
type place struct {
	path    string
	tag     string
	archive bool
}

// String writes a place as it would be given.
func (p place) String() string {
	switch {
	case p.archive:
		return "oci-archive:" + p.path
	case p.tag != "":
		return "oci:" + p.path + ":" + p.tag
	}
	return "oci:" + p.path
}

// create starts the layout at a place.
func (p place) create(replace bool) (*layout.Writer, error) {
	if p.archive {
		return layout.CreateArchive(p.path, replace)
	}
	return layout.CreateDir(p.path)
}

// parseOutput reads where a layout is to be written.
func parseOutput(output string) (place, error) {
	if rest, ok := strings.CutPrefix(output, "oci:"); ok {
		dir, tag := splitTag(rest)
		if dir == "" {
			return place{}, errdef.Errorf(errdef.ErrUsage, "%q names no directory; write it as oci:DIR or oci:DIR:TAG", output)
		}
		return place{path: dir, tag: tag}, nil
	}
	file := strings.TrimPrefix(output, "oci-archive:")
	if base := filepath.Base(file); file == "" || base == "." || base == ".." || strings.HasSuffix(file, "/") {
		return place{}, errdef.Errorf(errdef.ErrUsage, "%q is no name for an output file", output)
	}
	if !strings.HasSuffix(file, ".tar") {
		file += ".tar"
	}
	return place{path: file, archive: true}, nil
}

// splitTag cuts DIR:TAG. A colon in the directory part, as in C:\dir, is the
// directory's.
func splitTag(s string) (dir, tag string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.ContainsAny(s[i:], `/\`) || i == 1 && filepath.VolumeName(s) != "" {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// outside refuses an output in the directory that is packed: it would be packed
// into itself the next time.
func outside(output, dir string) error {
	place, err := parseOutput(output)
	if err != nil {
		return err
	}
	in, err := realPath(dir)
	if err != nil {
		return err
	}
	out, err := realPath(filepath.Dir(place.path))
	if err != nil {
		return nil // the directory of the output is not there: that error comes later
	}
	if rel, err := filepath.Rel(in, out); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return errdef.Errorf(errdef.ErrUsage, "the output %s would be in the directory that is packed; choose a place outside", place.path)
	}
	return nil
}

func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// isExecutable tells a program by its bytes, where the file system has no mode
// to tell it by.
func isExecutable(r io.ReaderAt, size int64) bool {
	ok, err := binfmt.IsExecutable(r, size)
	return ok && err == nil
}
