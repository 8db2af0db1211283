package environment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Installed is one version of an environment on disk.
type Installed struct {
	Manifest

	// Dir is the version's own folder, with no symbolic link in its last element: a later build of the same name
	// goes to another folder.
	Dir string
}

// Interpreter returns the path of the environment's Python.
func (i Installed) Interpreter() string { return filepath.Join(i.Dir, "bin", "python3") }

// List returns the environments in root, sorted by name. A root that is not there has none. An environment that
// cannot be read is left out; the error names each of them, and comes with the others.
func List(root string) ([]Installed, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	var installed []Installed
	var errs []error
	for _, entry := range entries {
		if CheckName(entry.Name()) != nil || entry.Type()&fs.ModeSymlink == 0 {
			continue // a version's own folder, a lock, or no environment
		}
		found, err := Open(root, entry.Name())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		installed = append(installed, found)
	}
	return installed, errors.Join(errs...)
}

// Open returns the present version of the environment name in root. The error is fs.ErrNotExist if it is not built.
func Open(root, name string) (Installed, error) {
	if err := CheckName(name); err != nil {
		return Installed{}, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(root, name))
	if err != nil {
		return Installed{}, fmt.Errorf("environment %s: %w", name, err)
	}
	manifest, err := Load(dir)
	if err != nil {
		return Installed{}, err
	}
	if manifest.Name != name {
		return Installed{}, fmt.Errorf("%s is the environment %s, and is linked as %s; build %s again",
			dir, manifest.Name, name, name)
	}
	return Installed{Manifest: *manifest, Dir: dir}, nil
}
