package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func (a *app) loginCommand() *cobra.Command {
	var user, password string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "login REGISTRY",
		Short: "Keep a user name and password for a registry",
		Long: `Check a user name and password with a registry, and keep them where docker does:
with the credential helper that docker's configuration names, else in the
configuration itself. What is not given is asked for.`,
		Example: "  echo $TOKEN | ocipkg login ghcr.io -u USER --password-stdin",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			user, password, err := ask(cmd, user, password, stdin)
			if err != nil {
				return fmt.Errorf("log in to %s: %w", args[0], err)
			}
			client := a.client()
			defer client.Close()
			if err := client.Login(cmd.Context(), args[0], user, password); err != nil {
				return err
			}
			a.note("logged in to " + args[0])
			return nil
		},
	}
	cmd.Flags().StringVarP(&user, "username", "u", "", "`USER` to log in as")
	cmd.Flags().StringVarP(&password, "password", "p", "", "`PASSWORD` or token; others on this machine may see it: prefer --password-stdin")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	cmd.MarkFlagsMutuallyExclusive("password", "password-stdin")
	return cmd
}

// ask completes a user name and a password from standard input.
func ask(cmd *cobra.Command, user, password string, stdin bool) (string, string, error) {
	terminal := term.IsTerminal(int(os.Stdin.Fd()))
	if (user == "" || password == "" && !stdin) && !terminal {
		return "", "", errdef.Errorf(errdef.ErrUsage, "there is no terminal to ask on; give -u USER and --password-stdin")
	}
	if user == "" {
		fmt.Fprint(os.Stderr, "Username: ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			return "", "", err
		}
		user = strings.TrimSpace(line)
	}
	switch {
	case stdin:
		raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20))
		if err != nil {
			return "", "", err
		}
		password = strings.TrimRight(string(raw), "\r\n")
	case password == "":
		fmt.Fprint(os.Stderr, "Password: ")
		raw, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return "", "", err
		}
		password = string(raw)
	}
	if user == "" || password == "" {
		return "", "", errdef.Errorf(errdef.ErrUsage, "the user name or the password is empty")
	}
	return user, password, nil
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout REGISTRY",
		Short: "Forget the user name and password for a registry",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := a.client()
			defer client.Close()
			if err := client.Logout(cmd.Context(), args[0]); err != nil {
				return err
			}
			a.note("logged out of " + args[0])
			return nil
		},
	}
}
