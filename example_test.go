package ocipkg_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/ocipkg/ocipkg"
)

// A directory becomes a package in a registry, and the package a directory on
// another machine.
func Example() {
	ctx := context.Background()
	host := startRegistry() // "ghcr.io", say
	defer stopRegistry()

	publisher := &ocipkg.Client{Store: tempDir()}
	pushed, err := publisher.Push(ctx, exampleFiles(), []string{host + "/acme/greet:1.0"}, ocipkg.PackOptions{})
	if err != nil {
		log.Fatal(err)
	}

	user := &ocipkg.Client{Store: tempDir()}
	p, err := user.Get(ctx, host+"/acme/greet:1.0", ocipkg.GetOptions{})
	if err != nil {
		log.Fatal(err)
	}
	header, err := os.ReadFile(filepath.Join(p.Directory, "include", "greet.h"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same package:", p.Digest == pushed[0].Descriptor.Digest)
	fmt.Print(string(header))
	// Output:
	// the same package: true
	// void greet(const char *who);
}

// The digest of a package depends on its files alone.
func ExamplePack() {
	out := filepath.Join(tempDir(), "greet")
	desc, err := ocipkg.Pack(context.Background(), exampleFiles(), out, ocipkg.PackOptions{
		Name:        "ghcr.io/acme/greet:1.0",
		Annotations: map[string]string{"org.opencontainers.image.licenses": "MIT"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(desc.ArtifactType)
	fmt.Println(desc.Digest)
	// Output:
	// application/vnd.ocipkg.v1.artifact
	// sha256:136be1722f039eb3cd57fd88faad3f29a5679f507b5924e2fd743162d4e5afa9
}

// Files from anywhere are put where a package has them.
func ExampleCompose() {
	ctx := context.Background()
	files := exampleFiles()
	out := filepath.Join(tempDir(), "greet.tar")
	_, err := ocipkg.Compose(ctx, []ocipkg.Input{
		{Path: filepath.Join(files, "include", "greet.h"), Dest: "include/acme/greet.h"},
		{Path: filepath.Join(files, "README")},
	}, out, ocipkg.PackOptions{})
	if err != nil {
		log.Fatal(err)
	}
	client := &ocipkg.Client{Store: tempDir()}
	in, err := client.Inspect(ctx, out, ocipkg.InspectOptions{Verify: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range in.Files {
		fmt.Println(f.Path, f.Size, f.Mode)
	}
	// Output:
	// README 6 0644
	// include/acme/greet.h 29 0644
}

// An archive is loaded into the store, found by its name, and linked.
func ExampleClient_Link() {
	ctx := context.Background()
	out := filepath.Join(tempDir(), "greet.tar")
	if _, err := ocipkg.Pack(ctx, exampleFiles(), out, ocipkg.PackOptions{Name: "ghcr.io/acme/greet:1.0"}); err != nil {
		log.Fatal(err)
	}
	client := &ocipkg.Client{Store: tempDir()}
	if _, err := client.Load(ctx, out, ocipkg.GetOptions{}); err != nil {
		log.Fatal(err)
	}
	p, err := client.Directory("ghcr.io/acme/greet:1.0", "")
	if err != nil {
		log.Fatal(err)
	}
	flags, err := client.Link(ctx, []string{"ghcr.io/acme/greet:1.0"}, ocipkg.LinkOptions{OnlyCompile: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(flags == "-I"+filepath.ToSlash(p.Directory)+"/include")
	// Output: true
}
