package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/near"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Default gives the user's rules: those of [Variable], else those of the
// configuration file. Without either there are none.
func Default() (Rules, error) {
	if value := os.Getenv(Variable); value != "" {
		return Parse(value)
	}
	if path := os.Getenv("OCIPKG_CONFIG"); path != "" {
		rules, err := Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = errdef.Errorf(errdef.ErrNotFound, "OCIPKG_CONFIG names %s, which does not exist; make it, or unset the variable", path)
		}
		return rules, err
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return nil, nil // no home, no configuration
		}
	}
	rules, err := Read(filepath.Join(dir, "ocipkg", "config.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return rules, err
}

// Read reads a configuration file. What it says that is not understood is an
// error of kind [errdef.ErrUsage], with the line.
func Read(path string) (Rules, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	rules, line, err := parseFile(raw, filepath.Dir(absolute))
	if err != nil {
		return nil, errdef.Errorf(errdef.ErrUsage, "read %s: line %d: %w", path, line, err)
	}
	for i := range rules {
		prefix := rules[i].Prefix
		if prefix == "" {
			prefix = "*"
		}
		rules[i].Off = fmt.Sprintf("take fallback = false from %q in %s", prefix, path)
	}
	return rules, nil
}

// parseFile reads the text of a configuration file in dir. With an error comes
// the line that it is about.
func parseFile(raw []byte, dir string) (rules Rules, line int, err error) {
	var doc struct {
		Mirrors map[string]any `toml:"mirrors"`
	}
	if err := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields().Decode(&doc); err != nil {
		line, err := explain(err)
		return nil, line, err
	}
	for prefix, value := range doc.Mirrors {
		rule, key, err := parseRule(prefix, value, dir)
		if err != nil {
			return nil, lineOf(raw, prefix, key), fmt.Errorf("the mirrors for %q: %w", prefix, err)
		}
		rules = append(rules, rule)
	}
	return rules, 0, nil
}

// explain gives the line of a TOML error and what it says, or the key that is
// not known with the one that may have been meant.
func explain(err error) (int, error) {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		line, _ := unknown.Errors[0].Position()
		key := unknown.Errors[0].Key()
		return line, fmt.Errorf("the key %q is not known; write mirrors, the only table there is%s", strings.Join(key, "."), quoteHint(key))
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		line, _ := syntax.Position()
		return line, errors.New(strings.TrimPrefix(syntax.Error(), "toml: "))
	}
	return 1, err
}

// quoteHint helps with a registry's name that TOML has taken apart.
func quoteHint(key []string) string {
	if len(key) > 1 {
		return ", and put names with dots in them in quotes"
	}
	return ""
}

// parseRule reads what stands for one prefix: a place, several, or a table. With
// an error comes the key of the table that it is about, empty for none.
func parseRule(prefix string, value any, dir string) (rule Rule, key string, err error) {
	rule = Rule{Prefix: prefix, Fallback: true}
	if prefix == "*" {
		rule.Prefix = ""
	} else if err := checkPrefix(prefix); err != nil {
		return rule, "", err
	}
	table, ok := value.(map[string]any)
	if !ok {
		rule.At, err = parsePlaces(value, dir)
		return rule, "", err
	}
	for key, value := range table {
		switch key {
		case "at":
			if rule.At, err = parsePlaces(value, dir); err != nil {
				return rule, key, err
			}
		case "fallback":
			if rule.Fallback, ok = value.(bool); !ok {
				return rule, key, fmt.Errorf("fallback is true or false, without quotes")
			}
		default:
			return rule, key, fmt.Errorf("the key %q is not known%s; the keys are at and fallback", key, near.Hint(key, "at", "fallback"))
		}
	}
	if len(rule.At) == 0 {
		return rule, "", errors.New(`there is none; write at = "HOST/PATH" or at = "oci:DIR"`)
	}
	return rule, "", nil
}

// checkPrefix tells whether prefix can be the beginning of a name.
func checkPrefix(prefix string) error {
	host, _, _ := strings.Cut(prefix, "/")
	ref, err := reference.ParseRepository(prefix + "/x")
	if err != nil || ref.Registry != host || ref.Tag != "" || ref.Digest != "" {
		return fmt.Errorf(`names begin with none such; write "HOST" or "HOST/PATH", in quotes and without a tag, or "*" for all`)
	}
	return nil
}

func parsePlaces(value any, dir string) ([]Place, error) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var places []Place
	for _, value := range list {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf(`a mirror is written in quotes, as "HOST/PATH" or "oci:DIR"`)
		}
		place, err := parsePlace(text, dir)
		if err != nil {
			return nil, err
		}
		places = append(places, place)
	}
	return places, nil
}

// lineOf finds the line of a prefix, or of a key in the table below it. The
// library for TOML keeps no positions of what it gives as maps.
func lineOf(raw []byte, prefix, key string) int {
	lines := strings.Split(string(raw), "\n")
	at := slices.IndexFunc(lines, func(line string) bool {
		return strings.Contains(line, `"`+prefix+`"`) || strings.Contains(line, "'"+prefix+"'") || strings.HasPrefix(strings.TrimSpace(line), prefix)
	})
	if at < 0 {
		return 1
	}
	if below := slices.IndexFunc(lines[at:], func(line string) bool { return key != "" && strings.Contains(line, key) }); below > 0 {
		at += below
	}
	return at + 1
}
