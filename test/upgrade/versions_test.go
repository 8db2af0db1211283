package upgrade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cellblock"
	"cellblock/test/stack"
)

// version is one of the two versions of the programs.
type version struct {
	// name is "old" or "new".
	name     string
	programs stack.Programs
	// nsjail is the version's nsjail.cfg.
	nsjail string
}

// repository is the root of the repository, from this folder.
const repository = "../.."

// old and current are the versions under test.
var old, current version

// buildVersions builds this version into dir, and the one before into .cache/upgrade unless it is there.
func buildVersions(ctx context.Context, dir string) (commit string, err error) {
	if commit, err = commitBefore(ctx); err != nil {
		return "", err
	}
	if old, err = buildCommit(ctx, commit); err != nil {
		return "", err
	}
	current = version{name: "new", nsjail: cellblock.NsjailConfig}
	current.programs, err = stack.Build(ctx, dir)
	return commit, err
}

// commitBefore returns the commit of the version before: UPGRADE_FROM, or the newest release before this commit, or, as
// long as there is none, the commit that docs/operations.md names.
func commitBefore(ctx context.Context) (string, error) {
	name := os.Getenv("UPGRADE_FROM")
	if name == "" {
		name, _ = git(ctx, "describe", "--tags", "--abbrev=0", "HEAD^") // fails without a tag
	}
	commit, err := git(ctx, "rev-parse", "--verify", "--short=7", cmp.Or(name, documentedCommit())+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("the version before needs the repository's history, or UPGRADE_FROM=COMMIT: %w", err)
	}
	return commit, nil
}

// buildCommit builds the programs of a commit into .cache/upgrade/COMMIT, once.
func buildCommit(ctx context.Context, commit string) (version, error) {
	dir, err := filepath.Abs(filepath.Join(repository, ".cache/upgrade", commit))
	if err != nil {
		return version{}, err
	}
	built := version{name: "old", programs: stack.Programs{
		API: filepath.Join(dir, "bin/api"), Worker: filepath.Join(dir, "bin/worker"),
	}}
	if built.nsjail, err = git(ctx, "show", commit+":nsjail.cfg"); err != nil {
		return version{}, err
	}
	if _, err := os.Stat(dir); err == nil {
		return built, nil
	}
	// The folder has its name only when it is complete.
	source := dir + ".part"
	if err := errors.Join(os.RemoveAll(source), os.MkdirAll(source, 0o755)); err != nil {
		return version{}, err
	}
	build := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c",
		`git -C "$1" archive "$2" | tar -x && go build -o bin/ ./cmd/api ./cmd/worker`, "build", moduleDir(), commit)
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return version{}, fmt.Errorf("build %s: %w\n%s", commit, err, out)
	}
	return built, os.Rename(source, dir)
}

func moduleDir() string {
	dir, err := filepath.Abs(repository)
	if err != nil {
		panic(err) // the working folder is gone
	}
	return dir
}

// git returns the output of a git command, without white space around it.
func git(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = repository
	out, err := command.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}
