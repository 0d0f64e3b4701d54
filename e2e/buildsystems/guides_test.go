package buildsystems

import "testing"

func TestTheGuideForMesonIsRight(t *testing.T) {
	testGuide(t, "meson.md", []story{
		{section: "Meson", program: "build/app"},
		{section: "Names in the project file", program: "build/app", shared: true},
		{section: "Libraries that are looked for by the compiler", program: "build/app"},
		{section: "When a package moves", after: "Meson", program: "build/app"},
		{section: "Publish a library", elsewhere: true},
	})
}

func TestTheGuideForAutotoolsIsRight(t *testing.T) {
	testGuide(t, "autotools.md", []story{
		{section: "Autotools", program: "app"},
		{section: "Names in the project file", program: "app", shared: true},
		{section: "When a package moves", after: "Autotools", program: "app"},
		{section: "Cross builds", program: "app"},
	})
}

func TestTheGuideForAShellAndMakeIsRight(t *testing.T) {
	testGuide(t, "shell.md", []story{
		{section: "C, C++, make and a shell", program: "app"},
		{section: "Shared libraries", program: "app", shared: true},
		{section: "A program to take away", program: "dist/app", shared: true, libraries: "dist/lib"},
		{section: "Make", program: "app"},
	})
}
