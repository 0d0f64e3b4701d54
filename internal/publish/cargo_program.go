package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// ExitError is the failure of cargo itself. Cargo has said why on Stderr.
type ExitError struct {
	// Command is the cargo command that failed, such as "build".
	Command string
	// Code is cargo's exit code, or 128 plus the signal that ended it.
	Code int
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("running cargo %s: it failed with exit code %d; see its message above", e.Command, e.Code)
}

// cargo runs the cargo program for one set of options.
type cargo struct {
	opts    CargoOptions
	program string
	stderr  io.Writer
	color   bool // stderr shows colours
}

func newCargo(opts CargoOptions) *cargo {
	c := &cargo{opts: opts, program: os.Getenv("CARGO"), stderr: opts.Stderr}
	if c.program == "" {
		c.program = "cargo"
	}
	switch w := opts.Stderr.(type) {
	case nil:
		c.stderr = io.Discard
	case *os.File:
		c.color = term.IsTerminal(int(w.Fd())) && os.Getenv("NO_COLOR") == ""
	default:
		// Cargo's stderr and its rendered messages arrive from two goroutines.
		c.stderr = &lockedWriter{w: w}
	}
	return c
}

// renderedFormat asks for messages with rendered diagnostics as cargo would
// print them itself.
func (c *cargo) renderedFormat() string {
	if c.color {
		return "--message-format=json-diagnostic-rendered-ansi"
	}
	return "--message-format=json"
}

// withManifest adds the manifest path that the user gave, if any, to arguments.
func (c *cargo) withManifest(args ...string) []string {
	if c.opts.ManifestPath != "" {
		args = append(args, "--manifest-path", c.opts.ManifestPath)
	}
	return args
}

// output runs cargo and returns its standard output.
func (c *cargo) output(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := c.run(ctx, args, func(line []byte) error {
		out.Write(line)
		return out.WriteByte('\n')
	})
	return out.Bytes(), err
}

// run runs cargo and gives each line of its standard output to handle. After an
// error of handle the rest is dropped.
func (c *cargo) run(ctx context.Context, args []string, handle func(line []byte) error) error {
	cmd := exec.CommandContext(ctx, c.program, args...)
	killWithChildren(cmd)
	cmd.Dir = c.opts.Dir
	cmd.Stderr = c.stderr
	if c.opts.TargetDir != "" && args[0] == "metadata" {
		// The flag of that name is only for commands that build.
		cmd.Env = append(cmd.Environ(), "CARGO_TARGET_DIR="+c.opts.TargetDir)
	}
	// A compiler that outlives a killed cargo may hold its output open.
	cmd.WaitDelay = time.Second
	stdout := &lineWriter{handle: handle}
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		return c.startError(err)
	}
	if err := cmd.Wait(); err != nil {
		return c.waitError(ctx, args[0], err)
	}
	return stdout.flush()
}

// lineWriter gives whole lines to handle, until handle fails. Writing to it
// never fails, so that the writing program finishes its work.
type lineWriter struct {
	handle func(line []byte) error
	rest   []byte
	err    error
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for l.err == nil {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.err = l.handle(line)
		l.rest = rest
	}
	l.rest = nil
	return len(p), nil
}

// flush handles the last line where it has no line ending, and returns the
// first error of handle.
func (l *lineWriter) flush() error {
	if l.err == nil && len(l.rest) > 0 {
		l.err = l.handle(l.rest)
	}
	return l.err
}

func (c *cargo) startError(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return errdef.Errorf(errdef.ErrNotFound, "running cargo: %w; install Rust (https://rustup.rs), or name the program in CARGO", err)
	}
	return fmt.Errorf("running cargo: %w", err)
}

func (c *cargo) waitError(ctx context.Context, command string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("running cargo %s: %w", command, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("running cargo %s: %w", command, err)
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return &ExitError{Command: strings.TrimPrefix(command, "--"), Code: code}
}

// lockedWriter lets several goroutines write whole pieces to w.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
