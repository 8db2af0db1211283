package environment

import (
	"fmt"
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
