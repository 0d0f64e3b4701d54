package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Credentials finds what to log in to a registry with, where docker and podman
// keep it: their files, and the helper programs that those name. The files are
// read when a registry is first asked for something. A nil Credentials has
// none.
type Credentials struct {
	paths  []string // in the order that they are asked in; a login is written to the first
	docker string   // docker's own among them
}

// DefaultCredentials reads the files that docker and podman use:
// $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json (~/.docker/config.json),
// $XDG_RUNTIME_DIR/containers/auth.json, and
// $XDG_CONFIG_HOME/containers/auth.json (~/.config/containers/auth.json). A
// file that is not there counts as empty.
func DefaultCredentials() *Credentials {
	c := &Credentials{}
	add := func(dir string, rest ...string) {
		if dir != "" {
			c.paths = append(c.paths, filepath.Join(append([]string{dir}, rest...)...))
		}
	}
	home, _ := os.UserHomeDir()
	add(os.Getenv("REGISTRY_AUTH_FILE"))
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else {
		add(home, ".docker", "config.json")
	}
	if len(c.paths) > 0 && filepath.Base(c.paths[len(c.paths)-1]) == "config.json" {
		c.docker = c.paths[len(c.paths)-1]
	}
	add(os.Getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	return c
}

// credentialFile is what a file of docker or podman says.
type credentialFile struct {
	path        string
	Auths       map[string]json.RawMessage `json:"auths"`
	CredsStore  string                     `json:"credsStore"`
	CredHelpers map[string]string          `json:"credHelpers"`
}

func readCredentialFile(path string) (*credentialFile, error) {
	file := &credentialFile{path: path}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), err == nil && len(bytes.TrimSpace(raw)) == 0:
		return file, nil
	case err != nil:
		return nil, fmt.Errorf("read the credentials: %w; make the file readable or move it away", err)
	}
	err = json.Unmarshal(raw, file)
	if err == nil && !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		err = errors.New("it is no JSON object")
	}
	if err != nil {
		return nil, fmt.Errorf("read the credentials in %s: %w; mend the file or move it away", path, err)
	}
	return file, nil
}

// addresses gives what docker and podman call a registry in their files, the
// usual name first.
func addresses(registry string) []string {
	if registry == dockerHub {
		return []string{credentials.ServerAddressFromRegistry(dockerHub), dockerHub, "index.docker.io", dockerHubHost}
	}
	return []string{registry}
}

// entries gives the keys of the file's own entries for a registry, the best
// first. Old programs wrote them with a scheme and a version.
func (f *credentialFile) entries(registry string) []string {
	names := addresses(registry)
	var keys []string
	for _, name := range names {
		if _, ok := f.Auths[name]; ok {
			keys = append(keys, name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Auths)) {
		name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://"), "/")
		name = strings.TrimSuffix(strings.TrimSuffix(name, "/v1"), "/v2")
		if slices.Contains(names, name) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// entry reads one of the file's own entries.
func (f *credentialFile) entry(ctx context.Context, key string, warn func(string)) auth.Credential {
	store, err := credentials.NewFileStore(f.path)
	if err == nil {
		var cred auth.Credential
		if cred, err = store.Get(ctx, key); err == nil {
			return cred
		}
	}
	// The error may show what the entry holds.
	warn(fmt.Sprintf("the entry for %s in %s cannot be read; going on without it: run ocipkg login anew", key, f.path))
	return auth.EmptyCredential
}

// helper gives the program that keeps the credentials for a registry, and what
// it calls that; empty when there is none.
func (f *credentialFile) helper(registry string) (program, address string) {
	names := addresses(registry)
	for _, name := range names {
		if program := f.CredHelpers[name]; program != "" {
			return program, name
		}
	}
	return f.CredsStore, names[0]
}

// find looks for the credentials for a repository. A helper that fails is
// reported and counts as having nothing: what is public must not depend on it.
// A file that is broken is an error.
func (c *Credentials) find(ctx context.Context, registry, repository string, warn func(string)) (auth.Credential, error) {
	if c == nil {
		return auth.EmptyCredential, nil
	}
	var files []*credentialFile
	for _, path := range c.paths {
		file, err := readCredentialFile(path)
		if err != nil {
			return auth.EmptyCredential, &explained{err}
		}
		files = append(files, file)
	}
	// podman keeps a login to a part of a registry under that part's name.
	for part := registry + "/" + repository; strings.Contains(part, "/"); part = part[:strings.LastIndexByte(part, '/')] {
		for _, file := range files {
			if _, ok := file.Auths[part]; !ok {
				continue
			}
			if cred := file.entry(ctx, part, warn); cred != auth.EmptyCredential {
				return cred, nil
			}
		}
	}
	for _, file := range files {
		cred, err := file.find(ctx, registry, warn)
		if err != nil || cred != auth.EmptyCredential {
			return cred, err
		}
	}
	return auth.EmptyCredential, nil
}

// find asks the file's helper and looks through its own entries: there may be
// both.
func (f *credentialFile) find(ctx context.Context, registry string, warn func(string)) (auth.Credential, error) {
	if program, address := f.helper(registry); program != "" {
		cred, err := credentials.NewNativeStore(program).Get(ctx, address)
		switch {
		case ctx.Err() != nil:
			return auth.EmptyCredential, ctx.Err()
		case err != nil:
			warn(fmt.Sprintf("docker-credential-%s, which %s names, gave no credentials for %s: %s; going on without", program, f.path, registry, oneLine(err.Error())))
		case cred != auth.EmptyCredential:
			return cred, nil
		}
	}
	for _, key := range f.entries(registry) {
		if cred := f.entry(ctx, key, warn); cred != auth.EmptyCredential {
			return cred, nil
		}
	}
	return auth.EmptyCredential, nil
}
