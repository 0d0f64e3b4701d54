package pkgconf

import (
	"errors"
	"strings"
)

// Split cuts a string into arguments as pkgconf does, which is nearly as a shell does: blanks separate, quotes and
// backslashes protect. Empty arguments are dropped. A quote that does not close or a backslash at the end is an error.
func Split(s string) ([]string, error) {
	var arguments []string
	var argument strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'':
			i++
			if i == len(s) {
				return nil, errors.New("a backslash stands at the end")
			}
			if quote == '"' && !strings.ContainsRune("$`\"\\", rune(s[i])) {
				argument.WriteByte('\\')
			}
			argument.WriteByte(s[i])
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				argument.WriteByte(c)
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.IndexByte(blank, c) >= 0:
			if argument.Len() > 0 {
				arguments = append(arguments, argument.String())
				argument.Reset()
			}
		default:
			argument.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote has no end")
	}
	if argument.Len() > 0 {
		arguments = append(arguments, argument.String())
	}
	return arguments, nil
}

// Quote writes an argument as pkgconf prints it: with a backslash before each character that a shell would take for
// something else, except $, ( and ), which .pc files use for make's variables.
func Quote(argument string) string {
	var out strings.Builder
	for i := 0; i < len(argument); i++ {
		if !plain(argument[i]) {
			out.WriteByte('\\')
		}
		out.WriteByte(argument[i])
	}
	return out.String()
}

func plain(c byte) bool {
	return letter(c) || c >= '0' && c <= '9' || strings.IndexByte("$()+,-./:=@^_~", c) >= 0
}
