package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// ParseHost reads the name of a registry as a user gives it for a login:
// host or host:port, with or without a scheme. The error is of kind
// [errdef.ErrUsage].
func ParseHost(name string) (string, error) {
	host := strings.ToLower(strings.TrimSuffix(name, "/"))
	host = strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://")
	switch host {
	case "index.docker.io", "index.docker.io/v1", dockerHubHost:
		host = dockerHub
	}
	if err := (registry.Reference{Registry: host}).ValidateRegistry(); err != nil || strings.HasSuffix(host, ":") || strings.HasPrefix(host, ":") {
		return "", errdef.Errorf(errdef.ErrUsage, "%q is not a registry: write it as host or host:port", name)
	}
	return host, nil
}

var errNoCredentials = errors.New("there is no place to keep credentials: set HOME, or DOCKER_CONFIG to a directory")

// Login checks a user name and password with the registry host and keeps them
// where docker does. An empty user with a password is an identity token.
func (c *Client) Login(ctx context.Context, host, user, password string) error {
	if password == "" {
		return errdef.Errorf(errdef.ErrUsage, "log in to %s: the password is empty", host)
	}
	cred := auth.Credential{Username: user, Password: password}
	if user == "" {
		cred = auth.Credential{RefreshToken: password}
	}
	err := c.ping(ctx, host, cred)
	switch {
	case statusOf(err) == http.StatusUnauthorized || unfitForBasic(err):
		return errdef.Errorf(errdef.ErrUnauthorized, "log in to %s: it refused the user name or the password%s; check both, and whether it wants a token in place of the password", host, said(err))
	case statusOf(err) == http.StatusNotFound:
		return errdef.Errorf(errdef.ErrNotFound, "log in to %s: it is no registry: there is no /v2/ at it; check the name", host)
	case err != nil:
		return fmt.Errorf("log in to %s: %w", host, c.explain(host, err))
	}
	tokenFiles{c.options.Tokens}.forget(host)
	store, _, err := c.options.Credentials.forLogin()
	if err == nil {
		err = store.Put(ctx, addresses(host)[0], cred)
	}
	if err != nil {
		return fmt.Errorf("keep the credentials for %s: %w", host, err)
	}
	return nil
}

// ping asks the registry whether it accepts cred.
func (c *Client) ping(ctx context.Context, host string, cred auth.Credential) error {
	a := c.authorizer(host, "")
	a.looked, a.known = true, a.with(cred, tokenFiles{})
	reg := &remote.Registry{RepositoryOptions: remote.RepositoryOptions{
		Reference: registry.Reference{Registry: host},
		PlainHTTP: c.plain(host),
		Client:    a,
	}}
	return reg.Ping(context.WithValue(ctx, writing{}, true)) // no falling back
}

// forLogin opens what a login is written to: the helper that the first of the
// files names, where docker has none the system's own, else the file. It is
// opened anew each time, since other programs write it too.
func (c *Credentials) forLogin() (*credentials.DynamicStore, *credentialFile, error) {
	if c == nil || len(c.paths) == 0 {
		return nil, nil, errNoCredentials
	}
	path := c.paths[0]
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link to the file stays one
	}
	file, err := readCredentialFile(path)
	if err != nil {
		return nil, nil, err
	}
	store, err := credentials.NewStore(path, credentials.StoreOptions{
		AllowPlaintextPut:        true,
		DetectDefaultNativeStore: c.paths[0] == c.docker,
	})
	return store, file, err
}

// Logout forgets the credentials for the registry host, where a login keeps
// them, and the tokens that were got with any. When there are none, the error is of kind [errdef.ErrNotFound].
func (c *Client) Logout(ctx context.Context, host string) error {
	tokenFiles{c.options.Tokens}.forget(host)
	found, err := c.options.Credentials.forget(ctx, host)
	if err != nil {
		return fmt.Errorf("log out of %s: %w", host, err)
	}
	if !found {
		return errdef.Errorf(errdef.ErrNotFound, "log out of %s: there is no login to it", host)
	}
	return nil
}

// forget removes what the helper and the file for logins have for a registry.
func (c *Credentials) forget(ctx context.Context, registry string) (found bool, err error) {
	_, file, err := c.forLogin()
	if err != nil {
		return false, err
	}
	if program, address := file.helper(registry); program != "" {
		helper := credentials.NewNativeStore(program)
		cred, err := helper.Get(ctx, address)
		if err == nil && cred != auth.EmptyCredential {
			found, err = true, helper.Delete(ctx, address)
		}
		if err != nil {
			return false, fmt.Errorf("docker-credential-%s: %s", program, oneLine(err.Error()))
		}
	}
	own, err := credentials.NewFileStore(file.path)
	if err != nil {
		return found, err
	}
	for _, key := range file.entries(registry) {
		if err := own.Delete(ctx, key); err != nil {
			return found, err
		}
		found = true
	}
	return found, nil
}
