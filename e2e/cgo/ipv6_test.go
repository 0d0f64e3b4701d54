package cgo

import (
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestPackageOfARegistryWithAnIPv6AddressIsLinkedByItsAlias(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{Address: "::1"})
	name := registry.Host + "/acme/answer:1"
	publish(t, name, 4711, nil)
	s := goUser(t)
	s.WriteFile("go.mod", "module example.com/app\n\ngo 1.24\n", 0o644)
	s.WriteFile("main.go", "package main\n\nimport \"example.com/app/answer\"\n\nfunc main() { println(answer.Answer()) }\n", 0o644)
	s.WriteFile("answer/answer.go", useAnswer("answer"), 0o644)
	s.WriteFile("ocipkg.toml", "", 0o644)
	s.Run("ocipkg", "add", "--as", "answer", name).OK()
	s.Run("go", "build", "-o", "app", ".").OK()
	checkAnswer(t, s, "app", 4711)

	// The go command itself takes no name that begins with a bracket.
	s.WriteFile("answer/answer.go", useAnswer(name), 0o644)
	s.Run("go", "build", ".").Exit(1).Says("malformed #cgo argument")
}
