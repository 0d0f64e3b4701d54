package stories

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// TestScripts runs the stories in testdata/script, which are written as a user
// would type them. Each is one user with an empty home, and the programs are on
// their PATH. Beside the commands of testscript there is
//
//	registry [USER PASSWORD]
//
// which starts a registry and puts its host:port into $REG.
func TestScripts(t *testing.T) {
	t.Parallel()
	bin := program.Bin(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, ".home"))
			env.Setenv("PATH", strings.Join([]string{bin, "/usr/local/bin", "/usr/bin", "/bin"}, string(filepath.ListSeparator)))
			env.Setenv("LANG", "C.UTF-8")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"registry": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 0 && len(args) != 2 {
					ts.Fatalf("usage: registry [USER PASSWORD]")
				}
				registry := registrytest.StartMemory(t)
				if len(args) == 2 {
					registry.SetIntercept(registrytest.RequireBasic(`Basic realm="the registry"`, registrytest.Account{User: args[0], Password: args[1]}))
				}
				ts.Setenv("REG", registry.Host)
			},
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
