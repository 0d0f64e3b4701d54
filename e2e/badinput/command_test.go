package badinput

import (
	"net"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestNamesThatDoNotParseAreUsageErrors(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("in/file", "content", 0o644)
	for _, name := range []string{
		"",
		"ghcr.io/Acme/zlib:1",
		"ghcr.io/acme/zlib:",
		"ghcr.io/acme/zlib:a b",
		"ghcr.io/acme/zlib:" + strings.Repeat("x", 129),
		"ghcr.io//zlib:1",
		"https://ghcr.io/acme/zlib:1",
		"ghcr.io/acme/zlib@sha256:123",
		"ghcr.io/acme/zlib@md5:d41d8cd98f00b204e9800998ecf8427e",
		"ghcr.io/acme/zlib:1\n",
		"-",
	} {
		for _, arguments := range [][]string{
			{"get", "--", name},
			{"push", "--", "in", name},
			{"pack", "-t=" + name, "in", "out.tar"},
			{"image-directory", "--", name},
			{"link", "--", name},
		} {
			if name == "" && arguments[0] == "pack" {
				continue // no name is a name that was not given
			}
			refuses(t, s, usage, nil, arguments...)
		}
	}
	refuses(t, s, usage, []string{"https://ghcr.io/acme/zlib:1"}, "get", "https://ghcr.io/acme/zlib:1")
	refuses(t, s, usage, []string{"sha256:"}, "push", "in", "ghcr.io/acme/zlib@sha256:"+strings.Repeat("0", 64))
}

func TestCommandLinesThatCannotWorkAreUsageErrorsThatSayHowItGoes(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("in/file", "content", 0o644)
	for _, c := range []struct {
		words     []string
		arguments []string
	}{
		{[]string{"frobnicate", "--help"}, []string{"frobnicate"}},
		{[]string{"--frobnicate", "--help"}, []string{"pack", "--frobnicate", "in", "out"}},
		{[]string{"usage: ocipkg pack INPUT_DIR OUTPUT"}, []string{"pack", "in"}},
		{[]string{"usage: ocipkg get NAME"}, []string{"get"}},
		{[]string{"usage: ocipkg get NAME"}, []string{"get", "a/b:1", "a/b:2"}},
		{[]string{"output"}, []string{"compose", "in/file"}},
		{[]string{"lzma", "zstd", "gzip"}, []string{"pack", "--compression", "lzma", "in", "out"}},
		{[]string{"riscless"}, []string{"pack", "--platform", "riscless", "in", "out"}},
		{[]string{"json", "json5"}, []string{"link", "--format", "json5", "127.0.0.1:1/a/b:1"}},
		{[]string{"ocipkg push in NAME"}, []string{"push", "in"}},
		{[]string{"ocipkg pack in OUTPUT"}, []string{"inspect", "in"}},
	} {
		refuses(t, s, usage, c.words, c.arguments...)
	}
}

func TestAnnotationFilesThatCannotBeReadStopPackBeforeItBegins(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("in/file", "content", 0o644)
	s.WriteFile("wrong.toml", "[org.opencontainers.image]\nurl = \n", 0o644)
	s.WriteFile("number.toml", "[org.opencontainers.image]\nversion = 1\n", 0o644)
	refuses(t, s, usage, []string{"wrong.toml", "2"}, "pack", "--annotations", "wrong.toml", "in", "out")
	refuses(t, s, usage, []string{"number.toml", "version"}, "pack", "--annotations", "number.toml", "in", "out")
	refuses(t, s, notFound, []string{"missing.toml"}, "pack", "--annotations", "missing.toml", "in", "out")
	s.WriteFile("ocipkg.toml", "[org.opencontainers", 0o644)
	refuses(t, s, usage, []string{"ocipkg.toml"}, "pack", "in", "out")
}

func TestUnknownRegistriesAreErrorsOfTheNetwork(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	s := program.New(t, program.Options{})
	s.WriteFile("in/file", "content", 0o644)
	for _, host := range []string{closed, "registry.invalid"} {
		name := host + "/acme/zlib:1"
		for _, arguments := range [][]string{
			{"get", name}, {"push", "in", name}, {"link", name}, {"inspect", name}, {"tags", host + "/acme/zlib"},
			{"login", host, "-u", "alice", "-p", "secret"},
		} {
			refuses(t, s, network, []string{host, "check the name"}, arguments...)
		}
	}
}

func TestTagThatDoesNotExistIsNotFoundAndThoseThatDoAreNamed(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := program.New(t, program.Options{})
	s.WriteFile("in/file", "content", 0o644)
	name := registry.Host + "/acme/zlib"
	s.Run("ocipkg", "push", "in", name+":1.2.13", name+":1.3").OK()
	for _, command := range []string{"get", "inspect", "link"} {
		refuses(t, s, notFound, []string{name + ":1.4", "1.2.13", "1.3"}, command, name+":1.4")
		refuses(t, s, notFound, []string{name + ":latest", "1.2.13", "1.3"}, command, name)
		refuses(t, s, notFound, []string{registry.Host + "/acme/other:1"}, command, registry.Host+"/acme/other:1")
		refuses(t, s, notFound, nil, command, name+"@sha256:"+strings.Repeat("0", 64))
	}
	refuses(t, s, notFound, []string{"acme/other"}, "tags", registry.Host+"/acme/other")
	refuses(t, s, notFound, []string{name + ":1.3", "ocipkg get"}, "image-directory", name+":1.3")
}
