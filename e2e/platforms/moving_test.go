package platforms

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// digests are those of the packages that an index has.
func digests(t *testing.T, s *program.Session, name string) []string {
	t.Helper()
	var all []string
	for _, p := range inspect(t, s, name).Packages {
		all = append(all, p.Digest)
	}
	return all
}

// simple packs a header for each of platforms, in an archive called
// NAME-PLATFORM.tar with dashes, and gives the digests.
func simple(t *testing.T, s *program.Session, name string, platforms ...string) map[string]string {
	t.Helper()
	packed := map[string]string{}
	for _, p := range platforms {
		dir := name + "-" + strings.NewReplacer("/", "-", " ", "-").Replace(p)
		s.WriteFile(dir+"/include/f.h", "/* "+name+" for "+p+" */\n", 0o644)
		packed[p] = s.Run("ocipkg", "pack", dir, dir+".tar", "--platform", p).OK().Digest()
	}
	return packed
}

// What was published later than a package that was added is not undone by the
// next one that is added.
func TestAddingDoesNotBringBackWhatWasReplaced(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := program.New(t, program.Options{})
	const glibc, musl, arm, mac = "linux/amd64 glibc", "linux/amd64 musl", "linux/arm64", "darwin/arm64"
	older := simple(t, s, "old", glibc, mac)
	newer := simple(t, s, "new", glibc, musl, arm)
	for tag, c := range map[string]struct {
		publish []string // what comes between
		want    []string
	}{
		"pushed":  {[]string{"push", "new-linux-amd64-glibc.tar", "new-linux-amd64-musl.tar", "NAME"}, []string{newer[glibc], newer[musl], newer[arm]}},
		"alone":   {[]string{"push", "new-linux-amd64-glibc.tar", "NAME"}, []string{newer[glibc], newer[arm]}},
		"created": {[]string{"index", "create", "NAME", "new-linux-amd64-musl.tar", "old-darwin-arm64.tar"}, []string{newer[musl], older[mac], newer[arm]}},
	} {
		name := registry.Host + "/acme/moving:" + tag
		s.Run("ocipkg", "index", "add", name, "old-linux-amd64-glibc.tar", "old-darwin-arm64.tar").OK()
		arguments := slices.Clone(c.publish)
		arguments[slices.Index(arguments, "NAME")] = name
		s.Run("ocipkg", arguments...).OK()
		s.Run("ocipkg", "index", "add", name, "new-linux-arm64.tar").OK()
		got := digests(t, s, name)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: the index has %v, want %v", tag, got, c.want)
		}
	}
}

// A writer that has read what there is, and writes only when another has come
// and gone, does not undo the other's work.
func TestAWriterThatIsLateKeepsWhatCameMeanwhile(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	simple(t, s, "f", "linux/amd64", "linux/arm64")
	name := registry.Host + "/acme/f:1"

	late, other := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	registry.SetIntercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1") && held.CompareAndSwap(false, true) {
			close(late)
			<-other
		}
		next.ServeHTTP(w, r)
	})
	first := s.Start("ocipkg", "index", "add", name, "f-linux-amd64.tar")
	<-late
	s.Run("ocipkg", "index", "add", name, "f-linux-arm64.tar").OK()
	close(other)
	first.Wait().OK()
	if got := digests(t, s, name); len(got) != 2 {
		t.Errorf("the index has %v, and two were added", got)
	}
}

// putIndex puts an index under a name, with entries that are written as JSON.
func putIndex(t *testing.T, registry *registrytest.Registry, path string, entries ...string) {
	t.Helper()
	body := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + strings.Join(entries, ",") + `]}`
	request, err := http.NewRequest(http.MethodPut, registry.URL+"/v2/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	resp, err := registry.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("put %s: %s", path, resp.Status)
	}
}

// entryOf is the descriptor of a package that is in the registry, with more in it.
func entryOf(t *testing.T, s *program.Session, name, more string) string {
	t.Helper()
	var in struct{ Descriptor map[string]any }
	if err := json.Unmarshal([]byte(s.Run("ocipkg", "inspect", "--json", name).OK().Stdout), &in); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(in.Descriptor)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(raw), "}") + "," + more + "}"
}

