package program

import "strings"

// Fails ends the test unless the program ended with the given exit code,
// printed nothing on standard output, and said on standard error, in one line
// that begins with its name, all of words. It returns the Result.
func (r *Result) Fails(code int, words ...string) *Result {
	r.t.Helper()
	r.Exit(code)
	if r.Stdout != "" {
		r.t.Errorf("a failure printed a result\n%s", r)
	}
	line, rest, whole := strings.Cut(r.Stderr, "\n")
	if !whole || rest != "" {
		r.t.Errorf("standard error is not one line\n%s", r)
	}
	if !strings.Contains(line, "ocipkg: ") {
		r.t.Errorf("the error does not begin with the program's name\n%s", r)
	}
	for _, word := range words {
		if !strings.Contains(line, word) {
			r.t.Errorf("the error does not say %q\n%s", word, r)
		}
	}
	return r
}

// Says ends the test unless the program said all of words, on whichever of its
// outputs. It returns the Result.
func (r *Result) Says(words ...string) *Result {
	r.t.Helper()
	for _, word := range words {
		if !strings.Contains(r.Stdout, word) && !strings.Contains(r.Stderr, word) {
			r.t.Errorf("the program does not say %q\n%s", word, r)
		}
	}
	return r
}

// Digest ends the test unless the program succeeded, and returns the digest
// that it printed as its only result.
func (r *Result) Digest() string {
	r.t.Helper()
	text := strings.TrimSuffix(r.OK().Stdout, "\n")
	if !strings.HasPrefix(text, "sha256:") || len(text) != len("sha256:")+64 {
		r.t.Fatalf("the result is no digest\n%s", r)
	}
	return text
}

// OrKilled tells whether a signal ended the program, as it or a shell reports
// that; otherwise it ends the test unless the program succeeded.
func (r *Result) OrKilled() bool {
	r.t.Helper()
	const sigkill = 9
	if r.ExitCode == -1 || r.ExitCode == 128+sigkill {
		return true
	}
	r.OK()
	return false
}
