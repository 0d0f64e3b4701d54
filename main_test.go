package ocipkg_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// TestMain gives the tests and examples one temporary directory, and keeps the
// user's store and credentials out of them.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ocipkg-test-*")
	if err != nil {
		panic(err)
	}
	for variable, value := range map[string]string{"HOME": dir, "DOCKER_CONFIG": dir, "OCIPKG_HOME": "", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": "", "OCIPKG_TARGET": "", "REGISTRY_AUTH_FILE": "", "XDG_CONFIG_HOME": "", "OCIPKG_CONFIG": "", "OCIPKG_MIRROR": ""} {
		os.Setenv(variable, value)
	}
	top = dir
	code := m.Run()
	// Packages in a store are read-only, directories included.
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	os.RemoveAll(dir)
	os.Exit(code)
}

var top string

func tempDir() string {
	dir, err := os.MkdirTemp(top, "")
	if err != nil {
		panic(err)
	}
	return dir
}

// exampleFiles makes a directory to pack.
func exampleFiles() string {
	dir := tempDir()
	for name, text := range map[string]string{"include/greet.h": "void greet(const char *who);\n", "README": "Hello\n"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			panic(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			panic(err)
		}
	}
	return dir
}

var server *httptest.Server

func startRegistry() string {
	server = httptest.NewServer(&memory{content: map[string][]byte{}, types: map[string]string{}})
	return strings.TrimPrefix(server.URL, "http://")
}

func stopRegistry() { server.Close() }

// memory is as much of a registry as a push and a get need. Real ones are in
// the end-to-end tests.
type memory struct {
	// failing is how many uploads are answered 500 once they are there.
	failing int
	// strict refuses a manifest that names blobs which are not there.
	strict bool

	mu      sync.Mutex
	traffic int64             // bytes that came and went, without headers
	content map[string][]byte // by path
	types   map[string]string
}

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	m.traffic += int64(len(body))
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
	path := r.URL.Path
	switch r.Method {
	case http.MethodPost:
		w.Header().Set("Location", path+"session")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		dir, last := filepath.Split(path)
		if last == "session" && m.failing > 0 {
			m.failing--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if last == "session" {
			path = strings.TrimSuffix(dir, "uploads/") + r.URL.Query().Get("digest")
		} else {
			if blob := m.missing(path, body); m.strict && blob != "" {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":%q}]}`, blob)
				return
			}
			m.content[dir+digest], m.types[dir+digest] = body, r.Header.Get("Content-Type")
		}
		m.content[path], m.types[path] = body, r.Header.Get("Content-Type")
		w.WriteHeader(http.StatusCreated)
	default:
		content, ok := m.content[path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", m.types[path])
		w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256(content)))
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		n, _ := io.Copy(w, bytes.NewReader(content)) // nothing for HEAD
		m.traffic += n
	}
}

// missing gives a blob that a manifest at path names and that is not there.
func (m *memory) missing(path string, manifest []byte) string {
	repository, _, _ := strings.Cut(path, "/manifests/")
	for _, named := range regexp.MustCompile(`"digest":"([^"]*)"`).FindAllStringSubmatch(string(manifest), -1) {
		_, isBlob := m.content[repository+"/blobs/"+named[1]]
		_, isManifest := m.content[repository+"/manifests/"+named[1]]
		if !isBlob && !isManifest {
			return named[1]
		}
	}
	return ""
}
