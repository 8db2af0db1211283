// Package environment describes the environments that are installed on this machine. An environment is a named,
// read-only Python with packages.
//
// An environment NAME is a symbolic link of that name in the folder ENVIRONMENTS_DIR, to a folder beside it whose
// name begins with a dot. The link is swapped by rename, so a reader that resolves it once sees one whole version.
// The version before the present one stays on disk until the next build. Each version has:
//
//	bin/python3       its interpreter, a virtual environment's
//	lib/…             its packages
//	share/cellblock/  a locale and, with matplotlib, a list of fonts
//	environment.json  the Manifest, written last
//	SHA256SUMS        the hash of every other file
//
// Package build makes environments.
package environment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ManifestFile is the name of the manifest in an environment's folder.
const ManifestFile = "environment.json"

// When the zygote of an environment starts: with the first job that asks for it, or with the worker.
const (
	StartOnDemand = "on-demand"
	StartAlways   = "always"
)

// Manifest describes an installed environment.
type Manifest struct {
	Name string `json:"name"`
	// Description is a text for clients; it may be empty.
	Description string `json:"description"`
	// Python is the full version of the interpreter: "3.11.2".
	Python string `json:"python"`
	// Hash is the SHA-256 of what the environment was made from, 64 hexadecimal digits. Two machines with the same
	// name and hash have the same packages.
	Hash string `json:"hash"`
	// Preload are the packages that a zygote has loaded, by the names that scripts import.
	Preload []string `json:"preload"`
	// Start is StartOnDemand or StartAlways.
	Start string `json:"start"`
	// Exercises are scripts with a main(), each of which a zygote runs once before it forks.
	Exercises []string `json:"exercises"`
	// Packages are sorted by name.
	Packages []Package `json:"packages"`
}

// Package is a distribution that an environment has.
type Package struct {
	// Name is the normalized name, as on PyPI: "scikit-learn".
	Name    string `json:"name"`
	Version string `json:"version"`
	// Imports are the top-level modules that scripts can import: "sklearn". It may be empty.
	Imports []string `json:"imports"`
}

// Load reads the manifest of the environment in dir. The error is fs.ErrNotExist if there is none: the environment
// is not built.
func Load(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, fmt.Errorf("environment in %s: %w", dir, err)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, ManifestFile), err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, ManifestFile), err)
	}
	return &m, nil
}

var hashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (m *Manifest) validate() error {
	err := CheckName(m.Name)
	if !hashPattern.MatchString(m.Hash) {
		err = errors.Join(err, fmt.Errorf("hash is %q; it must be 64 hexadecimal digits", m.Hash))
	}
	if m.Python == "" {
		err = errors.Join(err, errors.New("python is missing"))
	}
	if m.Start != StartOnDemand && m.Start != StartAlways {
		err = errors.Join(err, fmt.Errorf("start is %q; it must be %q or %q", m.Start, StartOnDemand, StartAlways))
	}
	return err
}

// Save writes the manifest into dir, whole or not at all.
func (m *Manifest) Save(dir string) error {
	if err := m.validate(); err != nil {
		return err
	}
	text, err := json.Marshal(m, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	path := filepath.Join(dir, ManifestFile)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
