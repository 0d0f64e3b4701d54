package link

import (
	"fmt"
	"strings"
)

// cmakeText collects CMake code. Whatever comes from outside goes in as bracket arguments, in which CMake evaluates nothing.
// See https://cmake.org/cmake/help/latest/manual/cmake-language.7.html#bracket-argument.
type cmakeText struct {
	strings.Builder
	err error // the first value that CMake cannot carry
}

// line writes a line of code; the arguments must be quoted.
func (t *cmakeText) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// quote makes one argument of a text, whatever is in it but control characters.
func (t *cmakeText) quote(text string) string {
	if control(text) || strings.ContainsAny(text, "\t\u0085\u2028\u2029") {
		t.refuse(text, "has a control character")
	}
	for fence := "="; ; fence += "=" {
		end := "]" + fence + "]"
		if strings.Index(text+end, end) == len(text) {
			return "[" + fence + "[" + text + end
		}
	}
}

// list makes one argument of the items of a list.
func (t *cmakeText) list(items ...string) string {
	escaped := make([]string, len(items))
	for i, item := range items {
		// Where brackets do not match, CMake does not see the end of the item, and nothing escapes them.
		if !balanced(item) || strings.HasSuffix(item, `\`) {
			t.refuse(item, `has a bracket without its twin or ends in a backslash`)
		}
		escaped[i] = strings.ReplaceAll(item, ";", `\;`)
	}
	return t.quote(strings.Join(escaped, ";"))
}

func (t *cmakeText) refuse(text, reason string) {
	if t.err == nil {
		t.err = fmt.Errorf("write %q for CMake: it %s, which CMake's lists cannot carry: rename it", text, reason)
	}
}

// balanced counts square brackets as CMake does where it splits a list.
func balanced(item string) bool {
	return strings.Count(item, "[") == strings.Count(item, "]")
}

// set writes a variable that is a list. Who reads it may hand it to CMake as a path or as an expression, so that there is no
// way to write what would be one.
func (t *cmakeText) set(variable string, items ...string) {
	for _, item := range items {
		if strings.Contains(item, "$<") {
			t.refuse(item, "begins a generator expression")
		}
	}
	t.line("set(%s %s)", variable, t.list(items...))
}

// property writes a property of a target that is one text.
func (t *cmakeText) property(target, name, value string) {
	if value != "" {
		t.line("set_property(TARGET %s PROPERTY %s %s)", t.quote(target), name, t.quote(value))
	}
}

// properties adds to a property of a target that is a list.
func (t *cmakeText) properties(target, name string, items []string) {
	if len(items) > 0 {
		t.line("set_property(TARGET %s APPEND PROPERTY %s %s)", t.quote(target), name, t.list(items...))
	}
}

// literal keeps a text from being read as a generator expression.
// See https://cmake.org/cmake/help/latest/manual/cmake-generator-expressions.7.html.
func literal(text string) string { return strings.ReplaceAll(text, "$<", "$<1:$><") }

// inExpression is a text as the argument of a generator expression.
var inExpression = strings.NewReplacer(">", "$<ANGLE-R>", ",", "$<COMMA>", "$<", "$<1:$><")

// linkOnly names a target whose headers are no business of the dependent.
func linkOnly(target string) string { return "$<LINK_ONLY:" + target + ">" }

// shellOption is an option of several arguments, which CMake keeps together.
func shellOption(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = Quote(arg)
	}
	return "SHELL:" + strings.Join(quoted, " ")
}
