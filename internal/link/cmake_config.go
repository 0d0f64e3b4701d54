package link

import (
	"maps"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// systemTarget names the target of a package that is none of ours, by the name that pkg-config has for it.
func systemTarget(name string) string {
	if m, ok := moduleOf(name); ok {
		return m.targets[0].target
	}
	return "PkgConfig::ocipkg_" + systemPrefix(name)
}

// systemPrefix makes a variable's prefix of a pkg-config name.
func systemPrefix(name string) string { return strings.Map(plainRune, name) }

// findSystem finds a package that none of ours answers to. Where CMake has a module for it, that is asked: a dependency
// provider sees it, and the program then has one copy of the library and not two.
func (c *cmakeConfig) findSystem(s SystemPackage) {
	t := &c.body
	target := systemTarget(s.Name)
	t.line("if(NOT TARGET %s)", t.quote(target))
	if m, ok := moduleOf(s.Name); ok {
		t.line("find_package(%s QUIET)", m.name)
	} else {
		specs := []string{t.quote(s.Name)}
		for i, constraint := range s.Constraints {
			spec := s.Name + strings.ReplaceAll(constraint, " ", "")
			if i == 0 {
				specs = specs[:0]
			}
			specs = append(specs, t.quote(spec))
		}
		t.line("find_package(PkgConfig QUIET)")
		t.line("if(PKG_CONFIG_FOUND)\npkg_check_modules(ocipkg_%s QUIET IMPORTED_TARGET %s)\nendif()", systemPrefix(s.Name), strings.Join(specs, " "))
	}
	t.line("endif()")
	t.line("if(NOT TARGET %s)", t.quote(target))
	t.line("set(%s_FOUND FALSE)", c.opts.Name)
	t.line("string(APPEND %s_NOT_FOUND_MESSAGE %s)", c.opts.Name, t.quote(c.opts.Name+" needs "+s.Name+", which is neither in its package's closure nor on this system; "))
	t.line("endif()")
}

// usage writes what is compiled against a target: of the whole closure, since the targets that it links are for the linker.
func (c *cmakeConfig) usage(name string, roots []cps.Root) error {
	var usage [2]*Flags
	for i, language := range []string{"c", "cpp"} {
		opts := c.collector.opts
		opts.Language = language
		one := newCollector(c.packages, opts)
		one.of[c.request.Package.CPS] = c.request.Package
		if err := one.compile(roots); err != nil {
			return err
		}
		usage[i] = one.flags
	}
	forC, forCXX := usage[0], usage[1]
	t := &c.body
	t.properties(name, "INTERFACE_INCLUDE_DIRECTORIES", byLanguage(c.existing(forC.IncludeDirs), c.existing(forCXX.IncludeDirs)))
	t.properties(name, "INTERFACE_COMPILE_DEFINITIONS", byLanguage(definitions(forC), definitions(forCXX)))
	t.properties(name, "INTERFACE_COMPILE_OPTIONS", byLanguage(compileOptions(forC), compileOptions(forCXX)))
	for _, s := range forC.System {
		t.properties(name, "INTERFACE_LINK_LIBRARIES", []string{systemTarget(s.Name)})
	}
	return nil
}

func (c *cmakeConfig) existing(dirs []string) []string {
	if c.opts.Exists == nil {
		return dirs
	}
	return slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool { return !c.opts.Exists(dir) })
}

func definitions(f *Flags) []string {
	var list []string
	for _, d := range f.Defines {
		list = append(list, strings.TrimPrefix(d.Arg(), "-D"))
	}
	return list
}

func compileOptions(f *Flags) []string {
	var list []string
	for _, args := range f.CFlags {
		list = append(list, shellOption(args))
	}
	return list
}