func TestWhatOnlyAnIndexSaysOfAPackageIsKept(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	s.WriteFile("any/include/f.h", "/* any */\n", 0o644)
	simple(t, s, "f", "windows/amd64")
	repository := registry.Host + "/acme/foreign"
	s.Run("ocipkg", "push", "any", repository+":plain", "--platform", "any").OK()
	linux := entryOf(t, s, repository+":plain", `"platform":{"os":"linux","architecture":"amd64","os.version":"Ubuntu 22.04"},"annotations":{"sh.brew.bottle.glibc.version":"2.35"}`)
	attestation := entryOf(t, s, repository+":plain", `"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}`)
	putIndex(t, registry, "acme/foreign/manifests/src", linux)
	putIndex(t, registry, "acme/foreign/manifests/attested", linux, attestation)

	// Copied into another index, and carried along by one that adds to it.
	s.Run("ocipkg", "index", "create", repository+":created", repository+":src", "f-windows-amd64.tar").OK()
	said := s.Run("ocipkg", "index", "add", repository+":attested", "f-windows-amd64.tar").OK()
	if strings.Count(said.Stderr, "attestations") != 1 {
		t.Errorf("that attestations are left out is not said once: %s", said)
	}
	for _, tag := range []string{":created", ":attested"} {
		s.Run("ocipkg", "inspect", repository+tag).OK().Says("linux/amd64", "glibc 2.35", "windows/amd64")
		if got := digests(t, s, repository+tag); len(got) != 2 {
			t.Errorf("%s has %v", tag, got)
		}
		s.Run("ocipkg", "get", "--platform", "linux/amd64 glibc 2.31", repository+tag).Fails(7, "needs glibc 2.35, the target has 2.31")
	}
	// Added to an index, it would be a package that nobody knows the platform of.
	s.Run("ocipkg", "index", "add", repository+":1", repository+":src").Fails(2, "index create")
	putIndex(t, registry, "acme/foreign/manifests/nested", entryOf(t, s, repository+":src", `"annotations":{}`))
	s.Run("ocipkg", "index", "create", repository+":1", repository+":nested").Fails(2, "names another index")
	putIndex(t, registry, "acme/foreign/manifests/empty")
	s.Run("ocipkg", "index", "create", repository+":1", repository+":empty").Fails(7, "no packages")
	s.Run("ocipkg", "get", repository+":empty").Fails(7, "no packages")
}

func TestAHostilePlatformIsShownAndFitsNothing(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	simple(t, s, "f", "linux/amd64")
	name := registry.Host + "/acme/hostile"
	s.Run("ocipkg", "push", "f-linux-amd64.tar", name+":plain").OK()
	putIndex(t, registry, "acme/hostile/manifests/1", entryOf(t, s, name+":plain", `"platform":{"os":"linux\nFAKE","architecture":"amd64","variant":"\u001b[2J"}`))
	for _, arguments := range [][]string{{"inspect", name + ":1"}, {"get", "--explain", name + ":1"}} {
		r := s.Run("ocipkg", arguments...).Says("invalid/amd64")
		if strings.Contains(r.Stdout+r.Stderr, "FAKE") || strings.Contains(r.Stdout+r.Stderr, "\x1b") {
			t.Errorf("what a package says reaches the terminal: %q", r.Stdout+r.Stderr)
		}
	}
	s.Run("ocipkg", "get", "--platform", "linux/amd64", name+":1").Fails(7, "os is invalid, not linux")
}

func TestAFileInThePlaceOfANameIsRefused(t *testing.T) {
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	simple(t, s, "f", "linux/amd64", "linux/arm64")
	name := registry.Host + "/acme/f:1"
	for _, arguments := range [][]string{
		{"push", "f-linux-amd64.tar", name, "f-linux-arm64.tar"},
		{"index", "create", "f-linux-amd64.tar", name},
		{"index", "add", "f-linux-amd64.tar", name},
	} {
		s.Run("ocipkg", arguments...).Fails(2, ".tar", "sources before the names")
	}
	if n := len(registry.Requests()); n != 0 {
		t.Errorf("the registry was asked %d times", n)
	}
	for _, arguments := range [][]string{
		{"--libc", "uclibc"}, {"--libc", "glibc:"}, {"--libc", "glibc:2.17:3"}, {"--max-glibc", "abc"}, {"--max-glibc", "glibc:2.1"}, {"--platform", "any", "--libc", "musl"},
	} {
		s.Run("ocipkg", append([]string{"pack", "f-linux-amd64", "x.tar"}, arguments...)...).Exit(2)
	}
}
