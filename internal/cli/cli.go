// Package cli holds the commands of the programs: their flags, what they print,
// and the codes that they exit with. What they do is in package ocipkg.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/publish"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// The codes that the programs exit with.
const (
	exitFailed       = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitUnauthorized = 4
	exitVerification = 5
	exitLock         = 6
	exitPlatform     = 7
	exitNetwork      = 8
	exitInterrupted  = 130 // as shells have it for Ctrl-C
)

// Main runs the program ocipkg and gives its exit code.
func Main(args []string) int { return run("ocipkg", newRoot(), args) }

// CargoMain runs the program cargo-ocipkg, which cargo gives its own name as
// the first argument.
func CargoMain(args []string) int {
	if len(args) > 0 && args[0] == "ocipkg" {
		args = args[1:]
	}
	return run("cargo ocipkg", newCargoRoot(), args)
}

// garbagePercent is how much memory, as a part of what is in use, garbage may take
// before it is collected. Go lets it take as much again, which for the buffers of
// compressors is more than a command is to have; collecting earlier takes 0 to 4 %
// more CPU of a push and a get of 5,000 files.
const garbagePercent = 50

func run(program string, root *cobra.Command, args []string) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	// Not given up at the end: a signal that comes then would end the process by
	// itself, after the result was told.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once, whatever it hangs on.
	context.AfterFunc(ctx, stop)
	// Noted, so that a write into a closed pipe is an error to handle here and
	// not the end of the process, with its temporary files left.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	root.SetArgs(args)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return errdef.Errorf(errdef.ErrUsage, "%w; see: %s --help", err, cmd.CommandPath())
	})
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0
	}
	if ctx.Err() != nil {
		fmt.Fprintf(os.Stderr, "%s: interrupted; nothing half-made was left, and it can be run again\n", program)
		return exitInterrupted
	}
	var cargo *publish.ExitError
	if errors.As(err, &cargo) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, oneLine(err))
		return cargo.Code
	}
	if isCommandLine(err) {
		err = errdef.Errorf(errdef.ErrUsage, "%w; see: %s --help", err, program)
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", program, oneLine(err))
	return exitCode(err)
}

// isCommandLine tells cobra's errors about what was typed, which have no type
// of their own.
func isCommandLine(err error) bool {
	return slices.ContainsFunc([]string{"unknown command", "required flag(s)", "if any flags in the group"}, func(start string) bool {
		return strings.HasPrefix(err.Error(), start)
	})
}

// oneLine keeps an error on one line, whatever it was joined from.
func oneLine(err error) string {
	text := printable(strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
	if len(text) > 2*maxShown { // a package may have a name of a megabyte
		text = strings.ToValidUTF8(text[:maxShown]+" … "+text[len(text)-maxShown:], "")
	}
	return text
}

const maxShown = 4 << 10 // bytes at the start and at the end of an error

// printable takes from a text what a terminal would not show but obey: parts of
// it may be a package's own words. A password that a name came with goes, too.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, reference.Redact(text))
}

func exitCode(err error) int {
	for _, k := range []struct {
		kind error
		code int
	}{
		{errdef.ErrVerification, exitVerification},
		{errdef.ErrUnauthorized, exitUnauthorized},
		{errdef.ErrPlatform, exitPlatform},
		{errdef.ErrLock, exitLock},
		{errdef.ErrNetwork, exitNetwork},
		{errdef.ErrNotFound, exitNotFound},
		{errdef.ErrUsage, exitUsage},
	} {
		if errors.Is(err, k.kind) {
			return k.code
		}
	}
	return exitFailed
}

