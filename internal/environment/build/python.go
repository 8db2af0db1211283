package build

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/environment"
)

// interpreter is a Python of this machine.
type interpreter struct {
	// Path has no symbolic link.
	Path string
	// Version is "3.11.2"; Short is "3.11".
	Version, Short string
	// Base is the folder that has its standard library.
	Base string
	// Venv reports whether it can make virtual environments with pip in them.
	Venv bool
}

const (
	leastMinor = 11
	queryBound = 30 * time.Second
)

const queryProgram = `
import importlib.util, json, os, platform, sys
print(json.dumps({
    "Path": os.path.realpath(sys.executable), "Version": platform.python_version(),
    "Short": "%d.%d" % sys.version_info[:2], "Base": sys.base_prefix,
    "Venv": all(map(importlib.util.find_spec, ("venv", "ensurepip"))),
}))
`

// findPython returns the interpreter from which the environment source is made.
func (s Settings) findPython(ctx context.Context, source *Source) (interpreter, error) {
	wanted := source.Spec.Python
	candidates := s.pythonCandidates(source.Name, wanted)
	var reasons []error
	for _, path := range candidates {
		path, err := exec.LookPath(path)
		if err != nil {
			continue
		}
		found, err := queryPython(ctx, path)
		switch {
		case err != nil:
			reasons = append(reasons, err)
		case pythonVersion.MatchString(wanted) && found.Short != wanted:
			reasons = append(reasons, fmt.Errorf("%s is Python %s", path, found.Version))
		default:
			return found, found.check()
		}
	}
	if wanted == "" {
		wanted = "3.11 or newer"
	}
	return interpreter{}, errors.Join(append([]error{fmt.Errorf("the environment %s needs Python %s, which is not on "+
		"this machine (looked for %s); install it with the modules venv and ensurepip, or change python in %s",
		source.Name, wanted, strings.Join(candidates, ", "), filepath.Join(source.Dir, specFile))}, reasons...)...)
}

// pythonCandidates returns paths and program names in the order of preference. PATH comes last: a Python of pyenv or
// conda often lies in a home directory that the sandbox's user cannot enter.
func (s Settings) pythonCandidates(name, wanted string) []string {
	switch {
	case pythonVersion.MatchString(wanted):
		program := "python" + wanted
		return []string{
			"/usr/bin/" + program, "/usr/local/bin/" + program,
			filepath.Join(s.Prefix, "bin", program), program,
		}
	case wanted != "":
		return []string{wanted}
	case name != environment.DefaultName:
		// The default environment's own: sandboxes see it for certain.
		return append([]string{filepath.Join(s.Prefix, "bin", "python3")}, s.defaultPythons()...)
	default:
		return s.defaultPythons()
	}
}

func (s Settings) defaultPythons() []string {
	if s.Python != "" {
		return []string{s.Python}
	}
	return []string{"/usr/bin/python3", "python3"}
}

func queryPython(ctx context.Context, path string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, queryBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-I", "-B", "-c", queryProgram)
	cmd.Env = cleanEnvironment()
	out, err := cmd.Output()
	var found interpreter
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		return found, fmt.Errorf("%s does not run: %w", path, err)
	}
	return found, nil
}

// check returns an error for an interpreter that no environment can be made from.
func (i interpreter) check() error {
	if minor, err := strconv.Atoi(strings.TrimPrefix(i.Short, "3.")); err != nil || minor < leastMinor {
		return fmt.Errorf("%s is Python %s; 3.%d or newer is needed", i.Path, i.Version, leastMinor)
	}
	if !i.Venv {
		return fmt.Errorf("%s has no modules venv and ensurepip; on Debian, apt-get install python%s-venv",
			i.Path, i.Short)
	}
	if err := environment.CheckVisible(i.Base); err != nil {
		return fmt.Errorf("the standard library of %s: %w; choose another Python", i.Path, err)
	}
	return nil
}
