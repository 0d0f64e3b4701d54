package registry

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

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
		if i := strings.LastIndexByte(name, '@'); i >= 0 {
			name = "…" + name[i:] // what stands there may be a password
		}
		return "", errdef.Errorf(errdef.ErrUsage, "%q is not a registry: write it as host or host:port", name)
	}
	return host, nil
}

// Login checks a user name and password with the registry host and keeps them
// where docker does. An empty user with a password is an identity token.
func (c *Client) Login(ctx context.Context, host, user, password string) error {
	return c.hide(c.login(ctx, host, user, password))
}

func (c *Client) login(ctx context.Context, host, user, password string) error {
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
		return errdef.Errorf(errdef.ErrUnauthorized, "log in to %s: it refused the user name or the password%s; check both, and whether it wants a token in place of the password", host, c.words(err))
	case statusOf(err) == http.StatusNotFound:
		return errdef.Errorf(errdef.ErrNotFound, "log in to %s: it is no registry: there is no /v2/ at it; check the name", host)
	case err != nil:
		return fmt.Errorf("log in to %s: %w", host, c.explain(host, err))
	}
	tokenFiles{c.options.Tokens}.forget(host)
	if err := c.options.Credentials.keep(ctx, host, cred, c.warn); err != nil {
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

// Logout forgets the credentials for the registry host, where a login keeps
// them, and the tokens that were got with any. When there are none, the error is of kind [errdef.ErrNotFound].
func (c *Client) Logout(ctx context.Context, host string) error {
	tokenFiles{c.options.Tokens}.forget(host)
	found, err := c.options.Credentials.forget(ctx, host, c.warn)
	if err != nil {
		return fmt.Errorf("log out of %s: %w", host, c.hide(err))
	}
	if !found {
		return errdef.Errorf(errdef.ErrNotFound, "log out of %s: there is no login to it", host)
	}
	return nil
}
