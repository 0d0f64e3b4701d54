package limit

import (
	"errors"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestLimitsAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]Limits{
		"bytes=128GiB":                        {Bytes: 128 << 30},
		"bytes=1":                             {Bytes: 1},
		"entries=4000000, ratio=500":          {Entries: 4_000_000, Ratio: 500},
		"path=8KiB,depth=1000":                {Path: 8 << 10, Depth: 1000},
		"manifest=64MiB,config=1GiB,index=20": {Manifest: 64 << 20, Config: 1 << 30, Index: 20},
		"bytes=1TiB,bytes=2TiB":               {Bytes: 2 << 40},
	} {
		got, err := Parse(strings.Split(text, ","))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                             "bytes, entries, ratio, path, depth, manifest, config, index",
		"128GiB":                       "not known",
		"byte=1":                       "not known",
		"Bytes=1":                      "not known",
		"bytes":                        "write it as bytes=128GiB",
		"bytes=":                       "write it as bytes=128GiB",
		"bytes=0":                      "write it as bytes=128GiB",
		"bytes=-1":                     "write it as bytes=128GiB",
		"bytes=1GB":                    "write it as bytes=128GiB",
		"bytes=1.5GiB":                 "write it as bytes=128GiB",
		"bytes=9223372036854775807KiB": "write it as bytes=128GiB",
		"bytes=99999999999999999999":   "write it as bytes=128GiB",
		"entries=1MiB":                 "write it as entries=4194304",
		"index=x":                      "write it as index=20000",
		"manifest=2GiB":                "below 2GiB",
		"config=3GiB":                  "below 2GiB",
	} {
		if _, err := Parse([]string{text}); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestEachLimitCanBeSetAndIsNamedWhenItIsHit(t *testing.T) {
	for _, f := range fields {
		if *f.at(&Default) == 0 {
			t.Errorf("%s has no default", f.name)
		}
		l, err := Parse([]string{f.example()})
		if err != nil || *f.at(&l) != 2**f.at(&Default) {
			t.Errorf("%s is read as %+v, %v", f.example(), l, err)
		}
		err = Default.Exceeded(f.name, "it has %d", 7)
		if !errors.Is(err, errdef.ErrVerification) || !strings.HasPrefix(err.Error(), "it has 7, beyond the limit of ") || !strings.HasSuffix(err.Error(), "--limit "+f.name+"=NUMBER or OCIPKG_LIMIT") {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

func TestWhatIsNotSetComesFromTheEnvironmentAndElseIsTheDefault(t *testing.T) {
	t.Setenv(EnvVar, "bytes=1KiB,entries=5")
	env, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	got := From(With(t.Context(), Limits{Entries: 9}.Or(env)))
	want := Default
	want.Bytes, want.Entries = 1<<10, 9
	if got != want {
		t.Errorf("the limits are %+v", got)
	}
	if From(t.Context()) != Default {
		t.Error("a context without limits has not the default")
	}
	t.Setenv(EnvVar, "bytes=much")
	if _, err := FromEnv(); !errors.Is(err, errdef.ErrUsage) || !strings.HasPrefix(err.Error(), EnvVar) {
		t.Errorf("the error is %v", err)
	}
}