// app is what the commands of one run share.
type app struct {
	quiet, verbose      bool
	locked, offline     bool
	frozen              bool
	plainHTTP, insecure []string
	caFile              string
	connections         int
	limits              ocipkg.Limits
	json                bool
	progress            progress
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "ocipkg",
		Short: "Distribute native libraries through OCI registries, and link them",
		Long: `ocipkg makes a container registry the repository of your native libraries.

  ocipkg pack DIR zstd.tar -t ghcr.io/acme/zstd:1.5     make a package
  ocipkg push zstd.tar                                  publish it
  ocipkg get ghcr.io/acme/zstd:1.5                      fetch and unpack it
  cc main.c $(ocipkg link ghcr.io/acme/zstd:1.5)        link it

A source or destination is a name in a registry, oci-archive:FILE,
oci:DIR[:TAG], or a path that tells which of these it is.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	a.addGlobalFlags(root)
	root.AddCommand(
		a.packCommand(), a.composeCommand(), a.runnableCommand(),
		a.pushCommand(), a.copyCommand(), a.indexCommand(), a.getCommand(), a.loadCommand(), a.imageDirectoryCommand(), a.listCommand(),
		a.inspectCommand(), a.linkCommand(), a.tagsCommand(), a.loginCommand(), a.logoutCommand(), a.versionCommand(),
		a.addCommand(), a.removeCommand(), a.lockCommand(), a.updateCommand(), a.treeCommand(), a.vendorCommand(),
		a.pinCommand(), a.restoreCommand(), a.envCommand(),
		a.storeCommand(),
		a.bundleCommand(), a.cmakeDirCommand(), a.cmakeProjectCommand(), a.cmakeConfigCommand(),
	)
	return root
}

func (a *app) addGlobalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print results and errors only")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "print each request to a registry")
	flags.BoolVar(&a.locked, "locked", false, "take packages by digest or by ocipkg.lock alone, which must go with ocipkg.toml (or set OCIPKG_LOCKED=1)")
	flags.BoolVar(&a.offline, "offline", false, "open no connection (or set OCIPKG_OFFLINE=1)")
	flags.BoolVar(&a.frozen, "frozen", false, "--locked and --offline (or set OCIPKG_FROZEN=1)")
	flags.StringSliceVar(&a.plainHTTP, "plain-http", nil, "speak http to a registry: --plain-http=`HOST[:PORT]`, or to all without a value; loopback ones are anyway")
	flags.StringSliceVar(&a.insecure, "insecure", nil, "do not check the TLS certificate of a registry: --insecure=`HOST[:PORT]`, or of any without a value")
	flags.StringVar(&a.caFile, "ca-file", "", "trust the authorities whose certificates are in `FILE`, too (or set OCIPKG_CA_FILE)")
	flags.IntVar(&a.connections, "connections", 0, "move so many blobs, or parts of one, at once; 0 adapts (or set OCIPKG_CONNECTIONS=`N`)")
	var limits []string
	flags.Func("limit", "raise or lower a bound on what is read of a package: `NAME=NUMBER`, such as bytes=128GiB; of bytes, entries, ratio, path, depth, manifest, config, index (or set OCIPKG_LIMIT)", func(text string) (err error) {
		limits = append(limits, strings.Split(text, ",")...)
		a.limits, err = ocipkg.ParseLimits(limits)
		return err
	})
	flags.Lookup("plain-http").NoOptDefVal = "*"
	flags.Lookup("insecure").NoOptDefVal = "*"
}

// client gives the client that a command works with.
func (a *app) client() *ocipkg.Client {
	c := &ocipkg.Client{PlainHTTP: a.plainHTTP, Insecure: a.insecure, UserAgent: "ocipkg/" + version(), Warn: a.warn}
	c.CAFile, c.Connections, c.Limits = a.caFile, a.connections, a.limits
	c.Locked, c.Offline = a.locked || a.frozen, a.offline || a.frozen
	if !a.quiet {
		c.Progress = a.progress.update
	}
	if a.verbose {
		c.Trace = a.note
	}
	return c
}

// warn tells the user about something that went on all the same.
func (a *app) warn(line string) {
	a.progress.clear()
	fmt.Fprintln(os.Stderr, "ocipkg: warning:", printable(line))
}

// note tells the user what was done, unless they want quiet.
func (a *app) note(line string) {
	if !a.quiet {
		a.progress.clear()
		fmt.Fprintln(os.Stderr, line)
	}
}

// result prints what a command was asked for.
func (a *app) result(cmd *cobra.Command, text string) error {
	a.progress.clear()
	_, err := io.WriteString(cmd.OutOrStdout(), text+"\n")
	return err
}

// usage marks a wrong number of arguments as a mistake in the command line.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return errdef.Errorf(errdef.ErrUsage, "%w; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// unknownCommand refuses an argument in a command's place, with the commands
// that may have been meant.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errdef.Errorf(errdef.ErrUsage, "there is no command %q%s; see: %s --help", args[0], hint, cmd.CommandPath())
}

// version gives the version that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.result(cmd, "ocipkg "+version())
		},
	}
}
