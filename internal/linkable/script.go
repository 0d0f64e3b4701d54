package linkable

import (
	"strings"
	"unicode"

	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// maxScript is the most bytes of a linker script that stands in a library's place.
const maxScript = 16 << 10

// isPlainScript reports whether a linker script does no more than name libraries, by name or by file name, as a flag -l
// would: GROUP ( libgcc_s.so.1 -lgcc ). Linkers find these where they find libraries, and those of the package are looked at
// like any other. See https://sourceware.org/binutils/docs/ld/File-Commands.html.
func isPlainScript(text string) bool {
	var code strings.Builder
	for text != "" {
		before, comment, has := strings.Cut(text, "/*")
		code.WriteString(before + " ")
		_, rest, ended := strings.Cut(comment, "*/")
		if has && !ended {
			return false
		}
		text = rest
	}
	words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ", ",", " ").Replace(code.String()))
	var within []string // the commands whose parentheses are open
	command := ""       // that which a parenthesis must follow
	for _, word := range words {
		top := ""
		if len(within) > 0 {
			top = within[len(within)-1]
		}
		switch {
		case (word == "(") != (command != ""):
			return false
		case word == "(":
			within, command = append(within, command), ""
		case word == ")":
			if len(within) == 0 {
				return false
			}
			within = within[:len(within)-1]
		case top == "" && (word == "INPUT" || word == "GROUP" || word == "OUTPUT_FORMAT"), (top == "INPUT" || top == "GROUP") && word == "AS_NEEDED":
			command = word
		case top == "OUTPUT_FORMAT":
			if !strings.HasPrefix(word, "elf") || !plain(word) {
				return false
			}
		case top == "" || !isLibrary(word):
			return false
		}
	}
	return len(words) > 0 && len(within) == 0 && command == ""
}

// isLibrary reports whether a word of a script is -lNAME or the file name of a library.
func isLibrary(word string) bool {
	if name, ok := strings.CutPrefix(word, "-l"); ok {
		return plain(name)
	}
	return plain(word) && pkgconf.LibraryPath(word)
}

// plain reports whether a word has nothing in it that a linker would read as a path, a pattern or an option.
func plain(word string) bool {
	return word != "" && word[0] != '-' && word[0] != '.' && !strings.ContainsFunc(word, func(r rune) bool {
		return r >= unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_.+-", r)
	})
}
