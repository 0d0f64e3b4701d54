package program

import (
	"os"
	"path/filepath"
	"slices"
)

// containerTools are tools of other projects that keep logins and state outside of HOME, such as in
// /run/containers, which an earlier run may have left to root. Only Foreign runs them.
var containerTools = []string{"buildah", "crane", "docker", "oras", "podman", "regctl", "skopeo", "umoci"}

// Foreign runs a tool of another project, such as skopeo, to its end. The tool has the session's
// account and working directory, and a home, a runtime directory and credentials that only it uses.
// What the session or the machine has of such tools does not change what it does.
func (s *Session) Foreign(name string, arguments ...string) *Result {
	s.t.Helper()
	dir := filepath.Join(filepath.Dir(s.Home), "foreign", filepath.Base(name))
	runtimeDir, logins := filepath.Join(dir, "run"), filepath.Join(dir, "config.json")
	if err := os.MkdirAll(runtimeDir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(logins, []byte("{}\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.Own(filepath.Dir(dir))
	tool := *s
	tool.foreign = true
	tool.Env = append(slices.Clip(s.Env), "HOME="+dir, "XDG_RUNTIME_DIR="+runtimeDir, "REGISTRY_AUTH_FILE="+logins, "DOCKER_CONFIG="+dir)
	return tool.Run(name, arguments...)
}
