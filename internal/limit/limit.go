// Package limit says how much of a package is read before it is refused: what
// comes from elsewhere must not fill a disk, a table of inodes or the memory of
// whoever fetches it.
//
// Limits travel in a context, since they belong to whoever asked, and not to
// what is read or to where it is read from.
package limit

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Limits bound what is read of one package. For whoever sets them, a zero field
// leaves it at the default; for whoever keeps to them, it is no bound.
type Limits struct {
	// Bytes of all files of a package together, unpacked.
	Bytes int64
	// Entries are files, links and directories of a package.
	Entries int64
	// Ratio is how many bytes each compressed byte of a layer may become. Those
	// beyond that may be 256 MiB in a package, so that what is small is never
	// refused for it. An entry counts as 4 KiB.
	Ratio int64
	// Path is the bytes in the path of a file, which lies in at most Depth
	// directories one in another.
	Path, Depth int64
	// Manifest is the bytes of a manifest or an index.
	Manifest int64
	// Config is the bytes of a package's config, and of what it becomes when it is
	// compressed.
	Config int64
	// Index is the entries of an index.
	Index int64
}

// Default are far above what any real library has, and below what fills a disk
// unnoticed.
var Default = Limits{
	Bytes: 64 << 30, Entries: 2 << 20, Ratio: 100, Path: 4096, Depth: 255,
	Manifest: 16 << 20, Config: 256 << 20, Index: 10_000,
}

// EnvVar is the environment variable that has limits as [Parse] reads them.
const EnvVar = "OCIPKG_LIMIT"

// field is a limit by the name that it has for users.
type field struct {
	name  string
	bytes bool
	at    func(*Limits) *int64
}

var fields = []field{
	{"bytes", true, func(l *Limits) *int64 { return &l.Bytes }},
	{"entries", false, func(l *Limits) *int64 { return &l.Entries }},
	{"ratio", false, func(l *Limits) *int64 { return &l.Ratio }},
	{"path", true, func(l *Limits) *int64 { return &l.Path }},
	{"depth", false, func(l *Limits) *int64 { return &l.Depth }},
	{"manifest", true, func(l *Limits) *int64 { return &l.Manifest }},
	{"config", true, func(l *Limits) *int64 { return &l.Config }},
	{"index", false, func(l *Limits) *int64 { return &l.Index }},
}

// inMemory are the limits of what is read into memory, which no machine has more
// of than an address can say.
const inMemory = math.MaxInt32

// Parse reads limits, each NAME=NUMBER, such as "bytes=128GiB". Those that are
// not named are zero, and of one that is named twice the last counts. The error
// is of kind [errdef.ErrUsage].
func Parse(texts []string) (Limits, error) {
	var l Limits
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		f := byName(strings.TrimSpace(name))
		if f == nil {
			return l, errdef.Errorf(errdef.ErrUsage, "the limit %q is not known; write it as NAME=NUMBER, such as bytes=128GiB, with one of the names %s", text, names())
		}
		n, ok := parse(strings.TrimSpace(value), f.bytes)
		if !ok {
			return l, errdef.Errorf(errdef.ErrUsage, "the limit %q has no number from 1 on; write it as %s", text, f.example())
		}
		if (f.name == "manifest" || f.name == "config") && n > inMemory {
			return l, errdef.Errorf(errdef.ErrUsage, "the limit %q is more than is read into memory, which is below 2GiB", text)
		}
		*f.at(&l) = n
	}
	return l, nil
}

func (f field) example() string {
	n := *f.at(&Default)
	if f.bytes {
		return f.name + "=" + Size(2*n)
	}
	return fmt.Sprintf("%s=%d", f.name, 2*n)
}

func byName(name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

func names() string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return strings.Join(all, ", ")
}

var units = []struct {
	suffix string
	shift  uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}

func parse(text string, bytes bool) (int64, bool) {
	shift := uint(0)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok && bytes {
			text, shift = rest, u.shift
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n << shift, err == nil && n > 0 && n <= math.MaxInt64>>shift
}

// Size writes a number of bytes as [Parse] reads it.
func Size(n int64) string {
	for i := len(units) - 1; i >= 0; i-- {
		if unit := int64(1) << units[i].shift; n >= unit && n%unit == 0 {
			return strconv.FormatInt(n/unit, 10) + units[i].suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// FromEnv reads the limits that the environment has; those that it does not have
// are zero.
func FromEnv() (Limits, error) {
	text := os.Getenv(EnvVar)
	if text == "" {
		return Limits{}, nil
	}
	l, err := Parse(strings.Split(text, ","))
	if err != nil {
		err = fmt.Errorf("%s: %w", EnvVar, err)
	}
	return l, err
}

// Or gives l with each zero field as other has it.
func (l Limits) Or(other Limits) Limits {
	for _, f := range fields {
		if at := f.at(&l); *at == 0 {
			*at = *f.at(&other)
		}
	}
	return l
}

type key struct{}

// With gives a context in which l are the limits; where a field is zero, it is
// the default.
func With(ctx context.Context, l Limits) context.Context {
	return context.WithValue(ctx, key{}, l.Or(Default))
}

// From gives the limits in a context.
func From(ctx context.Context) Limits {
	if l, ok := ctx.Value(key{}).(Limits); ok {
		return l
	}
	return Default
}

// Exceeded makes the error, of kind [errdef.ErrVerification], that what is
// described hits the limit of that name, and says how to raise it.
func (l Limits) Exceeded(name, format string, args ...any) error {
	f := byName(name)
	value := *f.at(&l)
	text := strconv.FormatInt(value, 10)
	if f.bytes {
		text = Size(value)
	}
	return errdef.Errorf(errdef.ErrVerification, "%s, beyond the limit of %s; if that is as it should be, raise it with --limit %s=NUMBER or %s", fmt.Sprintf(format, args...), text, name, EnvVar)
}
