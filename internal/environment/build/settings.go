// Package build makes environments from source folders: a virtual environment with the hash-pinned packages of
// requirements.txt, compiled, without pip, readable by every user.
//
// A build works in a folder that no link names yet, and swaps the link by rename when everything is tried; see package
// environment for the layout. Builds of one name exclude each other by flock. What an interrupted build leaves has no
// manifest, is never used, and is removed by the next build of that name.
package build

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cellblock/internal/environment"
)

// Settings choose the folders. The flags' variable "prefix" is environment.DefaultPrefix().
type Settings struct {
	Sources string `name:"environments-source" env:"ENVIRONMENTS_SOURCE" default:"environments" placeholder:"DIR" help:"Folder with a folder for each environment, which has requirements.txt and environment.toml (environments)."`
	Root    string `name:"environments-dir" env:"ENVIRONMENTS_DIR" default:"${prefix}-environments" placeholder:"DIR" help:"Folder for the built environments (${default}); not below /tmp."`
	Prefix  string `name:"prefix" env:"CELLBLOCK_PREFIX" default:"${prefix}" placeholder:"DIR" help:"Folder of the environment default, and of nsjail (${default}); not below /tmp."`
	Python  string `name:"default-python" env:"CELLBLOCK_PYTHON" placeholder:"FILE" help:"Interpreter from which default is made (/usr/bin/python3, else the python3 on PATH)."`
}

// Options of one build.
type Options struct {
	// Force builds even if nothing has changed.
	Force bool
	// AllowSource lets pip build packages that have no wheel. Their setup runs as this user, outside any sandbox.
	AllowSource bool
	// Progress is called with what the build does next. Detail is "" or a short text that replaces the one before.
	Progress func(step, detail string)
}

// resolved returns the settings with absolute folders, or an error if sandboxes could not see them, or if all sandboxes
// would see all environments.
func (s Settings) resolved() (Settings, error) {
	var errs []error
	for _, path := range []*string{&s.Sources, &s.Root, &s.Prefix} {
		absolute, err := filepath.Abs(*path)
		*path, errs = absolute, append(errs, err)
	}
	errs = append(errs, environment.CheckVisible(s.Root), environment.CheckVisible(s.Prefix),
		environment.CheckApart(s.Root, s.Prefix)) // a build of default replaces the prefix, with all that lies in it
	return s, errors.Join(errs...)
}

// checkPython returns an error if the sandboxes of environments that are made from an interpreter would see all
// environments: they mount the folder of its standard library. Of /usr they mount only parts.
func (s Settings) checkPython(python interpreter) error {
	if python.Base == "/usr" {
		return nil
	}
	return environment.CheckApart(s.Root, python.Base)
}

// cleanEnvironment returns our environment without what would make another Python of an interpreter.
func cleanEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "PYTHON") || strings.HasPrefix(pair, "VIRTUAL_ENV=")
	})
}
