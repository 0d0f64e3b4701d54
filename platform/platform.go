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
	"cmp"
	"strconv"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Annotations of a descriptor in an index that say what its platform object
// cannot.
const (
	AnnotationLibcVersion   = "dev.ocipkg.libc.version"
	AnnotationLibcEstimated = "dev.ocipkg.libc.estimated" // "true" or absent
	AnnotationCxx           = "dev.ocipkg.cxx"
	// AnnotationTarget is the target triple that a package was built for, as
	// its producer gave it. It informs.
	AnnotationTarget = "dev.ocipkg.target"

	annotationBrewGlibc = "sh.brew.bottle.glibc.version" // Homebrew's
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
	// LibcEstimated tells that LibcVersion follows from what a static library
	// calls, and not from what a linked file says that it needs.
	LibcEstimated bool   `json:"libcEstimated,omitempty"`
	Env           string `json:"env,omitempty"`        // ABI on Windows: "gnu" or "msvc"
	Cxx           string `json:"cxx,omitempty"`        // "libstdc++" or "libc++"
	CxxVersion    string `json:"cxxVersion,omitempty"` // lowest version of Cxx, "3.4.30"
}

// IsZero tells whether nothing is known, so that everything fits.
func (p Platform) IsZero() bool { return p == Platform{} }

