// Quickstart shows the whole way of a package: it starts a registry on this
// machine, and runs, each as a user would type it, the commands that build a C
// library, pack it, push it, forget it, fetch it, and link it into a program.
//
// Run it as "make demo" from the top of the repository.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

// steps are shown as they stand and run by sh.
const steps = `
# A small C library
cc -O2 -fPIC -c lib/crc32.c
ar rcs libcrc32.a crc32.o

# Made a package, and published
ocipkg compose libcrc32.a=lib/libcrc32.a lib/crc32.h=include/crc32.h -o crc32.tar -t $REGISTRY/demo/crc32:1.0
ocipkg push crc32.tar

# Forgotten
rm -r lib crc32.o libcrc32.a crc32.tar

# Got back, on what might be another machine
ocipkg get $REGISTRY/demo/crc32:1.0
ocipkg list

# Linked into a Go program, which runs
export CGO_CPPFLAGS="$(ocipkg link --cflags $REGISTRY/demo/crc32:1.0)"
export CGO_LDFLAGS="$(ocipkg link --libs $REGISTRY/demo/crc32:1.0)"
go build -C sum -o ../crc32sum
./crc32sum 123456789
`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run() error {
	work, err := os.MkdirTemp("", "ocipkg-quickstart-*")
	if err != nil {
		return err
	}
	defer func() {
		// The store's packages are read-only, directories included.
		_ = exec.Command("chmod", "-R", "u+w", work).Run()
		os.RemoveAll(work)
	}()
	if err := os.CopyFS(work, os.DirFS(".")); err != nil {
		return err
	}
	host, err := serve()
	if err != nil {
		return err
	}
	fmt.Printf("A registry runs at REGISTRY=%s, and the store starts out empty.\n", host)
	// Ctrl-C ends the script, and leaves this program to tidy up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	script := exec.CommandContext(ctx, "sh", "-e", "-c", shown(steps))
	script.Dir = work
	script.Env = append(os.Environ(), "REGISTRY="+host, "OCIPKG_HOME="+filepath.Join(work, "store"), "GOWORK=off")
	script.Stdout, script.Stderr = os.Stdout, os.Stderr
	if err := script.Run(); err != nil {
		return fmt.Errorf("the last command above failed: %w", err)
	}
	return nil
}

// serve starts a registry in memory on a port of the system's choosing.
func serve() (host string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		if err := http.Serve(listener, ociserver.New(ocimem.New(), nil)); !errors.Is(err, net.ErrClosed) {
			fmt.Fprintln(os.Stderr, "quickstart: registry:", err)
		}
	}()
	return listener.Addr().String(), nil
}

// shown makes a script print each of its lines before it runs it.
func shown(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		quoted := "'" + strings.ReplaceAll(line, "'", `'\''`) + "'"
		switch {
		case line == "":
			b.WriteString("echo\n")
		case strings.HasPrefix(line, "#"):
			fmt.Fprintf(&b, "echo %s\n", quoted)
		default:
			fmt.Fprintf(&b, "echo '$' %s\n%s\n", quoted, line)
		}
	}
	return b.String()
}
