// Package environmenttest makes small environments for tests, without the network.
package environmenttest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cellblock/internal/environment"
)

// Spec is what an environment has.
type Spec struct {
	Name string
	// Modules are pure Python modules: their source by name. Each is a distribution of the same name and version 1.0.
	Modules   map[string]string
	Preload   []string
	Exercises []string
	// Start is environment.StartOnDemand if it is "".
	Start string
}

// Make builds an environment in root and makes it the present version of its name. root must be visible in sandboxes,
// so not below /tmp. python is the interpreter on which it is based.
func Make(root, python string, spec Spec) (*environment.Manifest, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", spec))
	hash := hex.EncodeToString(sum[:])
	dir := filepath.Join(root, "."+spec.Name+"-"+hash[:12])
	venv := exec.Command(python, "-m", "venv", "--without-pip", dir) //nolint:gosec,noctx // of a test
	if out, err := venv.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	version, err := exec.Command(filepath.Join(dir, "bin", "python3"), //nolint:gosec,noctx // likewise
		"-I", "-c", "import platform; print(platform.python_version())").Output()
	if err != nil {
		return nil, err
	}
	for name, source := range spec.Modules {
		if err := install(dir, name, source); err != nil {
			return nil, err
		}
	}
	packages, err := environment.Packages(dir)
	if err != nil {
		return nil, err
	}
	manifest := &environment.Manifest{
		Name: spec.Name, Description: "An environment of a test", Python: strings.TrimSpace(string(version)),
		Hash: hash, Preload: spec.Preload, Exercises: spec.Exercises, Start: environment.StartOnDemand,
		Packages: packages,
	}
	if spec.Start != "" {
		manifest.Start = spec.Start
	}
	if err := manifest.Save(dir); err != nil {
		return nil, err
	}
	link := filepath.Join(root, spec.Name)
	_ = os.Remove(link + ".new")
	if err := os.Symlink(filepath.Base(dir), link+".new"); err != nil {
		return nil, err
	}
	return manifest, os.Rename(link+".new", link)
}

// install writes a module and its metadata.
func install(dir, name, source string) error {
	folders, err := filepath.Glob(filepath.Join(dir, "lib", "python3.*", "site-packages"))
	if err != nil || len(folders) != 1 {
		return fmt.Errorf("%s has the folders %q of packages: %w", dir, folders, err)
	}
	info := filepath.Join(folders[0], name+"-1.0.dist-info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		return err
	}
	for path, content := range map[string]string{
		filepath.Join(folders[0], name+".py"): source,
		filepath.Join(info, "METADATA"):       "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n\n",
		filepath.Join(info, "RECORD"):         name + ".py,,\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
