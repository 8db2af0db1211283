package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cellblock/internal/environment"
)

// Interpreter is the Python of an environment.
type Interpreter struct {
	// Environment is the name of the environment.
	Environment string
	// Python is the path of the executable inside a sandbox, and Dir the directory of the environment outside.
	Python, Dir string
	// Version is "3.11.2".
	Version string
	// Mounts are the read-only mounts that a sandbox needs, each "path" or "path:path inside". No other environment is
	// among them.
	Mounts []string
	// id is in the names of the files that are written for it; "" for the default.
	id string
}

// FileName returns a name for a file of this interpreter, made of the name of the default's.
func (i Interpreter) FileName(name string) string {
	if i.id == "" {
		return name
	}
	return i.id + "-" + name
}

// OpenInterpreter prepares this machine for the Python of an installed environment, whose link is in root. Sandboxes
// see its directory under the name of the link, so that paths stay the same with each build. It returns the packages
// that it is to preload and that are not installed as missing.
func (h *Host) OpenInterpreter(
	ctx context.Context, installed environment.Installed, root string,
) (_ Interpreter, missing []string, err error) {
	inside := filepath.Join(root, installed.Name)
	if err := environment.CheckVisible(inside); err != nil {
		return Interpreter{}, nil, fmt.Errorf("the environment %s: %w; choose another ENVIRONMENTS_DIR",
			installed.Name, err)
	}
	python, err := queryInterpreter(ctx, installed.Interpreter(), installed.Preload)
	if err != nil {
		return Interpreter{}, nil, fmt.Errorf("the environment %s: %w", installed.Name, err)
	}
	mounts, err := python.mounts()
	if err == nil {
		// Of its own directory, all is its own.
		err = environment.CheckApart(root, slices.DeleteFunc(slices.Clone(mounts), func(dir string) bool {
			return dir == python.Prefix
		})...)
	}
	if err != nil {
		return Interpreter{}, nil, fmt.Errorf("the environment %s: %w", installed.Name, err)
	}
	for i, mount := range mounts {
		if mount == python.Prefix {
			mounts[i] = installed.Dir + ":" + inside
		}
	}
	// The default's has compiled it for its own version.
	compiled, _ := filepath.Glob(filepath.Join(h.RunnerDir(), "__pycache__", "main."+python.Tag+"*"))
	if len(compiled) == 0 {
		if err := h.compileRunner(ctx, installed.Interpreter()); err != nil {
			return Interpreter{}, nil, fmt.Errorf("the environment %s: %w", installed.Name, err)
		}
	}
	return Interpreter{
		Environment: installed.Name, Python: filepath.Join(inside, "bin", "python3"), Dir: installed.Dir,
		Version: python.Version, Mounts: slices.Clip(mounts), id: filepath.Base(installed.Dir),
	}, python.Missing, nil
}

// Locales returns the directory of the locales that are installed with the interpreter, as sandboxes see it; "" if
// there are none.
func (i Interpreter) Locales() string {
	const locales = "share/cellblock/locale"
	if _, err := os.Stat(filepath.Join(i.Dir, locales)); err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(filepath.Dir(i.Python)), locales)
}
