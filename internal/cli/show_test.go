package cli

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/ocipkg/ocipkg"
)

func TestAnInspectionIsWrittenAsJSONHasIt(t *testing.T) {
	files := []ocipkg.FileInfo{
		{Path: "lib/liba.a", Size: 3, Mode: "0644", Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{Path: "lib/<b> & c", Mode: "0777", Target: "liba.a"},
	}
	entry := []ocipkg.IndexEntry{{Target: "x86_64-linux-gnu"}}
	description := json.RawMessage(`{"name":"a","components":{"x":{"type":"archive"}},"empty":{},"none":[]}`)
	for _, in := range []ocipkg.Inspection{
		{}, {Source: "a.tar", Name: "x/y:1", Size: 7}, {Files: files[:1]}, {Files: files, Annotations: map[string]string{"b": "\"", "a": "{"}},
		{Files: files, CPS: description}, {CPS: description}, {CPS: json.RawMessage("{}"), Layers: []ocipkg.Descriptor{{Size: 1}}}, {Packages: entry},
	} {
		want, err := json.MarshalIndent(in, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := writeInspection(&got, &in); err != nil || got.String() != string(want)+"\n" {
			t.Errorf("it is written as %s, %v; want %s", got.String(), err, want)
		}
	}
}
