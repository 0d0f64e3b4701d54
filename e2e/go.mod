module github.com/ocipkg/ocipkg/e2e

go 1.26.0

replace github.com/ocipkg/ocipkg => ../

require (
	cuelabs.dev/go/oci/ociregistry v0.0.0-20251212221603-3adeb8663819
	github.com/golang-jwt/jwt/v5 v5.3.1
	golang.org/x/crypto v0.58.0
	golang.org/x/sys v0.50.0
)

require (
	github.com/klauspost/compress v1.20.4 // indirect
	golang.org/x/sync v0.25.0 // indirect
	golang.org/x/tools v0.40.0 // indirect
)

require (
	github.com/distribution/reference v0.6.0
	github.com/ocipkg/ocipkg v0.0.0
	github.com/opencontainers/go-digest v1.0.0
	github.com/opencontainers/image-spec v1.1.1
	github.com/rogpeppe/go-internal v1.16.0
	oras.land/oras-go/v2 v2.7.0
)
