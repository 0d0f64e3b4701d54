// Package platform says what a package was built for and which of several
// builds runs on a target.
//
// Operating systems, architectures and variants carry the values of the OCI
// image specification, which are Go's GOOS and GOARCH:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#platform-variants
// What that specification has no field for (the C library, the C++ runtime,
// the ABI on Windows) travels in os.features and in annotations.
package platform

import (
	"strconv"
	"strings"
)

// Annotations of a descriptor in an index that say what its platform object
// cannot.
const (
	AnnotationLibcVersion = "dev.ocipkg.libc.version"
	AnnotationCxx         = "dev.ocipkg.cxx"
)

// Platform is what a package was built for, or the target of a build. An empty
// field is unknown in a package, where it fits anything, and unspecified in a
// target, where it accepts anything. The zero value fits every target.
type Platform struct {
	OS           string `json:"os,omitempty"`           // GOOS: "linux", "darwin", "windows"
	Architecture string `json:"architecture,omitempty"` // GOARCH: "amd64", "arm64"
	Variant      string `json:"variant,omitempty"`      // "v7" of "arm", "v3" of "amd64"
	OSVersion    string `json:"osVersion,omitempty"`    // lowest version of the system, "12.0"
	Libc         string `json:"libc,omitempty"`         // "glibc" or "musl"
	LibcVersion  string `json:"libcVersion,omitempty"`  // lowest version of Libc, "2.28"
	Env          string `json:"env,omitempty"`          // ABI on Windows: "gnu" or "msvc"
	Cxx          string `json:"cxx,omitempty"`          // "libstdc++" or "libc++"
	CxxVersion   string `json:"cxxVersion,omitempty"`   // lowest version of Cxx, "3.4.30"
}

// IsZero tells whether nothing is known, so that everything fits.
func (p Platform) IsZero() bool { return p == Platform{} }

// String gives os/architecture[/variant] and, where known, the runtimes:
// "linux/amd64 glibc 2.28". The zero value gives "any".
func (p Platform) String() string {
	if p.IsZero() {
		return "any"
	}
	s := orAny(p.OS) + "/" + orAny(p.Architecture)
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	for _, part := range []string{p.OSVersion, p.Libc, p.LibcVersion, p.Env, p.Cxx, p.CxxVersion} {
		if part != "" {
			s += " " + part
		}
	}
	return s
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

// Fits tells whether what was built for p can run on target. When it cannot,
// reason says why in a few words.
func (p Platform) Fits(target Platform) (reason string, ok bool) {
	for _, f := range []struct{ what, have, want string }{
		{"os", p.OS, target.OS},
		{"architecture", p.Architecture, target.Architecture},
		{"libc", p.Libc, target.Libc},
		{"environment", p.Env, target.Env},
	} {
		if f.have != "" && f.want != "" && f.have != f.want {
			return f.what + " is " + f.have + ", not " + f.want, false
		}
	}
	if p.Variant != "" && target.Variant != "" && p.Architecture != "" && CompareVersions(p.Variant[1:], target.Variant[1:]) > 0 {
		return "needs variant " + p.Variant + ", the target is " + target.Variant, false
	}
	for _, f := range []struct{ what, have, want string }{
		{p.Libc, p.LibcVersion, target.LibcVersion},
		{p.OS, p.OSVersion, target.OSVersion},
		{p.Cxx, p.CxxVersion, target.CxxVersion},
	} {
		if f.have != "" && f.want != "" && CompareVersions(f.have, f.want) > 0 {
			return "needs " + f.what + " " + f.have + ", the target has " + f.want, false
		}
	}
	return "", true
}

// Compare orders two platforms that both fit one target: above zero when p is
// the better choice, because more about it is known to match, or because its
// floors are higher.
func (p Platform) Compare(q Platform) int {
	if d := p.known() - q.known(); d != 0 {
		return d
	}
	for _, f := range [][2]string{{p.Variant, q.Variant}, {p.OSVersion, q.OSVersion}, {p.LibcVersion, q.LibcVersion}, {p.CxxVersion, q.CxxVersion}} {
		if d := CompareVersions(strings.TrimPrefix(f[0], "v"), strings.TrimPrefix(f[1], "v")); d != 0 {
			return d
		}
	}
	return 0
}

// Best gives the index of the candidate that serves target best: of those that
// fit, the one about which most is known to match, then the one with the
// highest floors, then the first. It is -1 when none fits; reasons says of each
// candidate why not, and is empty where it fits.
func Best(target Platform, candidates []Platform) (best int, reasons []string) {
	best = -1
	reasons = make([]string, len(candidates))
	for i, c := range candidates {
		reason, ok := c.Fits(target)
		reasons[i] = reason
		if ok && (best < 0 || c.Compare(candidates[best]) > 0) {
			best = i
		}
	}
	return best, reasons
}

func (p Platform) known() (n int) {
	for _, f := range []string{p.OS, p.Architecture, p.Libc, p.Env} {
		if f != "" {
			n++
		}
	}
	return n
}

// CompareVersions orders two versions of dotted numbers: below zero when a is
// the lower. A missing part is zero, and a part that is no number compares as
// text.
func CompareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		i, errI := strconv.Atoi("0" + x)
		j, errJ := strconv.Atoi("0" + y)
		if errI != nil || errJ != nil {
			if d := strings.Compare(x, y); d != 0 {
				return d
			}
		} else if i != j {
			return i - j
		}
	}
	return 0
}

// OCI is what the specification's platform object and a descriptor's
// annotations say of a package in an image index.
type OCI struct {
	OS           string   `json:"os"`
	Architecture string   `json:"architecture"`
	Variant      string   `json:"variant,omitempty"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
}

// FromOCI reads a platform from an image index.
func FromOCI(oci OCI, annotations map[string]string) Platform {
	p := Platform{
		OS: known(oci.OS), Architecture: known(oci.Architecture), Variant: oci.Variant, OSVersion: oci.OSVersion,
		LibcVersion: annotations[AnnotationLibcVersion],
	}
	for _, feature := range oci.OSFeatures {
		if libc, ok := strings.CutPrefix(feature, "libc."); ok {
			p.Libc = libc
		} else if env, ok := strings.CutPrefix(feature, "env."); ok {
			p.Env = env
		}
	}
	p.Cxx, p.CxxVersion, _ = strings.Cut(annotations[AnnotationCxx], " ")
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = "" // v8 is what every arm64 is
	}
	if len(p.Variant) < 2 || p.Variant[0] != 'v' {
		p.Variant = ""
	}
	return p
}

// known drops the word that Docker writes for a platform that it does not know.
func known(s string) string {
	if s == "unknown" {
		return ""
	}
	return s
}

// ToOCI gives p as an image index has it; annotations is nil when there is
// nothing beyond the platform object.
func (p Platform) ToOCI() (oci OCI, annotations map[string]string) {
	oci = OCI{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
	if p.Libc != "" {
		oci.OSFeatures = append(oci.OSFeatures, "libc."+p.Libc)
	}
	if p.Env != "" {
		oci.OSFeatures = append(oci.OSFeatures, "env."+p.Env)
	}
	annotate := func(key, value string) {
		if value = strings.TrimSpace(value); value != "" {
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[key] = value
		}
	}
	annotate(AnnotationLibcVersion, p.LibcVersion)
	annotate(AnnotationCxx, p.Cxx+" "+p.CxxVersion)
	return oci, annotations
}
