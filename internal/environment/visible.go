package environment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// hiddenDirs are directories that each sandbox mounts anew, which hides the machine's.
var hiddenDirs = []string{"/tmp", "/dev", "/proc"}

// CheckVisible returns an error for a path that sandboxes cannot see.
func CheckVisible(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for _, place := range hiddenDirs {
		if path == place || strings.HasPrefix(path, place+"/") {
			return fmt.Errorf("%s lies below %s, which each sandbox has of its own and which hides it", path, place)
		}
	}
	return nil
}

// shownDirs are directories of the machine that nsjail.cfg mounts in every sandbox.
var shownDirs = []string{
	"/usr/bin", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/bin", "/lib", "/lib64", "/etc/alternatives",
}

// CheckApart returns an error if the environments' folder root equals or lies below one of the directories that
// sandboxes mount, or that nsjail.cfg mounts in all of them: each script in such a sandbox would see every environment.
// The directories need not exist.
func CheckApart(root string, mounted ...string) error {
	root, err := realPath(root)
	if err != nil {
		return err
	}
	for _, dir := range append(mounted, shownDirs...) {
		dirPath, err := realPath(dir)
		if err != nil {
			return err
		}
		if root == dirPath || strings.HasPrefix(root, strings.TrimSuffix(dirPath, "/")+"/") {
			return fmt.Errorf("ENVIRONMENTS_DIR is %s, in %s, which sandboxes have: scripts would see every "+
				"environment; choose a folder outside of it", root, dir)
		}
	}
	return nil
}

// realPath returns an absolute path without symbolic links, as far as it exists.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		existing, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(existing, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}
