package reference

import "strings"

// InPkgConfig tells whether a word that a build gives pkg-config as a name is
// meant to be that of a package in a registry: it has a slash in it and is no
// path, since pkg-config takes .pc files by path. Whether it is a good name is
// for [Parse] to say.
func InPkgConfig(word string) bool {
	if !strings.Contains(word, "/") || strings.ContainsAny(word, `\$`) || strings.HasSuffix(word, ".pc") {
		return false
	}
	if word[0] == '/' || word[0] == '.' || word[0] == '-' {
		return false
	}
	drive := len(word) > 2 && word[1] == ':' && word[2] == '/'
	return !drive
}

// CutModule splits the name of a module off a word that names a package: "reg/a/b:1+module" is the module alone of what
// reg/a/b:1 stands for. No part of a reference has a plus sign; the name of a module may. A word without a slash, or without
// a module, comes back as it is.
func CutModule(word string) (ref, module string) {
	ref, module, found := strings.Cut(word, "+")
	if !found || module == "" || !strings.Contains(ref, "/") {
		return word, ""
	}
	return ref, module
}
