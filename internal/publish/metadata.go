package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// workspace is the answer of `cargo metadata --no-deps`: the workspace members.
// https://doc.rust-lang.org/cargo/commands/cargo-metadata.html#output-format
type workspace struct {
	Packages        []*cargoPackage `json:"packages"`
	DefaultMembers  []string        `json:"workspace_default_members"` // ids; before cargo 1.71 from the manifest
	Root            string          `json:"workspace_root"`
	TargetDirectory string          `json:"target_directory"`

	manifest string // the Cargo.toml that cargo found, maybe of a virtual workspace
}

// cargoPackage is one workspace member.
type cargoPackage struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	ManifestPath  string   `json:"manifest_path"`
	Authors       []string `json:"authors"`
	Description   string   `json:"description"`
	Documentation string   `json:"documentation"`
	Homepage      string   `json:"homepage"`
	License       string   `json:"license"`
	Repository    string   `json:"repository"`
	Targets       []struct {
		Kind []string `json:"kind"`
	} `json:"targets"`
	Metadata json.RawMessage `json:"metadata"` // [package.metadata], of any form
}

// dir is the package's directory.
func (p *cargoPackage) dir() string { return filepath.Dir(p.ManifestPath) }

// spec names the package so that no dependency of the same name is meant.
// https://doc.rust-lang.org/cargo/reference/pkgid-spec.html
func (p *cargoPackage) spec() string {
	if strings.Contains(p.ID, "#") {
		return p.ID
	}
	return p.Name + ":" + p.Version // ids were opaque before cargo 1.77
}

// makes reports whether the package's library is built as one of crateTypes.
func (p *cargoPackage) makes(crateTypes ...string) bool {
	for _, t := range p.Targets {
		// The kind of a library is the list of its crate types; the kind of an
		// example is "example" whatever its crate types are.
		for _, kind := range t.Kind {
			if slices.Contains(crateTypes, kind) {
				return true
			}
		}
	}
	return false
}

func (p *cargoPackage) isNative() bool { return p.makes("staticlib", "cdylib") }

// readWorkspace asks cargo what it would build from.
func (c *cargo) readWorkspace(ctx context.Context) (*workspace, error) {
	manifest, err := c.output(ctx, c.withManifest("locate-project", "--message-format", "plain")...)
	if err != nil {
		return nil, err
	}
	answer, err := c.output(ctx, c.withManifest("metadata", "--no-deps", "--format-version", "1")...)
	if err != nil {
		return nil, err
	}
	ws := &workspace{manifest: strings.TrimSpace(string(manifest))}
	if err := json.Unmarshal(answer, ws); err != nil {
		return nil, fmt.Errorf("reading the answer of cargo metadata for %s: %w; check that %s is cargo", ws.manifest, err, c.program)
	}
	if ws.DefaultMembers == nil {
		return ws, ws.readDefaultMembers()
	}
	return ws, nil
}

// readDefaultMembers sets DefaultMembers as the workspace's manifest has them. The metadata of cargo
// before 1.71 lacks them.
// https://doc.rust-lang.org/cargo/reference/workspaces.html#the-default-members-field
func (ws *workspace) readDefaultMembers() error {
	name := filepath.Join(ws.Root, "Cargo.toml")
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the workspace's default members: %w", err)
	}
	var manifest struct {
		Workspace struct {
			DefaultMembers []string `toml:"default-members"`
		} `toml:"workspace"`
	}
	if err := toml.Unmarshal(text, &manifest); err != nil {
		return fmt.Errorf("reading the workspace's default members in %s: %w", name, err)
	}
	for _, p := range ws.Packages {
		dir, err := filepath.Rel(ws.Root, p.dir())
		if err != nil {
			return fmt.Errorf("reading the workspace's default members: %w", err)
		}
		for _, pattern := range manifest.Workspace.DefaultMembers {
			matched, err := filepath.Match(filepath.Clean(pattern), dir)
			if err != nil {
				return fmt.Errorf("reading the workspace's default members in %s: %q: %w", name, pattern, err)
			}
			if matched {
				ws.DefaultMembers = append(ws.DefaultMembers, p.ID)
				break
			}
		}
	}
	return nil
}

// choose finds the package that want names; when want is empty, the package of
// the manifest or, in a virtual workspace, the only default member.
func (ws *workspace) choose(want string) (*cargoPackage, error) {
	if want != "" {
		for _, p := range ws.Packages {
			if want == p.Name || want == p.ID || want == p.Name+"@"+p.Version || want == p.Name+":"+p.Version {
				return p, nil
			}
		}
		return nil, errdef.Errorf(errdef.ErrUsage, "choosing package %q: the workspace of %s has no such member; choose one with -p: %s",
			want, ws.manifest, strings.Join(ws.names(nil), ", "))
	}
	for _, p := range ws.Packages {
		if sameFile(p.ManifestPath, ws.manifest) {
			return p, nil
		}
	}
	if p := ws.onlyDefault(); p != nil {
		return p, nil
	}
	candidates := ws.names((*cargoPackage).isNative)
	if len(candidates) == 0 {
		candidates = ws.names(nil)
	}
	return nil, errdef.Errorf(errdef.ErrUsage, "choosing a package: %s is a workspace of several; choose one with -p: %s",
		ws.manifest, strings.Join(candidates, ", "))
}

func (ws *workspace) onlyDefault() *cargoPackage {
	if ws.DefaultMembers == nil && len(ws.Packages) == 1 {
		return ws.Packages[0]
	}
	for _, p := range ws.Packages {
		if len(ws.DefaultMembers) == 1 && p.ID == ws.DefaultMembers[0] {
			return p
		}
	}
	return nil
}

// checkNative refuses a package that makes no library other languages can link.
func (ws *workspace) checkNative(pkg *cargoPackage) error {
	if pkg.isNative() {
		return nil
	}
	next := fmt.Sprintf("add crate-type = [\"staticlib\", \"cdylib\"] (or one of them) under [lib] in %s", pkg.ManifestPath)
	if others := ws.names((*cargoPackage).isNative); len(others) > 0 {
		next += ", or choose a member that makes one with -p: " + strings.Join(others, ", ")
	}
	return errdef.Errorf(errdef.ErrUsage, "building package %s: it makes no static or shared library; %s", pkg.Name, next)
}

// names lists the members that keep holds for (nil: all), sorted.
func (ws *workspace) names(keep func(*cargoPackage) bool) []string {
	var names []string
	for _, p := range ws.Packages {
		if keep == nil || keep(p) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// sameFile compares by what the paths lead to: cargo resolves the working
// directory's symbolic links in one answer and not in the other.
func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