// byLanguage joins the values for C and for C++.
func byLanguage(forC, forCXX []string) []string {
	var list []string
	for _, value := range forC {
		if slices.Contains(forCXX, value) {
			list = append(list, literal(value))
		} else {
			list = append(list, "$<$<COMPILE_LANGUAGE:C>:"+inExpression.Replace(value)+">")
		}
	}
	for _, value := range forCXX {
		if !slices.Contains(forC, value) {
			list = append(list, "$<$<COMPILE_LANGUAGE:CXX>:"+inExpression.Replace(value)+">")
		}
	}
	return list
}

// variables sets what Find modules set. See
// https://cmake.org/cmake/help/latest/manual/cmake-developer.7.html#standard-variable-names.
func (c *cmakeConfig) variables(roots []cps.Root) error {
	own, all, err := c.flat(roots)
	if err != nil {
		return err
	}
	one := newCollector(c.packages, c.collector.opts)
	one.of[c.request.Package.CPS] = c.request.Package
	if err := one.compile(roots); err != nil {
		return err
	}
	includes := c.existing(one.flags.IncludeDirs)
	var defines []string
	for _, d := range one.flags.Defines {
		defines = append(defines, d.Arg())
	}
	t := &c.body
	prefixes := appendMissing([]string{c.opts.Name}, strings.ToUpper(c.opts.Name))
	for _, prefix := range prefixes {
		t.set(prefix+"_INCLUDE_DIRS", includes...)
		t.set(prefix+"_INCLUDE_DIR", includes...)
		t.set(prefix+"_LIBRARIES", all...)
		t.set(prefix+"_LIBRARY", own...)
		t.set(prefix+"_DEFINITIONS", defines...)
		t.line("set(%s_VERSION %s)", prefix, t.quote(c.version()))
		t.line("set(%s_VERSION_STRING %s)", prefix, t.quote(c.version()))
	}
	for _, variable := range c.module.includeVariables {
		t.set(variable, includes...)
	}
	for _, alias := range c.module.targets {
		if err := c.singleLibrary(alias); err != nil {
			return err
		}
	}
	return nil
}

// singleLibrary sets the variables of a module that has one for each of its libraries, such as OPENSSL_SSL_LIBRARY.
func (c *cmakeConfig) singleLibrary(alias cmakeAlias) error {
	if alias.library == "" {
		return nil
	}
	component, err := c.componentOf(alias.library)
	if component == "" || err != nil {
		return err
	}
	roots := []cps.Root{{Package: c.request.Package.CPS, Component: component}}
	items, err := c.rootItems(roots)
	if err != nil {
		return err
	}
	_, all, err := c.flat(roots)
	if err != nil {
		return err
	}
	prefix := strings.ToUpper(c.opts.Name + "_" + alias.library)
	c.body.set(prefix+"_LIBRARY", c.file(items[0]))
	c.body.set(prefix+"_LIBRARIES", all...)
	return nil
}

func (c *cmakeConfig) version() string {
	if v := c.request.Package.CPS.Version; v != "" {
		return v
	}
	return c.opts.Version
}

// text is the config. It works under whatever policies its reader has.
func (c *cmakeConfig) text() string {
	var t cmakeText
	t.line("# Made by ocipkg. What the package says of itself stands in brackets, where CMake evaluates nothing.")
	t.line("cmake_policy(PUSH)\ncmake_policy(VERSION 3.24)")
	if len(c.opts.Depends) > 0 {
		t.line("set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS %s)", t.list(c.opts.Depends...))
	}
	t.line("get_property(_ocipkg_cxx GLOBAL PROPERTY ENABLED_LANGUAGES)")
	t.line("if(CXX IN_LIST _ocipkg_cxx)\nset(_ocipkg_cxx TRUE)\nelse()\nset(_ocipkg_cxx FALSE)\nendif()")
	t.line("set(%s_FOUND TRUE)\nset(%s_NOT_FOUND_MESSAGE \"\")", c.opts.Name, c.opts.Name)
	t.WriteString(c.body.String())
	c.checkComponents(&t)
	if upper := strings.ToUpper(c.opts.Name); upper != c.opts.Name {
		t.line("set(%s_FOUND \"${%s_FOUND}\")", upper, c.opts.Name)
	}
	t.line("unset(_ocipkg_cxx)\ncmake_policy(POP)")
	if c.body.err == nil {
		c.body.err = t.err
	}
	return t.String()
}

