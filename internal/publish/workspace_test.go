package publish

import (
	"errors"
	"os"
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

// metadata-cargo-1.65.json is what Debian 12's cargo says of a workspace with the members one and two.
func TestDefaultMembersAreKnownWhereCargoDoesNotSayThem(t *testing.T) {
	recorded, err := os.ReadFile("testdata/metadata-cargo-1.65.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ field, want string }{
		{`default-members = ["two"]`, "two"},
		{`default-members = ["./one/"]`, "one"},
		{`default-members = ["t*"]`, "two"},
		{`default-members = ["*"]`, ""},
		{`default-members = ["one", "two"]`, ""},
		{"", ""},
	} {
		dir := writeTree(t, map[string]string{
			"Cargo.toml":     "[workspace]\nmembers = [\"one\", \"two\"]\n" + test.field + "\n",
			"one/Cargo.toml": memberManifest("one", "cdylib"),
			"two/Cargo.toml": memberManifest("two", "cdylib"),
		})
		writeFile(t, filepath.Join(dir, "metadata"), strings.ReplaceAll(string(recorded), "ROOT", dir))
		program := filepath.Join(dir, "cargo")
		writeFile(t, program, "#!/bin/sh\ncase $1 in\nmetadata) cat metadata ;;\nlocate-project) echo \"$PWD/Cargo.toml\" ;;\nesac\n")
		if err := os.Chmod(program, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("CARGO", program)
		ws, err := newCargo(CargoOptions{Dir: dir}).readWorkspace(t.Context())
		if err != nil {
			t.Errorf("with %s: %v", test.field, err)
			continue
		}
		pkg, err := ws.choose("")
		if test.want == "" {
			if !errors.Is(err, errdef.ErrUsage) {
				t.Errorf("with %s: %v was chosen (%v), want a question", test.field, pkg, err)
			}
		} else if err != nil || pkg.Name != test.want {
			t.Errorf("with %s: got %v (%v), want %s", test.field, pkg, err, test.want)
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
