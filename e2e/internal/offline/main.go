// The program offline uses a package as a program does that is told to be
// offline.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ocipkg/ocipkg"
)

func main() {
	client := &ocipkg.Client{Offline: true, Warn: func(line string) { fmt.Fprintln(os.Stderr, "warning:", line) }}
	ctx := context.Background()
	name := os.Args[2]
	err := map[string]func() error{
		"get":     func() error { _, err := client.Get(ctx, name, ocipkg.GetOptions{}); return err },
		"inspect": func() error { _, err := client.Inspect(ctx, name, ocipkg.InspectOptions{Verify: true}); return err },
		"link":    func() error { _, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{}); return err },
		"tags":    func() error { _, err := client.Tags(ctx, name); return err },
		"login":   func() error { return client.Login(ctx, name, "ann", "secret") },
		"push":    func() error { _, err := client.Push(ctx, "in.tar", []string{name}, ocipkg.PackOptions{}); return err },
		"copy":    func() error { _, err := client.Copy(ctx, name, "out.tar", ocipkg.CopyOptions{Force: true}); return err },
		"add": func() error {
			_, err := client.AddToIndex(ctx, name, []string{"in.tar"}, ocipkg.PackOptions{})
			return err
		},
	}[os.Args[1]]()
	if err != nil {
		fmt.Fprintln(os.Stderr, "offline:", err)
		os.Exit(1)
	}
}
