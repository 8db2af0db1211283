package host

import (
	"context"
	"fmt"
	"os/exec"
	"slices"

	"github.com/go-json-experiment/json"

	"cellblock/internal/environment"
)

// DefaultPrefix returns the directory of the sandbox's Python and nsjail: CELLBLOCK_PREFIX if set,
// else where `make setup` installs them. The defaults of Settings refer to it as kong's variable
// "prefix".
func DefaultPrefix() string { return environment.DefaultPrefix() }

// checkVisible returns an error for a path of the interpreter that sandboxes cannot see.
func checkVisible(path string) error {
	if err := environment.CheckVisible(path); err != nil {
		return fmt.Errorf("the sandbox's Python, %w; choose another CELLBLOCK_PREFIX, or another SANDBOX_PYTHON", err)
	}
	return nil
}

// interpreter is the output of interpreterProgram.
type interpreter struct {
	// Prefix and Base are directories; they differ in a virtual environment only.
	Prefix, Base string
	// Missing are the requested packages that are not installed.
	Missing []string
	// Version is "3.11.2", and Tag is in the names of the files that this interpreter compiles: "cpython-311".
	Version, Tag string
}

// interpreterProgram prints an interpreter as JSON. A package also counts as missing if its parent
// is missing or its name is invalid.
const interpreterProgram = `
import importlib.util, json, platform, sys
def found(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False
print(json.dumps({
    "Prefix": sys.prefix, "Base": sys.base_prefix, "Missing": [n for n in sys.argv[1:] if not found(n)],
    "Version": platform.python_version(), "Tag": sys.implementation.cache_tag,
}))
`

// queryInterpreter runs the interpreter and returns its directories and the packages that it lacks.
func queryInterpreter(ctx context.Context, python string, packages []string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, pythonBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, //nolint:gosec // the operator's interpreter
		append([]string{"-I", "-B", "-c", interpreterProgram}, packages...)...)
	cmd.WaitDelay = pythonBound
	out, err := cmd.Output()
	if err != nil {
		return interpreter{}, fmt.Errorf("query the interpreter %s: %w; `make setup` makes it, "+
			"and CELLBLOCK_PREFIX or SANDBOX_PYTHON choose another place", python, err)
	}
	var found interpreter
	if err := json.Unmarshal(out, &found); err != nil {
		return interpreter{}, fmt.Errorf("query the interpreter %s: %w", python, err)
	}
	return found, nil
}

// mounts returns the directories of the interpreter that sandboxes need, without those that
// nsjail.cfg mounts.
func (i interpreter) mounts() ([]string, error) {
	var mounts []string
	for _, path := range []string{i.Prefix, i.Base} {
		if path == "/usr" || slices.Contains(mounts, path) {
			continue
		}
		if err := checkVisible(path); err != nil {
			return nil, err
		}
		mounts = append(mounts, path)
	}
	return mounts, nil
}