// String gives os/architecture[/variant] and, where known, the runtimes:
// "linux/amd64 glibc 2.28". The zero value gives "any". All others are read back
// by [Parse], except for LibcEstimated.
func (p Platform) String() string {
	if p.IsZero() {
		return open
	}
	s := cmp.Or(p.OS, open) + "/" + cmp.Or(p.Architecture, open)
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

// open stands for a part of a platform that fits any.
const open = "any"

// Fits tells whether what was built for p can run on target. When it cannot,
// reason says why in a few words.
func (p Platform) Fits(target Platform) (reason string, ok bool) {
	for _, f := range []struct{ what, have, want string }{
		{"os", p.OS, target.OS},
		{"architecture", p.Architecture, target.Architecture},
		{"libc", p.Libc, target.Libc},
		{"environment", p.Env, target.Env},
		{"C++ runtime", p.Cxx, target.Cxx},
	} {
		if f.have != "" && f.want != "" && f.have != f.want {
			return f.what + " is " + f.have + ", not " + f.want, false
		}
	}
	for _, f := range floors {
		have, want := f.of(&p), f.of(&target)
		if have == "" || want == "" || CompareVersions(have, want) <= 0 {
			continue
		}
		if f.needs(&p) == p.Libc && p.LibcEstimated {
			have += " (estimated)"
		}
		return "needs " + f.needs(&p) + " " + have + ", the target has " + want, false
	}
	return "", true
}

// floors are what a platform has the lowest usable version of.
var floors = []struct {
	of    func(*Platform) string // the version
	needs func(*Platform) string // of what
	// baseline tells that no version is the lowest, and not an unknown one.
	baseline bool
}{
	{func(p *Platform) string { return p.Variant }, func(p *Platform) string { return p.Architecture }, true},
	{func(p *Platform) string { return p.OSVersion }, func(p *Platform) string { return p.OS }, false},
	{func(p *Platform) string { return p.LibcVersion }, func(p *Platform) string { return p.Libc }, false},
	{func(p *Platform) string { return p.CxxVersion }, func(p *Platform) string { return p.Cxx }, false},
}

// Best gives the index of the candidate that serves target best: of those that
// fit, the one about which most is known to match, then the one with the
// highest floors, then the first. A floor of which the target does not say what
// it has counts the other way: the lowest runs on most. It is -1 when none
// fits. Reasons says of each candidate in a few words why it is not taken, and
// is empty for the one that is.
func Best(target Platform, candidates []Platform) (best int, reasons []string) {
	best = -1
	reasons = make([]string, len(candidates))
	for i, c := range candidates {
		reason, ok := c.Fits(target)
		if !ok {
			reasons[i] = reason
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		if d, _ := prefer(target, c, candidates[best]); d > 0 {
			best = i
		}
	}
	for i, c := range candidates {
		if i != best && reasons[i] == "" {
			_, reasons[i] = prefer(target, candidates[best], c)
		}
	}
	return best, reasons
}

// prefer orders two platforms that both fit target: above zero when p serves it
// better. Why says of q what p has over it.
func prefer(target, p, q Platform) (d int, why string) {
	if d := p.matches(target) - q.matches(target); d != 0 {
		return d, "fits, but less of it is known to match than of " + p.String()
	}
	if mine, other := p.demands(target), q.demands(target); len(mine) != len(other) {
		return len(other) - len(mine), "may fit, but is for " + strings.Join(other, " and ") + ", and what the target has is not known"
	}
	if p.Libc != q.Libc { // glibc before musl
		return cmp.Compare(q.Libc, p.Libc), "may fit, but " + p.Libc + " is the likelier libc"
	}
	for _, f := range floors {
		mine, other := f.of(&p), f.of(&q)
		d := CompareVersions(mine, other)
		switch {
		case d == 0 || f.needs(&p) != f.needs(&q):
			continue
		case f.of(&target) != "":
			return d, "fits, but its " + f.needs(&p) + " is lower than " + mine + ", which fits too"
		case f.baseline:
		case mine == "" || other == "":
			return d, "may fit, but does not say which " + f.needs(&p) + " it needs"
		}
		return -d, "may fit, but needs " + f.needs(&q) + " " + other + ", and what the target has is not known"
	}
	return 0, "fits, but comes after another that serves as well"
}

// Unfit makes the error, of kind [errdef.ErrPlatform], for candidates of which
// none fits, with the reasons that [Best] gave. Where says what they are in.
func Unfit(target Platform, where string, candidates []Platform, reasons []string) error {
	if len(candidates) == 0 {
		return errdef.Errorf(errdef.ErrPlatform, "%s has no packages in it", where)
	}
	const shown = 8
	var have []string
	for i, p := range candidates {
		if i == shown {
			have = append(have, "and "+strconv.Itoa(len(candidates)-shown)+" more, which get --explain lists")
			break
		}
		have = append(have, p.String()+" ("+reasons[i]+")")
	}
	return errdef.Errorf(errdef.ErrPlatform, "nothing in %s fits the target %s; there is %s", where, target, strings.Join(have, ", "))
}

// matches counts what is known on both sides, and so the same.
func (p Platform) matches(target Platform) (n int) {
	for _, f := range [][2]string{{p.OS, target.OS}, {p.Architecture, target.Architecture}, {p.Libc, target.Libc}, {p.Env, target.Env}, {p.Cxx, target.Cxx}} {
		if f[0] != "" && f[1] != "" {
			n++
		}
	}
	return n
}

// demands gives what p asks for that target does not say whether it has.
func (p Platform) demands(target Platform) (all []string) {
	for _, f := range [][2]string{{p.Libc, target.Libc}, {p.Env, target.Env}, {p.Cxx, target.Cxx}} {
		if f[0] != "" && f[1] == "" {
			all = append(all, f[0])
		}
	}
	return all
}

// Clean gives p in the form in which platforms are compared, as that of a
// document from elsewhere may not be: without v8, which every arm64 is, and
// without a variant that is none; and with "invalid", which is no system's,
// library's or ABI's name and above every version, for what cannot be one.
func (p Platform) Clean() Platform {
	for _, f := range []*string{&p.OS, &p.Architecture, &p.Variant, &p.OSVersion, &p.Libc, &p.LibcVersion, &p.Env, &p.Cxx, &p.CxxVersion} {
		if len(*f) > 64 || strings.Trim(*f, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") != "" {
			*f = "invalid"
		}
	}
	if p.Architecture == "arm64" && p.Variant == "v8" || len(p.Variant) < 2 || p.Variant[0] != 'v' {
		p.Variant = ""
	}
	return p
}

// IsVersion tells whether s is numbers with single dots between them.
func IsVersion(s string) bool {
	for number := range strings.SplitSeq(s, ".") {
		if number == "" || strings.Trim(number, "0123456789") != "" {
			return false
		}
	}
	return true
}

// CompareVersions orders two versions of dotted numbers, or two variants of an
// architecture such as v7: below zero when a is the lower. A missing part is
// zero, and a part that is no number compares as text.
func CompareVersions(a, b string) int {
	a, b = strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v")
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
		OS: known(oci.OS), Architecture: known(oci.Architecture), Variant: oci.Variant,
		LibcVersion: annotations[AnnotationLibcVersion], LibcEstimated: annotations[AnnotationLibcEstimated] == "true",
	}
	// Homebrew writes "macOS 12.0", and of Linux the distribution that it built
	// on, which says nothing of where else a package runs.
	if p.OS != "linux" {
		p.OSVersion = strings.TrimPrefix(oci.OSVersion, "macOS ")
	}
	for _, feature := range oci.OSFeatures {
		if libc, ok := strings.CutPrefix(feature, "libc."); ok {
			p.Libc = libc
		} else if env, ok := strings.CutPrefix(feature, "env."); ok {
			p.Env = env
		}
	}
	if brew := annotations[annotationBrewGlibc]; brew != "" && p.OS == "linux" && p.Libc == "" {
		p.Libc, p.LibcVersion = "glibc", brew
	}
	p.Cxx, p.CxxVersion, _ = strings.Cut(annotations[AnnotationCxx], " ")
	return p.Clean()
}

// unknown is what Docker writes for a part of a platform that is not known: the
// specification wants both an os and an architecture.
const unknown = "unknown"

func known(s string) string {
	if s == unknown {
		return ""
	}
	return s
}

// ToOCI gives p as an image index has it, with "unknown" for an os or an
// architecture that is; annotations is nil when there is nothing beyond the
// platform object.
func (p Platform) ToOCI() (oci OCI, annotations map[string]string) {
	oci = OCI{OS: cmp.Or(p.OS, unknown), Architecture: cmp.Or(p.Architecture, unknown), Variant: p.Variant, OSVersion: p.OSVersion}
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
	if p.LibcEstimated {
		annotate(AnnotationLibcEstimated, "true")
	}
	annotate(AnnotationCxx, p.Cxx+" "+p.CxxVersion)
	return oci, annotations
}
