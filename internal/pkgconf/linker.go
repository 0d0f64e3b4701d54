package pkgconf

import (
	"slices"
	"strings"
)

// LinkerFlags writes the arguments of a Libs field so that each option of the linker stands in an argument of its own, in the
// order in which the linker gets them: "-Wl,-O1,-z,now" becomes "-Wl,-O1" "-Wl,-z,now", and so do "-Xlinker -O1" and "-z now". A
// library among the options ("-Wl,--whole-archive,-lz") becomes a library as others are. Compilers hand the linker the same
// for both, and Go's takes no more than one option in an argument.
func LinkerFlags(arguments []string) []string {
	var list, words []string
	flush := func() {
		list, words = append(list, linkerArguments(words)...), nil
	}
	for i := 0; i < len(arguments); i++ {
		argument, more := arguments[i], i+1 < len(arguments)
		options, forLinker := strings.CutPrefix(argument, "-Wl,")
		switch {
		case forLinker:
			words = append(words, strings.Split(options, ",")...)
		case argument == "-Xlinker" && more && !strings.Contains(arguments[i+1], ","):
			i++
			words = append(words, arguments[i])
		case argument == "-z" && more:
			i++
			words = append(words, "-z", arguments[i])
		case argument == "-(" || argument == "-)":
			words = append(words, argument)
		default:
			flush()
			list = append(list, argument)
			if slices.Contains(separate, argument) && more {
				i++
				list = append(list, arguments[i])
			}
		}
	}
	flush()
	return list
}

// linkerArguments makes arguments for a compiler of words for the linker. A word without a dash belongs to the option before
// it, unless that stands for a state, which takes none.
func linkerArguments(words []string) []string {
	var list []string
	attached := false
	for _, word := range words {
		switch isOption := strings.HasPrefix(word, "-"); {
		case isOption && isLibraryOption(word), !isOption && !attached && LibraryPath(word):
			list, attached = append(list, word), false
		case isOption:
			if parenthesis, ok := map[string]string{"-(": "--start-group", "-)": "--end-group"}[word]; ok {
				word = parenthesis
			}
			list, attached = append(list, "-Wl,"+word), ScopeOf("-Wl,"+word) == NoScope
		case attached:
			list[len(list)-1] += "," + word
		default:
			list = append(list, "-Wl,"+word)
		}
	}
	return list
}

// isLibraryOption reports whether an option of the linker is -lNAME. Apple's linker reads -lto_library as another one.
func isLibraryOption(word string) bool {
	return strings.HasPrefix(word, "-l") && len(word) > 2 && word != "-lto_library"
}

// producerFlags concern how a library itself was built and mean nothing to who links it: optimization, what debuggers and
// warnings show, hardening, the layout of its own file. Behind those that end in * there may be any one word.
var producerFlags = []string{
	"-O", "-O0", "-O1", "-O2", "-O3", "-Os", "-Oz", "-Og", "-Ofast", "-w", "-W", "-Wall", "-Wextra", "-Werror", "-Werror=*", "-Wno-*",
	"-g", "-g0", "-g1", "-g2", "-g3", "-ggdb*", "-gdwarf*", "-gsplit-dwarf", "-gz*", "-gline-tables-only", "-grecord-gcc-switches",
	"-gno-*", "-frecord-gcc-switches", "-ffile-prefix-map=*", "-fdebug-prefix-map=*", "-fmacro-prefix-map=*", "-fdiagnostics-color=*",
	"-pipe", "-s", "-pie", "-no-pie", "-flto", "-flto=*", "-fno-lto", "-flto-partition=*", "-ffat-lto-objects",
	"-fno-fat-lto-objects", "-fuse-linker-plugin", "-fwrapv", "-ffunction-sections", "-fdata-sections",
	"-fstack-protector*", "-fno-stack-protector", "-fstack-clash-protection", "-fno-stack-clash-protection", "-fcf-protection*",
	"-mbranch-protection=*", "-fzero-call-used-regs=*", "-ftrivial-auto-var-init=*", "-fno-semantic-interposition",
	"-fasynchronous-unwind-tables", "-fno-asynchronous-unwind-tables", "-funwind-tables",
	"-Wp,-D_FORTIFY_SOURCE=*", "-Wp,-U_FORTIFY_SOURCE", "-Wp,-D_GLIBCXX_ASSERTIONS",
	"-Wl,-O", "-Wl,-O0", "-Wl,-O1", "-Wl,-O2", "-Wl,-O3", "-Wl,-s", "-Wl,-S", "-Wl,-x", "-Wl,--strip-all", "-Wl,--strip-debug",
	"-Wl,-dead_strip", "-Wl,-dead_strip_dylibs", "-Wl,--gc-sections", "-Wl,--no-gc-sections", "-Wl,--sort-common",
	"-Wl,--sort-common=*", "-Wl,--build-id", "-Wl,--build-id=*", "-Wl,--hash-style=*", "-Wl,--no-undefined", "-Wl,--relax",
	"-Wl,--no-copy-dt-needed-entries", "-Wl,--enable-new-dtags", "-Wl,-Bsymbolic", "-Wl,-Bsymbolic-functions", "-Wl,--warn-*", "-Wl,--no-warn-*",
	"-Wl,--fatal-warnings", "-Wl,-headerpad_max_install_names", "-Wl,-z,defs", "-Wl,-z,pack-relative-relocs",
	"-Wl,-z,nopack-relative-relocs", "-Wl,-z,separate-code", "-Wl,-z,noseparate-code", "-Wl,-z,combreloc",
	"-Wl,-z,nodlopen", "-Wl,-z,nodump", "-Wl,-z,text", "-Wl,-z,undefs", "-Wl,-z,ibt", "-Wl,-z,shstk", "-Wl,-z,start-stop-gc",
	"-Wl,-z,nostart-stop-gc", "-Wl,-z,keep-text-section-prefix", "-Wl,--undefined-version", "-Wl,--no-undefined-version",
	"-Wl,-z,max-page-size=*", "-Wl,-z,common-page-size=*",
}

// Harmless reports whether a flag, with its argument if it has one, is of the producer's own build: it changes nothing for a
// consumer and can be left out. Of the linker's options it knows those that [LinkerFlags] writes. -pie and -no-pie are among
// them, since what a program is, is for the program to say; what decides on the code that a header becomes, such as -m and
// -std=, is not.
func Harmless(args []string) bool {
	return len(args) == 1 && slices.ContainsFunc(producerFlags, func(flag string) bool {
		start, open := strings.CutSuffix(flag, "*")
		rest, ok := strings.CutPrefix(args[0], start)
		return ok && (rest == "" || open && oneWord(rest))
	})
}

// oneWord reports whether a text has nothing in it that would end an argument or begin another one.
func oneWord(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !letter(byte(min(r, 0x7f))) && (r < '0' || r > '9') && !strings.ContainsRune("_.+-=:/", r)
	})
}
