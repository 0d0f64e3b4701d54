package platforms

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestFiveJobsThatAddToOneIndexAtOnceLoseNothing(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := producer(t)
	rounds := 5
	if os.Getenv("OCIPKG_SOAK") == "1" {
		rounds = 20
	}
	for round := range rounds {
		name := registry.Host + "/acme/where:" + string(rune('a'+round))
		var jobs []*program.Process
		for _, archive := range archives() {
			jobs = append(jobs, s.Start("ocipkg", "index", "add", name, archive))
		}
		for _, job := range jobs {
			job.Wait().OK()
		}
		checkAll(t, s, name)
	}
}

func TestTheWaysToPublishGiveOneIndex(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := producer(t)
	repository := registry.Host + "/acme/where"

	at := repository + ":at-once"
	want := s.Run("ocipkg", append(append([]string{"push"}, archives()...), at)...).OK().Digest()
	checkAll(t, s, at)

	var pushed []string
	for _, archive := range archives() {
		pushed = append(pushed, repository+"@"+s.Run("ocipkg", "push", archive, repository+"@").OK().Digest())
	}
	slices.Reverse(pushed)
	for name, arguments := range map[string][]string{
		"gathered": append([]string{"index", "create", repository + ":gathered"}, pushed...),
		"added":    append([]string{"index", "add", repository + ":added"}, archives()...),
		// The packages of another index, from another repository.
		"copied": {"index", "create", registry.Host + "/other/where:copied", at},
	} {
		if got := s.Run("ocipkg", arguments...).OK().Digest(); got != want {
			t.Errorf("the index that was %s is %s, and the one pushed at once %s", name, got, want)
		}
	}
	checkAll(t, s, registry.Host+"/other/where:copied")

	// What was published otherwise is kept by those that add to it.
	s.Run("ocipkg", "push", archives()[0], repository+":grown").OK()
	for _, archive := range archives()[1:] {
		s.Run("ocipkg", "index", "add", repository+":grown", archive).OK()
	}
	checkAll(t, s, repository+":grown")
	if got := inspect(t, s, repository+":grown").Descriptor.Digest; got != want {
		t.Errorf("the index that grew is %s, not %s", got, want)
	}
}

func TestAPackageForTheSamePlatformIsReplaced(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := producer(t)
	name := registry.Host + "/acme/where:1"
	s.Run("ocipkg", append([]string{"index", "add", name}, archives()...)...).OK()
	old := inspect(t, s, name)

	s.WriteFile("glibc/NEWS", "another build\n", 0o644)
	digest := s.Run("ocipkg", "pack", "-f", "glibc", "glibc.tar").OK().Digest()
	said := s.Run("ocipkg", "index", "add", name, "glibc.tar").OK().Stderr
	checkAll(t, s, name)
	for _, p := range inspect(t, s, name).Packages {
		before := slices.ContainsFunc(old.Packages, func(o entry) bool { return o.Digest == p.Digest })
		if isNew := p.Digest == digest; isNew == before {
			t.Errorf("%s is there, and was before: %t", p.Digest, before)
		}
	}
	if !strings.Contains(said, digest) || !strings.Contains(said, "takes the place of") {
		t.Errorf("that a package was replaced was not said: %q", said)
	}
	// The same again changes nothing.
	before := inspect(t, s, name).Descriptor.Digest
	if said := s.Run("ocipkg", "index", "add", name, "glibc.tar").OK(); said.Digest() != before || strings.Contains(said.Stderr, "place") {
		t.Errorf("adding what is there: %s", said)
	}
}

func TestWhatCannotBeOneIndexIsRefused(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := producer(t)
	repository := registry.Host + "/acme/where"
	s.WriteFile("other/include/where.h", "/* nothing */\n", 0o644)
	s.Run("ocipkg", "pack", "other", "other.tar", "--platform", "darwin/arm64 12.0").OK()
	for _, c := range []struct {
		arguments []string
		words     []string
	}{
		{[]string{"push", "macos.tar", "other.tar", repository + ":1"}, []string{"macos.tar ", "other.tar ", "both for darwin/arm64 12.0", "leave one out"}},
		{[]string{"index", "add", repository + ":1", "macos.tar", "other.tar"}, []string{"macos.tar", "other.tar", "darwin-arm64", "index create"}},
		{[]string{"push", "macos.tar", "musl.tar"}, []string{"2 sources", "one name"}},
		{[]string{"push", "macos.tar", repository + ":1@"}, []string{"leave the tag out"}},
		{[]string{"index", "add", repository + "@", "macos.tar"}, []string{"tag"}},
		{[]string{"index", "add", repository + ":" + strings.Repeat("x", 120), "macos.tar"}, []string{"128"}},
		{[]string{"index", "create", repository + ":1"}, []string{"usage"}},
	} {
		registry.ClearRequests()
		s.Run("ocipkg", c.arguments...).Fails(2, c.words...)
		for _, r := range registry.Requests() {
			if r.Method != "GET" && r.Method != "HEAD" {
				t.Errorf("ocipkg %v: %s %s", c.arguments, r.Method, r.Path)
			}
		}
	}
	s.Run("ocipkg", "index", "create", repository+":1", repository+"@sha256:"+strings.Repeat("0", 64)).Fails(3, "sha256:000")
	s.Run("ocipkg", "index", "create", repository+":1", "missing.tar").Fails(3, "missing.tar")
}
