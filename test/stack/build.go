package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the paths of the programs under test.
type Programs struct {
	API    string
	Worker string
}

// FindOrBuild returns the programs in the folder given, or builds them into dir if given is "", as Build does.
func FindOrBuild(ctx context.Context, given, dir string, flags ...string) (Programs, error) {
	if given == "" {
		return Build(ctx, dir, flags...)
	}
	return programsIn(given), nil
}

func programsIn(dir string) Programs {
	return Programs{API: filepath.Join(dir, "api"), Worker: filepath.Join(dir, "worker")}
}

// Build compiles the programs from this repository's source into dir. flags are flags of `go build`, such as -race.
func Build(ctx context.Context, dir string, flags ...string) (Programs, error) {
	root, err := moduleRoot()
	if err != nil {
		return Programs{}, err
	}
	args := append([]string{"build", "-o", dir + string(filepath.Separator)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/api", "./cmd/worker")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return programsIn(dir), nil
}

// BuildCommandLine compiles the command line from this repository's source into dir, and returns its path.
func BuildCommandLine(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "cellblock")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "cellblock/cmd/cellblock").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the command line: %w\n%s", err, out)
	}
	return program, nil
}

// moduleRoot returns the nearest folder upwards with a go.mod: `go test` and `go run` start a program in different
// folders.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working folder")
		}
	}
}
