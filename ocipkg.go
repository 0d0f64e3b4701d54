// Package ocipkg distributes compiled native libraries through OCI registries,
// and links them into programs at build time, without a container runtime.
//
// A package is made from files with [Pack] (a directory), [Compose] (single
// files) or [Runnable] (a program as a container image): each writes an
// OCI image layout, as a file or a directory, whose digest depends on the
// content alone. A [Client] does the rest: [Client.Push] sends a layout, or a
// directory in one step, to a registry; [Client.PushIndex] and
// [Client.AddToIndex] gather packages for several platforms under one name;
// [Client.Copy] copies them between registries, archives and directories;
// [Client.Get] brings a package into the local store, verified and unpacked;
// [Client.Load] does so from a file; [Client.Directory] says where it is, and
// [Client.Link] how a build links it. [Client.List], [Client.RemoveFromStore],
// [Client.Prune] and [Client.Fsck] look after the store.
//
// Names of packages are references as container tools have them, such as
// ghcr.io/acme/zstd:1.5 or ghcr.io/acme/zstd@sha256:…. Where a source or a
// destination may be more than that, it is written as
//
//	ghcr.io/acme/zstd:1.5   a package in a registry
//	oci-archive:FILE        an image layout in a tar archive
//	oci:DIR[:TAG]           an image layout in a directory
//	PATH                    either of the two, told by looking
//
// What is read from a registry is read from its mirrors first, where OCIPKG_MIRROR
// or the user's configuration file names any.
//
// The formats are those of https://github.com/opencontainers/image-spec and
// https://github.com/opencontainers/distribution-spec.
package ocipkg

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/mirror"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// The kinds of failure on which a caller may want to decide. Test for one with
// [errors.Is]; the error's text is about the case at hand.
var (
	// ErrUsage: input that can never work as it was written.
	ErrUsage = errdef.ErrUsage
	// ErrNotFound: a package, tag or file that is not there.
	ErrNotFound = errdef.ErrNotFound
	// ErrUnauthorized: a registry that wants other credentials.
	ErrUnauthorized = errdef.ErrUnauthorized
	// ErrVerification: bytes that are not what a digest, a size or a config
	// says, or that no package may contain.
	ErrVerification = errdef.ErrVerification
	// ErrLock: a lock or a pin that is missing or stale.
	ErrLock = errdef.ErrLock
	// ErrPlatform: a package that has nothing for the target.
	ErrPlatform = errdef.ErrPlatform
	// ErrNetwork: a registry that could not be reached, or kept failing.
	ErrNetwork = errdef.ErrNetwork
)

// Client works with registries and the local store. The zero value is ready to
// use: with the user's store, and the credentials that docker and podman keep.
// Set the fields before the first call. A Client may be used by several
// goroutines at once; share one, since it keeps connections and tokens.
type Client struct {
	// Store is the directory of the local store; empty is $OCIPKG_HOME, else
	// the system's place for a user's data. It need not exist.
	Store string
	// PlainHTTP names the registries, as host or host:port, that are spoken to
	// without TLS; "*" stands for all. Those on this machine are anyway.
	PlainHTTP []string
	// Insecure names the registries whose TLS certificate is not checked; "*"
	// stands for all.
	Insecure []string
	// CAFile is a PEM file with the certificates of authorities that are trusted
	// beside the system's; empty is $OCIPKG_CA_FILE, where that is set.
	CAFile string
	// Anonymous leaves the user's credentials alone.
	Anonymous bool
	// UserAgent names the program to registries; empty is "ocipkg".
	UserAgent string
	// Locked takes packages only by digest or by the lock file of the project
	// in the working directory, which must go with its project file; what is
	// neither gives an error of kind [ErrLock]. OCIPKG_LOCKED and OCIPKG_FROZEN
	// set it, too.
	Locked bool
	// Warn takes a line about something that went on all the same; nil drops
	// it.
	Warn func(line string)
	// Progress is told, now and then and from any goroutine, how many of the
	// bytes of a transfer are done; nil is not.
	Progress func(done, total int64)
	// Trace takes a line for each request to a registry; nil drops it.
	Trace func(line string)
	// Connections is the most blobs, or parts of one, that are moved at once from
	// registries, and to one. Zero is what OCIPKG_CONNECTIONS says, else it adapts to
	// what the way there is like: up to 8 come, and up to 12 go.
	Connections int
	// Offline asks no registry, be it one's own or a mirror, and opens no
	// connection: what is neither in the store nor in a layout that is a mirror is
	// an error of kind [ErrNetwork]. OCIPKG_OFFLINE and OCIPKG_FROZEN set it, too.
	Offline bool

	// Limits bound what is read and unpacked of a package; what is beyond them is
	// an error of kind [ErrVerification] that names the limit. Of a field that is
	// zero, it is what OCIPKG_LIMIT says, else the default.
	Limits Limits

	once     sync.Once
	registry *registry.Client
	mirrors  func() (*mirror.Mirrors, error)
	store    *store.Store
	limits   limit.Limits // with those of the environment
	err      error
}

