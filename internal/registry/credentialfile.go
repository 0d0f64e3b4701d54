package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// credentialFile is what a file of docker or podman says.
// https://github.com/docker/cli/blob/v28.5.1/cli/config/configfile/file.go
type credentialFile struct {
	name        string                     // for the user
	exposed     bool                       // others on this machine can read or change it
	piped       bool                       // it is no regular file
	Auths       map[string]json.RawMessage `json:"auths"`
	CredsStore  string                     `json:"credsStore"`
	CredHelpers map[string]string          `json:"credHelpers"`
}

// parseCredentials reads the text of such a file. The error does not show it.
func parseCredentials(name string, raw []byte) (*credentialFile, error) {
	file := &credentialFile{name: name}
	raw = withoutMark(raw)
	if len(raw) == 0 {
		return file, nil
	}
	err := json.Unmarshal(raw, file)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		err = fmt.Errorf("%s is not what docker has there", kind.Field)
	}
	if err == nil && raw[0] != '{' || err != nil && kind != nil && kind.Field == "" {
		err = errors.New("it is no JSON object")
	}
	return file, err
}

// withoutMark gives a text without blanks around it, and without the byte order
// mark that some of Windows's programs put before it.
func withoutMark(raw []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\uFEFF")))
}

// readCredentialFile reads a file of docker or podman. One that is not there
// counts as empty.
func readCredentialFile(path string) (*credentialFile, error) {
	raw, info, err := readWithInfo(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return &credentialFile{name: path}, nil
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("read the credentials: %s is a directory; move it away", path)
	case err != nil:
		return nil, fmt.Errorf("read the credentials: %w; make the file readable or move it away", err)
	}
	file, err := parseCredentials(path, raw)
	if err != nil {
		return nil, fmt.Errorf("read the credentials in %s: %w; mend the file or move it away", path, err)
	}
	file.piped = !info.Mode().IsRegular()
	file.exposed = !file.piped && isExposed(path, info)
	return file, nil
}

func readWithInfo(path string) ([]byte, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.IsDir() {
		return nil, info, err
	}
	raw, err := io.ReadAll(file)
	return raw, info, err
}

// isExposed tells whether others than a file's owner can read or change it.
func isExposed(path string, info fs.FileInfo) bool {
	if !isForOthers(info) {
		return false
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	dir, err := os.Stat(filepath.Dir(path))
	return err != nil || isOpenToOthers(dir)
}

// entries gives the keys of the file's own entries for a registry, the best
// first. Old programs wrote them with a scheme, and with a path.
func (f *credentialFile) entries(registry string) []string {
	names := addresses(registry)
	var keys []string
	for _, name := range names {
		if _, ok := f.Auths[name]; ok {
			keys = append(keys, name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Auths)) {
		if slices.Contains(names, hostOfKey(key)) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// hostOfKey gives the registry that a key is for. A path after a host without
// a scheme makes it a key for a part of the registry, and not for it.
func hostOfKey(key string) string {
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := strings.CutPrefix(key, scheme); ok {
			host, _, _ := strings.Cut(rest, "/")
			return host
		}
	}
	name := strings.TrimSuffix(key, "/")
	return strings.TrimSuffix(strings.TrimSuffix(name, "/v1"), "/v2")
}

// entry reads one of the file's own entries.
func (f *credentialFile) entry(key string, warn func(string)) auth.Credential {
	cred, err := parseEntry(f.Auths[key])
	if err != nil {
		// The error may show what the entry holds.
		warn(fmt.Sprintf("the entry for %s in %s cannot be read; going on without it: run ocipkg login anew", key, f.name))
		return auth.EmptyCredential
	}
	if cred != auth.EmptyCredential && f.exposed {
		warn(fmt.Sprintf("%s holds what to log in to %s with, and others on this machine can read it; run: chmod 600 %[1]s", f.name, key))
	}
	return cred
}

// fileEntry is an entry of docker's or podman's.
// https://github.com/docker/cli/blob/v28.5.1/cli/config/types/authconfig.go
type fileEntry struct {
	Auth          string `json:"auth,omitempty"`          // USER:PASSWORD in base64
	IdentityToken string `json:"identitytoken,omitempty"` // for which tokens are given
	RegistryToken string `json:"registrytoken,omitempty"` // a token itself
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
}

func parseEntry(raw json.RawMessage) (auth.Credential, error) {
	var entry fileEntry
	if err := json.Unmarshal(raw, &entry); err != nil {
		return auth.EmptyCredential, err
	}
	cred := auth.Credential{Username: entry.Username, Password: entry.Password, RefreshToken: entry.IdentityToken, AccessToken: entry.RegistryToken}
	if entry.Auth == "" {
		return cred, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
	if err != nil {
		return auth.EmptyCredential, err
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return auth.EmptyCredential, errors.New("it has no colon")
	}
	cred.Username, cred.Password = user, strings.Trim(password, "\x00") // as docker does
	return cred, nil
}

// formatEntry is the inverse of parseEntry.
func formatEntry(cred auth.Credential) (json.RawMessage, error) {
	if strings.Contains(cred.Username, ":") {
		return nil, errors.New("a user name with colons cannot be kept in a file")
	}
	entry := fileEntry{IdentityToken: cred.RefreshToken}
	if cred.Username != "" {
		entry.Auth = base64.StdEncoding.EncodeToString([]byte(cred.Username + ":" + cred.Password))
	}
	return json.Marshal(entry)
}

// editCredentialFile changes the entries of a file, or what else of its keys
// is named, and leaves all others.
func editCredentialFile(path string, change func(doc, auths map[string]json.RawMessage) error) error {
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	doc, auths := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if raw = withoutMark(raw); len(raw) > 0 {
		if err := json.Unmarshal(raw, &doc); err != nil {
			return err
		}
	}
	if len(doc["auths"]) > 0 {
		if err := json.Unmarshal(doc["auths"], &auths); err != nil {
			return err
		}
	}
	if auths == nil {
		auths = map[string]json.RawMessage{}
	}
	if err := change(doc, auths); err != nil {
		return err
	}
	if doc["auths"], err = json.Marshal(auths); err != nil {
		return err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(doc); err != nil {
		return err
	}
	return replaceFile(path, ".new-", text.Bytes())
}

// replaceFile writes a file for its owner alone, at once. Files whose names
// begin with start are what it leaves when it is killed.
func replaceFile(path, start string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), start+"*") // which makes it for its owner alone
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
