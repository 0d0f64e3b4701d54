package ocipkg

import (
	"context"

	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// Tags lists the tags of a repository, sorted. A tag or digest in the name is
// ignored.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	ref, err := reference.ParseRepository(repository)
	if err != nil {
		return nil, err
	}
	return c.registry.Repository(ref).Tags(ctx)
}

// Login checks a user name and password with a registry, written host or
// host:port, and keeps them where docker does. With an empty user the password
// is an identity token.
func (c *Client) Login(ctx context.Context, host, user, password string) error {
	if err := c.open(); err != nil {
		return err
	}
	host, err := registry.ParseHost(host)
	if err != nil {
		return err
	}
	return c.registry.Login(ctx, host, user, password)
}

// Logout forgets the credentials for a registry.
func (c *Client) Logout(ctx context.Context, host string) error {
	if err := c.open(); err != nil {
		return err
	}
	host, err := registry.ParseHost(host)
	if err != nil {
		return err
	}
	return c.registry.Logout(ctx, host)
}
