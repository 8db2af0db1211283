package build

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/pelletier/go-toml/v2"

	"cellblock/internal/environment"
)

// Names of the files of a source folder.
const (
	lockFile = "requirements.txt"
	specFile = "environment.toml"
)

// Spec is what environment.toml has. Every member may be absent.
type Spec struct {
	// Description is a line for clients, of at most 500 bytes.
	Description string `toml:"description"`
	// Python is a version ("3.13") or the path of an interpreter; "" is the default environment's.
	Python string `toml:"python"`
	// Preload are the packages that a zygote loads, by the names that scripts import.
	Preload []string `toml:"preload"`
	// Start is environment.StartOnDemand (if absent) or environment.StartAlways.
	Start string `toml:"start"`
	// Exercises are scripts with a main(). With Preload they have at most 64 KiB as JSON.
	Exercises []string `toml:"exercises"`
}

// Source is the folder from which an environment is built.
type Source struct {
	Name string
	Dir  string
	Spec Spec
	// Lock and Text are the contents of requirements.txt and environment.toml.
	Lock, Text []byte
}

// ReadSource reads the folder of the environment name in root. Errors name the file and the next step.
func ReadSource(root, name string) (*Source, error) {
	if err := environment.CheckName(name); err != nil {
		return nil, err
	}
	s := &Source{Name: name, Dir: filepath.Join(root, name)}
	if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s; make it with requirements.txt and environment.toml "+
			"(docs/environments.md), or name one of: %s", s.Dir, strings.Join(orNone(SourceNames(root)), ", "))
	}
	var err error
	if s.Lock, err = os.ReadFile(filepath.Join(s.Dir, lockFile)); err != nil {
		return nil, fmt.Errorf("%w; `make lock` writes it from requirements.in", err)
	}
	s.Text, err = os.ReadFile(filepath.Join(s.Dir, specFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if s.Spec, err = parseSpec(s.Text); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(s.Dir, specFile), err)
	}
	return s, nil
}

// SourceNames returns the names of the environments that have a source folder in root, sorted.
func SourceNames(root string) []string {
	locks, _ := filepath.Glob(filepath.Join(root, "*", lockFile))
	var names []string
	for _, lock := range locks {
		if name := filepath.Base(filepath.Dir(lock)); environment.CheckName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func orNone(names []string) []string {
	if len(names) == 0 {
		return []string{"(none)"}
	}
	return names
}

const (
	maxDescription = 500
	// maxLoaded is for preload and exercises as JSON, in bytes: they travel in one argument of a zygote, for which
	// Linux has 128 KiB (execve(2)).
	maxLoaded = 64 << 10
)

var (
	pythonVersion = regexp.MustCompile(`^3\.[0-9]{1,2}$`)
	moduleName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
)

func parseSpec(text []byte) (Spec, error) {
	spec := Spec{Start: environment.StartOnDemand}
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		var unknown *toml.StrictMissingError
		if errors.As(err, &unknown) {
			return spec, fmt.Errorf("unknown members; there are description, python, preload, start and exercises:\n%s",
				unknown.String())
		}
		return spec, err
	}
	return spec, spec.validate()
}

func (s Spec) validate() error {
	if len(s.Description) > maxDescription || strings.ContainsFunc(s.Description, isControl) {
		return fmt.Errorf("description must be one line of at most %d bytes", maxDescription)
	}
	if s.Python != "" && !pythonVersion.MatchString(s.Python) && !filepath.IsAbs(s.Python) {
		return fmt.Errorf(`python is %q; it must be a version such as "3.13", or an absolute path`, s.Python)
	}
	if s.Start != environment.StartOnDemand && s.Start != environment.StartAlways {
		return fmt.Errorf("start is %q; it must be %q or %q", s.Start,
			environment.StartOnDemand, environment.StartAlways)
	}
	for _, name := range s.Preload {
		if !moduleName.MatchString(name) {
			return fmt.Errorf("preload has %q, which cannot be imported; use the names that scripts import, "+
				"such as sklearn for scikit-learn", name)
		}
	}
	for i, script := range s.Exercises {
		if !strings.Contains(script, "def main") {
			return fmt.Errorf("exercise %d has no main()", i+1)
		}
	}
	return s.checkLoaded()
}

func (s Spec) checkLoaded() error {
	text, err := json.Marshal([][]string{s.Preload, s.Exercises})
	if err != nil {
		return fmt.Errorf("preload or exercises are no text: %w", err)
	}
	if len(text) > maxLoaded {
		return fmt.Errorf("preload and exercises together have %d bytes as JSON; %d are allowed, so move what the "+
			"exercises do into a package that they import", len(text), maxLoaded)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
