// Package registry starts registries for one measurement each: a process and a
// directory that are gone afterwards.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Registry is a running one, open to everybody, on this machine's loopback.
type Registry struct {
	Host    string // with the port
	storage string
	dir     string
	cmd     *exec.Cmd
}

const config = `version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: %s
http:
  addr: %s
`

// Start starts a registry of the distribution project, program being that of
// any of its versions, with empty storage below dir.
func Start(ctx context.Context, program, dir string) (*Registry, error) {
	dir, err := os.MkdirTemp(dir, "registry-")
	if err != nil {
		return nil, err
	}
	r := &Registry{dir: dir, storage: filepath.Join(dir, "storage")}
	if err := r.start(ctx, program); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", program, err), os.RemoveAll(dir))
	}
	return r, nil
}

func (r *Registry) start(ctx context.Context, program string) error {
	var err error
	if r.Host, err = freeAddress(); err != nil {
		return err
	}
	file, logFile := filepath.Join(r.dir, "config.yml"), filepath.Join(r.dir, "log")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, r.storage, r.Host), 0o644); err != nil {
		return err
	}
	log, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	r.cmd = exec.Command(program, "serve", file)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	r.cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for range 1000 {
		response, err := http.Get("http://" + r.Host + "/v2/")
		if err == nil {
			return response.Body.Close()
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), r.kill())
		case <-time.After(10 * time.Millisecond):
		}
	}
	text, _ := os.ReadFile(logFile)
	return errors.Join(fmt.Errorf("it does not answer\n%s", text), r.kill())
}

func (r *Registry) kill() error {
	err := r.cmd.Process.Kill()
	_ = r.cmd.Wait() // says that it was killed
	return err
}

// Stop ends the registry and removes what it stored.
func (r *Registry) Stop() error {
	return errors.Join(r.kill(), os.RemoveAll(r.dir))
}

// Stored gives the bytes of all files that the registry keeps.
func (r *Registry) Stored() (int64, error) {
	var sum int64
	err := filepath.WalkDir(r.storage, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Tag gives a manifest that a repository has further tags, straight in the
// registry's storage, as the registry itself writes them.
func (r *Registry) Tag(repository, digest string, tags []string) error {
	encoded, ok := strings.CutPrefix(digest, "sha256:")
	if !ok {
		return fmt.Errorf("%q is no digest", digest)
	}
	all := filepath.Join(r.storage, "docker", "registry", "v2", "repositories", filepath.FromSlash(repository), "_manifests", "tags")
	if _, err := os.Stat(all); err != nil {
		return err
	}
	for _, tag := range tags {
		for _, dir := range []string{"current", filepath.Join("index", "sha256", encoded)} {
			at := filepath.Join(all, tag, dir)
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(at, "link"), []byte(digest), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
