package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// keychain is a program that keeps credentials, by what its name has after
// docker-credential-.
// https://github.com/docker/docker-credential-helpers#development
type keychain string

func (k keychain) program() string { return "docker-credential-" + string(k) }

// helperWait is how long such a program may take; some ask the user for a
// passphrase.
var helperWait = time.Minute

// maxHelped is the most, in bytes, that one may say.
const maxHelped = 64 << 10

const (
	tokenUser      = "<token>" // that the secret is an identity token
	notInKeychains = "credentials not found in native keychain"
)

// keychainEntry is what these programs take and give.
type keychainEntry struct {
	ServerURL string
	Username  string
	Secret    string
}

// get gives what the program has for an address; nothing is no error.
func (k keychain) get(ctx context.Context, address string) (auth.Credential, error) {
	said, err := k.run(ctx, "get", address)
	if err != nil {
		if err.Error() == notInKeychains {
			err = nil
		}
		return auth.EmptyCredential, err
	}
	var entry keychainEntry
	if err := json.Unmarshal(said, &entry); err != nil {
		return auth.EmptyCredential, errors.New("what it said are no credentials in JSON") // the error may show them
	}
	switch {
	case entry.Secret == "":
		return auth.EmptyCredential, nil
	case entry.Username == tokenUser:
		return auth.Credential{RefreshToken: entry.Secret}, nil
	}
	return auth.Credential{Username: entry.Username, Password: entry.Secret}, nil
}

func (k keychain) store(ctx context.Context, address string, cred auth.Credential) error {
	entry := keychainEntry{address, cred.Username, cred.Password}
	if cred.RefreshToken != "" {
		entry.Username, entry.Secret = tokenUser, cred.RefreshToken
	}
	raw, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	_, err = k.run(ctx, "store", string(raw))
	return err
}

func (k keychain) erase(ctx context.Context, address string) error {
	_, err := k.run(ctx, "erase", address)
	return err
}

// run runs the program. What it writes on its standard error is dropped, since
// it may be anything; why it failed it says on its standard output.
func (k keychain) run(ctx context.Context, action, input string) ([]byte, error) {
	if strings.ContainsAny(string(k), `/\`) {
		return nil, errors.New("that is a path, and no name of a program")
	}
	path, err := exec.LookPath(k.program())
	if err != nil {
		return nil, errors.New("it is not found on PATH; install it, or take it out of the file")
	}
	limited, cancel := context.WithTimeout(ctx, helperWait)
	defer cancel()
	said := &limitedBuffer{left: maxHelped, full: cancel}
	cmd := exec.CommandContext(limited, path, action)
	cmd.Stdin, cmd.Stdout = strings.NewReader(input), said
	// What it started may hold its output open when it has ended.
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	message := strings.TrimSpace(said.taken.String())
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case said.left < 0:
		return nil, fmt.Errorf("it said more than %d bytes", maxHelped)
	case limited.Err() != nil:
		return nil, fmt.Errorf("it did not end within %v", helperWait)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return said.taken.Bytes(), nil
	case errors.As(err, &exit) && tells(message, input):
		return nil, fmt.Errorf("it ended with %w, and what it said is not shown, since that may be secret", err)
	case errors.As(err, &exit) && message != "":
		return nil, errors.New(oneLine(message))
	case action == "store":
		return nil, fmt.Errorf("it ended with %w", err)
	}
	return nil, fmt.Errorf("it ended with %w; to see why, run: echo %s | %s %s", err, input, k.program(), action)
}

// tells tells whether what a program says may have a secret in it: that which it
// has, or was given.
func tells(message, input string) bool {
	var given keychainEntry
	_ = json.Unmarshal([]byte(input), &given) // what is none has no secret
	return strings.HasPrefix(message, "{") || strings.Contains(message, `"Secret"`) || given.Secret != "" && strings.Contains(message, given.Secret)
}

// limitedBuffer takes so many bytes, and calls full at the first beyond. It has
// no other way to be written to.
type limitedBuffer struct {
	taken bytes.Buffer
	left  int
	full  func()
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.full()
		return 0, io.ErrShortBuffer
	}
	return b.taken.Write(p)
}

// systemKeychain names the program for the system's own keychain, as docker
// chooses it; empty when it is not installed.
func systemKeychain() keychain {
	var k keychain
	switch runtime.GOOS {
	case "darwin":
		k = "osxkeychain"
	case "windows":
		k = "wincred"
	case "linux":
		k = "secretservice"
		if _, err := exec.LookPath("pass"); err == nil {
			k = "pass"
		}
	}
	if _, err := exec.LookPath(k.program()); err != nil {
		return ""
	}
	return k
}
