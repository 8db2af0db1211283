// Package results keeps the history of measurements: a file with one line of JSON per run, and the
// facts that identify a run.
package results

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// Append adds a run to the file, as one line; with an empty path it does nothing.
func Append(path string, run any) error {
	if path == "" {
		return nil
	}
	line, err := json.Marshal(run, json.Deterministic(true))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// Commit returns the version of the source; "unknown" outside a repository. A plus sign means
// uncommitted changes.
func Commit(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty=+", "--abbrev=12")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// Kernel returns the running kernel's release, without the kernel's name.
func Kernel() string {
	var name unix.Utsname
	_ = unix.Uname(&name)
	return unix.ByteSliceToString(name.Release[:])
}
