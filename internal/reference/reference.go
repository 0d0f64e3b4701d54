// Package reference reads and writes the names of packages in registries:
// registry/repository:tag@digest.
//
// The grammar is that of https://github.com/distribution/reference, with the
// rules by which that expands Docker Hub's short names. It is parsed here by
// hand, because that package compiles its regular expressions when a program
// starts, which takes as long as all the rest of answering a build does.
package reference

import (
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// DefaultTag is the tag of a name that has neither a tag nor a digest.
const DefaultTag = "latest"

// DockerHub is the registry of names that name none.
const DockerHub = "docker.io"

// Reference names a package in a registry. Registry and Repository are never
// empty in a parsed one.
type Reference struct {
	// Registry is the host and optional port, such as "ghcr.io",
	// "localhost:5000", "[::1]:5000"; "docker.io" for Docker Hub.
	Registry string
	// Repository is the path in the registry, such as "acme/zstd".
	Repository string
	// Tag is empty when the name has only a digest.
	Tag string
	// Digest, such as "sha256:…", is empty when the name has only a tag. With
	// both, the digest decides and the tag is for readers.
	Digest string
}

// Parse reads a name. A name without tag and digest gets [DefaultTag]; a name
// without a registry is one of Docker Hub's. The error is of kind
// [errdef.ErrUsage].
func Parse(name string) (Reference, error) {
	ref, err := ParseRepository(name)
	if err == nil && ref.Tag == "" && ref.Digest == "" {
		ref.Tag = DefaultTag
	}
	return ref, err
}

// ParseRepository is [Parse] for a name that stands for a whole repository: no
// tag is added to it.
func ParseRepository(name string) (Reference, error) {
	ref, reason := parse(name)
	if reason != "" {
		return Reference{}, errdef.Errorf(errdef.ErrUsage, "%q is not a package name: %s", Redact(name), reason)
	}
	return ref, nil
}

const (
	howToWrite    = "; write it as registry/repository:tag or registry/repository@sha256:…"
	maxRepository = 255 // characters, with the registry
	maxTag        = 128 // characters
)

// parse gives what is wrong with a name in the words of somebody who has to
// mend it; nothing when it is good.
func parse(name string) (ref Reference, wrong string) {
	switch {
	case name == "":
		return ref, "it is empty; write it as registry/repository:tag"
	case len(name) == 64 && strings.Trim(name, "0123456789abcdef") == "":
		return ref, "it is the digits of a digest; write sha256: before them"
	case strings.HasPrefix(name, "oci:"), strings.HasPrefix(name, "oci-archive:"):
		return ref, "it is a layout on this machine, and not in a registry; to bring it into the store run: ocipkg load " + name
	case strings.Contains(name, "://"):
		return ref, "leave out the " + name[:strings.Index(name, "://")+3]
	}
	rest := name
	if before, digest, ok := strings.Cut(rest, "@"); ok {
		if _, _, valid := SplitDigest(digest); !valid {
			return ref, "what follows the @ is no digest; a name carries no user and no password (that is for ocipkg login)" + howToWrite
		}
		rest, ref.Digest = before, digest
	}
	ref.Registry, rest = splitRegistry(rest)
	if before, tag, ok := strings.Cut(rest, ":"); ok {
		if !IsTag(tag) {
			return ref, "its tag is none" + howToWrite
		}
		rest, ref.Tag = before, tag
	}
	if ref.Registry == "" {
		ref.Registry = DockerHub
	}
	ref.Repository = rest
	if ref.Registry == "index.docker.io" {
		ref.Registry = DockerHub
	}
	if ref.Registry == DockerHub && !strings.Contains(rest, "/") {
		ref.Repository = "library/" + rest
	}
	return ref, checkName(ref)
}

// checkName says what is wrong with the registry and the repository.
func checkName(ref Reference) string {
	if !isRegistry(ref.Registry) {
		return "its registry is none" + howToWrite
	}
	if strings.ToLower(ref.Repository) != ref.Repository {
		return "a repository is written in lower case"
	}
	for part := range strings.SplitSeq(ref.Repository, "/") {
		if !isPathComponent(part) {
			return "its repository is none" + howToWrite
		}
	}
	if len(ref.Repository) > maxRepository {
		return "its repository is too long"
	}
	return ""
}

// splitRegistry cuts the registry off a name: what stands before the first
// slash, if it looks like a host.
func splitRegistry(name string) (registry, rest string) {
	first, after, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(first, ".:") && first != "localhost" && strings.ToLower(first) == first {
		return "", name
	}
	return first, after
}

// isRegistry tells whether s is host or host:port.
func isRegistry(s string) bool {
	host, port, hasPort := s, "", false
	if strings.HasPrefix(s, "[") {
		address, after, ok := strings.Cut(s[1:], "]")
		port, hasPort = strings.CutPrefix(after, ":")
		if !ok || address == "" || strings.Trim(address, "0123456789abcdefABCDEF:") != "" || after != "" && !hasPort {
			return false
		}
		return !hasPort || isDigits(port)
	}
	host, port, hasPort = strings.Cut(s, ":")
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return !hasPort || isDigits(port)
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isLabel tells whether s is one part of a host's name.
func isLabel(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && (s[i] != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != ""
}

// isPathComponent tells whether s is one part of a repository: lower-case
// letters and digits, separated by one dot, one or two underscores, or dashes.
func isPathComponent(s string) bool {
	separator := ""
	for i := range len(s) {
		if isAlphanumeric(s[i]) {
			separator = ""
			continue
		}
		separator += s[i : i+1]
		if i == 0 || i == len(s)-1 || separator != "." && separator != "_" && separator != "__" && strings.Trim(separator, "-") != "" {
			return false
		}
	}
	return s != ""
}

// IsTag reports whether s can be a tag.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
func IsTag(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '_' && (i == 0 || s[i] != '.' && s[i] != '-') {
			return false
		}
	}
	return s != "" && len(s) <= maxTag
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// SplitDigest reads a digest of one of the algorithms that packages are
// addressed by, SHA-256 and SHA-512: its name and its digits.
func SplitDigest(digest string) (algorithm, encoded string, ok bool) {
	algorithm, encoded, _ = strings.Cut(digest, ":")
	length := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	ok = length > 0 && len(encoded) == length && strings.Trim(encoded, "0123456789abcdef") == ""
	return algorithm, encoded, ok
}

// String gives the full name: registry/repository[:tag][@digest].
func (r Reference) String() string {
	s := r.Registry + "/" + r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Name gives registry/repository, without tag and digest.
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// Target gives what a registry is asked for: the digest where there is one,
// else the tag.
func (r Reference) Target() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}
