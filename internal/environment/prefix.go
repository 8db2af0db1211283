package environment

import (
	"os"
	"path/filepath"
)

// DefaultPrefix returns the folder of the environment default and of nsjail: CELLBLOCK_PREFIX if set, else where
// `make setup` installs them. Flags refer to it as kong's variable "prefix".
func DefaultPrefix() string {
	if prefix := os.Getenv("CELLBLOCK_PREFIX"); prefix != "" {
		if absolute, err := filepath.Abs(prefix); err == nil {
			return absolute
		}
	}
	return "/opt/cellblock"
}
