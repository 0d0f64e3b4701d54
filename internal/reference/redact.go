package reference

import "strings"

// Redact gives a text in which no name or URL has a user with a password, as
// some write them before a host. It is for what users are told: they may have
// written it so, and what they are told may be kept where others read it.
func Redact(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	var out strings.Builder
	for text != "" {
		end := strings.IndexAny(text, " \t\r\n\"'`,;()<>")
		switch end {
		case -1:
			end = len(text)
		case 0:
			end = 1
		}
		out.WriteString(redactWord(text[:end]))
		text = text[end:]
	}
	return out.String()
}

func redactWord(word string) string {
	start, url := 0, false
	if i := strings.Index(word, "://"); i >= 0 {
		start, url = i+len("://"), true
	} else if isPath(word) {
		return word
	} else if i := strings.IndexByte(word, '='); i > 0 && strings.Trim(word[:i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "" {
		start = i + 1 // behind the name of a variable
	}
	name, digest := word[start:], ""
	if i := strings.LastIndexByte(name, '@'); i >= 0 && strings.HasPrefix(name[i+1:], "sha") {
		name, digest = name[:i], name[i:]
	}
	i := strings.LastIndexByte(name, '@')
	if i < 0 {
		return word
	}
	user := strings.Contains(name[:i], ":") // and a password
	if url {
		user = user || !strings.Contains(name[:i], "/")
	} else {
		user = user && strings.Contains(name[i:], "/")
	}
	if !user {
		return word
	}
	return word[:start] + "…" + name[i:] + digest
}

// isPath tells of what may have an @ of its own.
func isPath(word string) bool {
	for _, start := range []string{"/", ".", "~", "oci:", "oci-archive:"} {
		if strings.HasPrefix(word, start) {
			return true
		}
	}
	return len(word) > 2 && word[1] == ':' && (word[2] == '\\' || word[2] == '/')
}
