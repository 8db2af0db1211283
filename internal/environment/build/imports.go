package build

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/environment"
)

// tryProgram imports the modules and runs the exercises that it reads from standard input, and writes a line of JSON
// for each to descriptor 3. The module's name comes before its import, so that one that ends the process is known.
//
//go:embed try.py
var tryProgram string

// attempt is a line that tryProgram writes.
type attempt struct {
	// Begin is the module or exercise that comes next.
	Begin string `json:"begin"`
	// Failed is the error of that one.
	Failed string `json:"failed"`
	// Done is the last line.
	Done bool `json:"done"`
}

const (
	// unprivileged is the user and group that the trial runs as, if it can choose: one that owns nothing, as jobs do.
	unprivileged = 65534
	tryBound     = 5 * time.Minute
)

// tryImports imports every module of an environment, and runs its exercises, in one process. It returns the error of
// each module that cannot be imported. What ends the process is an error.
func tryImports(ctx context.Context, dir string, m *environment.Manifest) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, tryBound)
	defer cancel()
	input, err := json.Marshal(map[string][]string{"modules": modules(m), "exercises": m.Exercises})
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	output := &lineWriter{}
	cmd := unprivilegedPython(ctx, dir, "-c", tryProgram)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(input)), output, output
	cmd.ExtraFiles = []*os.File{write}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return nil, unreachable(dir, err)
	}
	failed, last, err := readAttempts(read)
	ended := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("trying %s: %w", last, ctx.Err())
	case err != nil && last == "":
		return nil, unreachable(dir, fmt.Errorf("%w\n%s", errors.Join(err, ended), output.tail()))
	case err != nil:
		return nil, fmt.Errorf("%s ends the interpreter: %w\n%s", last, errors.Join(err, ended), output.tail())
	}
	return failed, nil
}

// modules returns the names to import: what is preloaded, in its order, and then everything else.
func modules(m *environment.Manifest) []string {
	names := slices.Clone(m.Preload)
	for _, p := range m.Packages {
		names = append(names, p.Imports...)
	}
	return names
}

func readAttempts(from io.Reader) (failed map[string]string, last string, err error) {
	failed = map[string]string{}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var a attempt
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, last, err
		}
		switch {
		case a.Done:
			return failed, last, nil
		case a.Begin != "":
			last = a.Begin
		default:
			failed[last] = a.Failed
		}
	}
	return nil, last, errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// unprivilegedPython returns a command of the environment's interpreter, as a user without rights if we are root.
func unprivilegedPython(ctx context.Context, dir string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", "python3"), //nolint:gosec // the one just built
		append([]string{"-I", "-B"}, arguments...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "MPLBACKEND=Agg", "LANG=C.UTF-8"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged},
		}
	}
	killGroup(cmd)
	return cmd
}

func unreachable(dir string, err error) error {
	return fmt.Errorf("user id %d cannot use %s: %w\nis a directory on the way closed to others? "+
		"CELLBLOCK_PREFIX, ENVIRONMENTS_DIR and python in environment.toml choose other places",
		unprivileged, filepath.Join(dir, "bin", "python3"), err)
}

// withoutFailed removes modules that cannot be imported from the manifest and returns a warning for each. It is an
// error if they are preloaded, or are all that a package has.
func withoutFailed(m *environment.Manifest, failed map[string]string) (warnings []string, err error) {
	for name, reason := range failed {
		if slices.Contains(m.Preload, name) || !isImport(m, name) {
			err = errors.Join(err, fmt.Errorf("%s fails: %s", name, reason))
		}
	}
	for i, p := range m.Packages {
		all := len(p.Imports) > 0
		for _, name := range p.Imports {
			reason, found := failed[name]
			all = all && found
			if found {
				warnings = append(warnings, fmt.Sprintf("%s of %s cannot be imported: %s", name, p.Name, reason))
			}
		}
		if all {
			err = errors.Join(err, fmt.Errorf("the package %s cannot be imported: %s", p.Name, failed[p.Imports[0]]))
		}
		m.Packages[i].Imports = slices.DeleteFunc(slices.Clone(p.Imports), func(name string) bool {
			_, found := failed[name]
			return found
		})
	}
	return warnings, err
}

// isImport reports whether name is a module of a package. Exercises and submodules in preload are not.
func isImport(m *environment.Manifest, name string) bool {
	return slices.ContainsFunc(m.Packages, func(p environment.Package) bool { return slices.Contains(p.Imports, name) })
}

// CheckImports imports every module of an environment, as at its build, and returns how many there are.
func CheckImports(ctx context.Context, installed environment.Installed) (int, error) {
	failed, err := tryImports(ctx, installed.Dir, &installed.Manifest)
	if err != nil {
		return 0, err
	}
	for name, reason := range failed {
		err = errors.Join(err, fmt.Errorf("%s fails: %s", name, reason))
	}
	return len(modules(&installed.Manifest)), err
}
