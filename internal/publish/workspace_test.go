package publish

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

const member = `[package]
name = "NAME"
version = "0.1.0"
edition = "2021"

[lib]
crate-type = ["TYPE"]
`

func memberManifest(name, crateType string) string {
	return strings.NewReplacer("NAME", name, "TYPE", crateType).Replace(member)
}

func TestAWorkspaceOfSeveralAsksForAPackage(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"Cargo.toml":       "[workspace]\nresolver = \"2\"\nmembers = [\"one\", \"two\", \"plain\"]\n",
		"one/Cargo.toml":   memberManifest("one", "cdylib"),
		"one/src/lib.rs":   "",
		"two/Cargo.toml":   memberManifest("two", "cdylib"),
		"two/src/lib.rs":   "",
		"plain/Cargo.toml": memberManifest("plain", "rlib"),
		"plain/src/lib.rs": "",
	})
	opts := CargoOptions{Dir: dir, Tag: "localhost:5000/x:1"}
	err := cargoError(t, opts)
	wantWords(t, err, "-p: one, two")
	if strings.Contains(err.Error(), "plain") || !errors.Is(err, errdef.ErrUsage) {
		t.Errorf("error %q proposes a member without native library", err)
	}

	opts.Package = "none"
	wantWords(t, cargoError(t, opts), `"none"`, "one, plain, two")
	opts.Package = "plain"
	wantWords(t, cargoError(t, opts), "crate-type", filepath.Join("plain", "Cargo.toml"), "-p: one, two")

	for _, name := range []string{"one", "two@0.1.0"} {
		opts.Package = name
		out, _ := mustCargo(t, opts)
		if out.Package != name[:3] || len(out.Files) != 1 || out.Files[0].Dest != "lib/lib"+out.Package+".so" {
			t.Errorf("-p %s gives %+v", name, out)
		}
	}

	opts.Package = ""
	opts.Dir = filepath.Join(dir, "two", "src")
	if out, _ := mustCargo(t, opts); out.Package != "two" {
		t.Errorf("in two/src the package is %q", out.Package)
	}
}

func TestTheRootPackageAndTheOnlyDefaultMemberNeedNoChoice(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"Cargo.toml":         "[workspace]\nresolver = \"2\"\nmembers = [\"one\", \"two\"]\ndefault-members = [\"two\"]\n",
		"one/Cargo.toml":     memberManifest("one", "cdylib"),
		"one/src/lib.rs":     "",
		"two/Cargo.toml":     memberManifest("two", "cdylib"),
		"two/src/lib.rs":     "",
		"root/Cargo.toml":    memberManifest("root", "cdylib") + "[workspace]\nmembers = [\"in\"]\ndefault-members = [\"in\"]\n",
		"root/src/lib.rs":    "",
		"root/in/Cargo.toml": memberManifest("in", "cdylib"),
		"root/in/src/lib.rs": "",
	})
	for where, want := range map[string]string{".": "two", "root": "root"} {
		out, _ := mustCargo(t, CargoOptions{Dir: filepath.Join(dir, where), Tag: "localhost:5000/x:1"})
		if out.Package != want || out.NativeStaticLibs != nil {
			t.Errorf("in %s: %+v, want package %s", where, out, want)
		}
	}
}

func TestAPackageWithoutNativeLibrarySaysHowToMakeOne(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"Cargo.toml":     memberManifest("plain", "rlib") + "[[example]]\nname = \"ex\"\ncrate-type = [\"staticlib\"]\n",
		"src/lib.rs":     "",
		"examples/ex.rs": "",
	})
	wantWords(t, cargoError(t, CargoOptions{Dir: dir, Tag: "localhost:5000/x:1"}),
		"package plain", `crate-type = ["staticlib", "cdylib"]`, "[lib]", filepath.Join("a crate", "Cargo.toml"))
}