// checkComponents answers find_package's COMPONENTS, without regard to case. One that is called otherwise by the project gets
// a target of the name that the project gives it.
func (c *cmakeConfig) checkComponents(t *cmakeText) {
	reason := ": it has none"
	if slices.Sort(c.named); len(c.named) > 0 {
		reason = ": its components are " + strings.Join(slices.Compact(c.named), ", ")
	}
	var known []string
	for _, name := range slices.Sorted(maps.Keys(c.components)) {
		known = append(known, name, "="+c.components[name])
	}
	for _, u := range c.unavailable {
		reason += "; " + u
	}
	t.set("_ocipkg_components", known...)
	t.line(componentCheck, c.opts.Name, t.quote(reason))
}

const componentCheck = `unset(_ocipkg_missing)
foreach(_ocipkg_component IN LISTS %[1]s_FIND_COMPONENTS)
string(TOLOWER "${_ocipkg_component}" _ocipkg_index)
list(FIND _ocipkg_components "${_ocipkg_index}" _ocipkg_index)
if(_ocipkg_index LESS 0)
set(%[1]s_${_ocipkg_component}_FOUND FALSE)
if(%[1]s_FIND_REQUIRED_${_ocipkg_component})
list(APPEND _ocipkg_missing "${_ocipkg_component}")
endif()
else()
set(%[1]s_${_ocipkg_component}_FOUND TRUE)
math(EXPR _ocipkg_index "${_ocipkg_index} + 1")
list(GET _ocipkg_components ${_ocipkg_index} _ocipkg_index)
string(SUBSTRING "${_ocipkg_index}" 1 -1 _ocipkg_index)
if(NOT "${_ocipkg_index}" STREQUAL "" AND NOT TARGET "%[1]s::${_ocipkg_component}")
add_library("%[1]s::${_ocipkg_component}" ALIAS "${_ocipkg_index}")
endif()
endif()
endforeach()
if(DEFINED _ocipkg_missing)
set(%[1]s_FOUND FALSE)
list(JOIN _ocipkg_missing ", " _ocipkg_missing)
string(APPEND %[1]s_NOT_FOUND_MESSAGE "the package has no component ${_ocipkg_missing}" %[2]s)
endif()
unset(_ocipkg_components)
unset(_ocipkg_component)
unset(_ocipkg_index)
unset(_ocipkg_missing)`

// versionFile answers find_package's version: as CMake's own modules do, with any version that is not older, unless the
// package says how far back it goes.
// See https://cmake.org/cmake/help/latest/command/find_package.html#config-mode-version-selection.
func (c *cmakeConfig) versionFile() string {
	var t cmakeText
	t.line("# Made by ocipkg.\nset(PACKAGE_VERSION %s)", t.quote(c.version()))
	t.line("set(_ocipkg_oldest %s)", t.quote(c.request.Package.CPS.CompatVersion))
	t.WriteString(versionCheck)
	if c.body.err == nil {
		c.body.err = t.err
	}
	return t.String()
}

const versionCheck = `if(NOT PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
elseif("${PACKAGE_VERSION}" STREQUAL "")
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
elseif(PACKAGE_FIND_VERSION_RANGE)
  if(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MIN
      OR ("${PACKAGE_FIND_VERSION_RANGE_MAX}" STREQUAL "INCLUDE" AND PACKAGE_VERSION VERSION_GREATER PACKAGE_FIND_VERSION_MAX)
      OR ("${PACKAGE_FIND_VERSION_RANGE_MAX}" STREQUAL "EXCLUDE" AND NOT PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MAX))
    set(PACKAGE_VERSION_COMPATIBLE FALSE)
  else()
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
elseif(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
elseif(_ocipkg_oldest AND PACKAGE_FIND_VERSION VERSION_LESS _ocipkg_oldest)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
unset(_ocipkg_oldest)
`
