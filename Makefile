# make demo    the whole way of a package, from a C file to a program that runs
# make test    every check and test; with INSTALL=1 it installs the tools first
# make fresh   demo and test on a machine that has nothing, set up for it in a
#              directory: before a release. It needs root and debootstrap
# make soak    what takes longer: fuzzing, and the tests over and over
# make fuzz    each fuzz target for TIME, a minute unless said: TIME=10m
# make vuln    asks the Go vulnerability database about what is used
# make bench   measures beside other tools and writes docs/benchmarks.md, in
#              an hour or more; with INSTALL=1 it installs them first.
#              bench-quick takes a tenth or less of the files, and minutes

GOTESTSUM   := go run gotest.tools/gotestsum@v1.13.0 --format pkgname --
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
MODULES     := . bench e2e examples/quickstart
TIME        := 1m

# The tests in e2e need root, for a second account and for small disks. Root has
# caches of its own: what it writes into those of somebody else, they cannot use.
ROOT := $(if $(filter-out 0,$(shell id -u)),sudo -E -H env -u GOCACHE -u GOMODCACHE -u GOPATH -u XDG_CACHE_HOME "PATH=$$PATH")

.PHONY: build demo test tools lint fresh soak fuzz vuln bench bench-quick

build:
	go build -o bin/ ./cmd/...

demo: build
	cd examples/quickstart && PATH="$(CURDIR)/bin:$$PATH" go run .

test: tools lint
	$(GOTESTSUM) ./...
	cd bench && $(GOTESTSUM) ./...
	cd integrations/rust && cargo test --quiet
	cd e2e && $(ROOT) $(GOTESTSUM) -count=1 -parallel 4 -timeout 25m ./...

tools:
	./scripts/tools

# What is compiled for other systems is only looked at, never run: nothing is
# gained by optimizing it.
lint:
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted"; exit 1; fi
	for os in darwin windows; do GOOS=$$os go vet -gcflags='all=-N -l' ./... || exit 1; done
	for module in $(MODULES); do (cd $$module && go vet ./... && $(STATICCHECK) ./...) || exit 1; done

fresh:
	./scripts/fresh

soak:
	./scripts/fuzz 2m
	go test -race -count=5 ./...
	cd e2e && go test -count=5 -timeout 60m ./...
	cd e2e && OCIPKG_SOAK=1 go test -count=1 -timeout 60m ./detection ./platforms ./upkeep
	cd e2e && OCIPKG_SOAK=1 go test -count=1 -v -timeout 180m ./robustness
	cd e2e && OCIPKG_SOAK=1 go test -count=1 -run Protocol ./login

fuzz:
	./scripts/fuzz $(TIME)

vuln:
	for module in $(MODULES); do (cd $$module && $(GOVULNCHECK) ./...) || exit 1; done

bench:
	cd bench && go run .

bench-quick:
	cd bench && go run . -quick