// Descriptor says what a manifest or an index is: its media type, digest and
// size in bytes.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
type Descriptor = ocispec.Descriptor

// Limits bound what is read of one package. What is moved and not unpacked, as
// with [Client.Push] and [Client.Copy], is bounded by Manifest, Config and Index
// alone.
type Limits = limit.Limits

// ParseLimits reads limits, each as NAME=NUMBER: bytes=128GiB, entries, ratio,
// path, depth, manifest, config, index. An error is of kind [ErrUsage].
func ParseLimits(texts []string) (Limits, error) { return limit.Parse(texts) }

// Platform is what a package was built for, or the target of a build.
type Platform = platform.Platform

// Package is a package in the local store.
type Package struct {
	// Name is what the package was asked for by, whole; empty for one that has
	// no name.
	Name string `json:"name,omitempty"`
	// Digest is that of the package's manifest.
	Digest digest.Digest `json:"digest"`
	// Directory is the absolute path of the package's files, which are
	// read-only.
	Directory string   `json:"directory"`
	Platform  Platform `json:"platform"`
	// Size is that of all files together, in bytes.
	Size int64 `json:"size"`
	// LastUsed is when it was last linked or asked for, to the hour; zero when
	// that is not known.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

func toPackage(name string, p *store.Package) *Package {
	return &Package{Name: name, Digest: digest.Digest(p.Digest), Directory: p.Root, Platform: p.Platform, Size: p.Size}
}

// open prepares the client at its first use.
func (c *Client) open() error {
	c.once.Do(func() {
		policy, err := project.PolicyFromEnv()
		if err != nil {
			c.err = err
			return
		}
		c.Locked, c.Offline = c.Locked || policy.Locked, c.Offline || policy.Offline
		if c.err = c.countConnections(); c.err != nil {
			return
		}
		limits, err := limit.FromEnv()
		if err != nil {
			c.err = err
			return
		}
		c.limits = c.Limits.Or(limits)
		options := registry.Options{Connections: c.Connections, PlainHTTP: c.PlainHTTP, Insecure: c.Insecure, UserAgent: c.UserAgent, Warn: c.warn, Trace: c.Trace, Offline: c.Offline}
		options.CAFile = cmp.Or(c.CAFile, os.Getenv("OCIPKG_CA_FILE"))
		if cache, err := os.UserCacheDir(); err == nil && filepath.IsAbs(cache) {
			options.Tokens = filepath.Join(cache, "ocipkg", "tokens")
		}
		if !c.Anonymous {
			options.Credentials = registry.DefaultCredentials()
		}
		c.registry = registry.New(options)
		c.mirrors = sync.OnceValues(func() (*mirror.Mirrors, error) {
			rules, err := mirror.Default()
			return mirror.New(rules, c.registry, c.Offline, c.warn), err
		})
		c.store, c.err = store.Open(c.Store)
	})
	return c.err
}

// begin is open for what reads packages: the client's limits are in the context.
func (c *Client) begin(ctx context.Context) (context.Context, error) {
	err := c.open()
	return limit.With(ctx, c.limits), err
}

// maxConnections is more than any registry is glad of.
const maxConnections = 256

// countConnections takes the number of connections from the environment where
// the client has none, and checks it.
func (c *Client) countConnections() error {
	if c.Connections < 0 || c.Connections > maxConnections {
		return errdef.Errorf(errdef.ErrUsage, "%d connections are asked for; give 1 to %d, or 0 to leave it to the program", c.Connections, maxConnections)
	}
	text := os.Getenv("OCIPKG_CONNECTIONS")
	if c.Connections > 0 || text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n > maxConnections {
		return errdef.Errorf(errdef.ErrUsage, "OCIPKG_CONNECTIONS is %q; set it to 1 to %d, or to 0 to leave it to the program", text, maxConnections)
	}
	c.Connections = int(n)
	return nil
}

// source gives where a repository is read from: its mirrors, and itself.
func (c *Client) source(ref reference.Reference) (*mirror.Source, error) {
	mirrors, err := c.mirrors()
	if err != nil {
		return nil, err
	}
	return mirrors.Source(ref, nil), nil
}

func (c *Client) warn(line string) {
	if c.Warn != nil {
		c.Warn(line)
	}
}

// Close drops idle connections. The client can be used again.
func (c *Client) Close() {
	if c.registry != nil {
		c.registry.Close()
	}
}
