package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Credentials finds what to log in to a registry with, where docker and podman
// keep it: their files, and the helper programs that those name. The files are
// read when a registry is first asked for something. A nil Credentials has
// none.
type Credentials struct {
	paths  []string // in the order that they are asked in; a login is written to the first
	docker string   // docker's own among them
	inline string   // what a file may have, in DOCKER_AUTH_CONFIG
	before int      // the place of that among the files

	mu    sync.Mutex
	asked map[[2]string]*helped // by program and address
	piped map[string]*credentialFile
}

// helped is what a helper said. It is asked once: it may be slow, or hang.
type helped struct {
	mu   sync.Mutex
	done bool
	cred auth.Credential
	err  error
}

// inlineVariable has the text of a file of docker's, as GitLab's runners and
// docker itself take it.
const inlineVariable = "DOCKER_AUTH_CONFIG"

// DefaultCredentials reads what docker and podman use: $REGISTRY_AUTH_FILE, the
// text in $DOCKER_AUTH_CONFIG, $DOCKER_CONFIG/config.json
// (~/.docker/config.json), $XDG_RUNTIME_DIR/containers/auth.json, and
// $XDG_CONFIG_HOME/containers/auth.json (~/.config/containers/auth.json). A
// file that is not there counts as empty.
func DefaultCredentials() *Credentials {
	c := &Credentials{inline: os.Getenv(inlineVariable)}
	add := func(dir string, rest ...string) {
		if dir != "" {
			c.paths = append(c.paths, filepath.Join(append([]string{dir}, rest...)...))
		}
	}
	home, _ := os.UserHomeDir()
	add(os.Getenv("REGISTRY_AUTH_FILE"))
	c.before = len(c.paths)
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else {
		add(home, ".docker", "config.json")
	}
	if len(c.paths) > c.before {
		c.docker = c.paths[c.before]
	}
	add(os.Getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	return c
}

// inlined reads what DOCKER_AUTH_CONFIG has; nil when it is not set.
func (c *Credentials) inlined() (*credentialFile, error) {
	if strings.TrimSpace(c.inline) == "" {
		return nil, nil
	}
	file, err := parseCredentials(inlineVariable, []byte(c.inline))
	if err != nil {
		return nil, errdef.Errorf(errdef.ErrUsage, "read the credentials in %s: %w; set it to the text of a file such as docker's config.json, or unset it", inlineVariable, err)
	}
	return file, nil
}

// files reads all that there is, in the order that it counts in.
func (c *Credentials) files() ([]*credentialFile, error) {
	var files []*credentialFile
	inline, err := c.inlined()
	if err != nil {
		return nil, err
	}
	for i := 0; i <= len(c.paths); i++ {
		if i == c.before && inline != nil {
			files = append(files, inline)
		}
		if i == len(c.paths) {
			break
		}
		file, err := c.read(c.paths[i])
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// read reads a file; what can be read once only, such as a pipe, is kept.
func (c *Credentials) read(path string) (*credentialFile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if file := c.piped[path]; file != nil {
		return file, nil
	}
	file, err := readCredentialFile(path)
	if err == nil && file.piped {
		if c.piped == nil {
			c.piped = map[string]*credentialFile{}
		}
		c.piped[path] = file
	}
	return file, err
}

// dockerHubKey is what docker calls Docker Hub.
const dockerHubKey = "https://index.docker.io/v1/"

// addresses gives what docker and podman call a registry in their files, the
// usual name first.
func addresses(registry string) []string {
	if registry == dockerHub {
		return []string{dockerHubKey, dockerHub, "index.docker.io", dockerHubHost}
	}
	return []string{registry}
}

// helper gives the program that keeps the credentials for a registry, and what
// it calls that; empty when there is none.
func (f *credentialFile) helper(registry string) (program keychain, address string) {
	names := addresses(registry)
	for _, name := range names {
		if program := f.CredHelpers[name]; program != "" {
			return keychain(program), name
		}
	}
	return keychain(f.CredsStore), names[0]
}

// find looks for the credentials for a repository. A helper that fails is
// reported and counts as having nothing: what is public must not depend on it.
// A file that is broken is an error.
func (c *Credentials) find(ctx context.Context, registry, repository string, warn func(string)) (auth.Credential, error) {
	if c == nil {
		return auth.EmptyCredential, nil
	}
	files, err := c.files()
	if err != nil {
		return auth.EmptyCredential, &explained{err}
	}
	// podman keeps a login to a part of a registry under that part's name.
	for part := registry + "/" + repository; strings.Contains(part, "/"); part = part[:strings.LastIndexByte(part, '/')] {
		for _, file := range files {
			if _, ok := file.Auths[part]; !ok {
				continue
			}
			if cred := file.entry(part, warn); cred != auth.EmptyCredential {
				return cred, nil
			}
		}
	}
	for _, file := range files {
		cred, err := c.findIn(ctx, file, registry, warn)
		if err != nil || cred != auth.EmptyCredential {
			return cred, err
		}
	}
	return auth.EmptyCredential, nil
}

// findIn asks the file's helper and looks through its own entries: there may be
// both.
func (c *Credentials) findIn(ctx context.Context, file *credentialFile, registry string, warn func(string)) (auth.Credential, error) {
	if program, address := file.helper(registry); program != "" {
		cred, err := c.ask(ctx, program, address)
		switch {
		case ctx.Err() != nil:
			return auth.EmptyCredential, ctx.Err()
		case err != nil:
			warn(fmt.Sprintf("%s, which %s names, gave no credentials for %s: %v; going on without", program.program(), file.name, registry, err))
		case cred != auth.EmptyCredential:
			return cred, nil
		}
	}
	for _, key := range file.entries(registry) {
		if cred := file.entry(key, warn); cred != auth.EmptyCredential {
			return cred, nil
		}
	}
	return auth.EmptyCredential, nil
}

// ask asks a helper, or knows what it said.
func (c *Credentials) ask(ctx context.Context, program keychain, address string) (auth.Credential, error) {
	key := [2]string{string(program), address}
	c.mu.Lock()
	answer := c.asked[key]
	if answer == nil {
		answer = &helped{}
		if c.asked == nil {
			c.asked = map[[2]string]*helped{}
		}
		c.asked[key] = answer
	}
	c.mu.Unlock()
	answer.mu.Lock()
	defer answer.mu.Unlock()
	if !answer.done {
		answer.cred, answer.err = program.get(ctx, address)
		answer.done = ctx.Err() == nil
	}
	return answer.cred, answer.err
}

var errNoCredentials = errors.New("there is no place to keep credentials: set HOME, or DOCKER_CONFIG to a directory")

// forLogin gives the path of the file that logins are kept in, and what is in
// it. It is read anew each time, since other programs write it too.
func (c *Credentials) forLogin() (path string, file *credentialFile, err error) {
	if c == nil || len(c.paths) == 0 {
		return "", nil, errNoCredentials
	}
	path = c.paths[0]
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link to the file stays one
	}
	file, err = readCredentialFile(path)
	return path, file, err
}

// keep keeps credentials for a registry: with the helper that the first of the
// files names, where docker has none the system's own, else in the file.
func (c *Credentials) keep(ctx context.Context, registry string, cred auth.Credential, warn func(string)) error {
	path, file, err := c.forLogin()
	if err != nil {
		return err
	}
	c.forgetAsked()
	program, address := file.helper(registry)
	found := program == "" && c.paths[0] == c.docker && len(file.Auths) == 0 && len(file.CredHelpers) == 0
	if found {
		program = systemKeychain()
	}
	if program != "" {
		if err := program.store(ctx, address, cred); err != nil {
			return fmt.Errorf("%s: %w", program.program(), err)
		}
	}
	if program == "" || found {
		err = editCredentialFile(path, func(doc, auths map[string]json.RawMessage) (err error) {
			if program != "" {
				doc["credsStore"], err = json.Marshal(program)
				return err
			}
			auths[address], err = formatEntry(cred)
			return err
		})
	}
	if inline, _ := c.inlined(); err == nil && inline != nil && c.before == 0 && len(inline.entries(registry)) > 0 {
		warn(fmt.Sprintf("%s has other credentials for %s, which count before these", inlineVariable, registry))
	}
	return err
}

// forget removes what the helper and the file for logins have for a registry.
func (c *Credentials) forget(ctx context.Context, registry string, warn func(string)) (found bool, err error) {
	path, file, err := c.forLogin()
	if err != nil {
		return false, err
	}
	c.forgetAsked()
	if program, address := file.helper(registry); program != "" {
		cred, err := program.get(ctx, address)
		if err == nil && cred != auth.EmptyCredential {
			found, err = true, program.erase(ctx, address)
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", program.program(), err)
		}
	}
	if keys := file.entries(registry); len(keys) > 0 {
		found = true
		err = editCredentialFile(path, func(_, auths map[string]json.RawMessage) error {
			for _, key := range keys {
				delete(auths, key)
			}
			return nil
		})
	}
	if err == nil {
		c.reportOthers(registry, path, warn)
	}
	return found, err
}

// reportOthers tells where else there are credentials for a registry.
func (c *Credentials) reportOthers(registry, path string, warn func(string)) {
	files, err := c.files()
	if err != nil {
		return // whoever looks for credentials is told
	}
	for _, file := range files {
		if file.name != path && file.name != c.paths[0] && len(file.entries(registry)) > 0 {
			warn(fmt.Sprintf("%s still has credentials for %s", file.name, registry))
		}
	}
}

// forgetAsked has helpers asked again.
func (c *Credentials) forgetAsked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = nil
}
