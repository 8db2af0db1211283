package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outputKept is how much of a failed program's output an error has, in bytes.
const outputKept = 4000

// run runs a program to its end and calls line with each line that it prints, which may be nil. The error of a program
// that fails has the end of its output.
func (t tree) run(ctx context.Context, what string, line func(string), command ...string) error {
	output := &lineWriter{line: line}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // a program of the build
	cmd.Env = cleanEnvironment()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{t.lock} // held until the last program ends
	killGroup(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", what, err, output.tail())
	}
	return nil
}

// killGroup makes the cancellation of cmd's context kill its children too.
func killGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
}

// lineWriter splits what it receives into lines, and keeps the end of it.
type lineWriter struct {
	line func(string)
	rest []byte
	kept []byte
}

func (w *lineWriter) Write(content []byte) (int, error) {
	w.kept = append(w.kept, content...)
	if extra := len(w.kept) - outputKept; extra > 0 {
		w.kept = append(w.kept[:0], w.kept[extra:]...)
	}
	w.rest = append(w.rest, content...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(content), nil
		}
		if w.line != nil {
			w.line(string(line))
		}
		w.rest = rest
	}
}

func (w *lineWriter) tail() string { return strings.TrimSpace(string(w.kept)) }
