package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Receiver is a running examples/receiver.py. Its owner calls Stop.
type Receiver struct {
	// Port is the port on 127.0.0.1 that receives webhooks.
	Port string
	// Lines reads its output after the start.
	Lines *bufio.Scanner
	// Stop ends it.
	Stop func()
}

// StartReceiver starts the example of the repository at root, which checks signatures with the secret. It returns once
// the example listens.
func StartReceiver(ctx context.Context, root, secret string) (*Receiver, error) {
	python, err := filepath.Abs(filepath.Join(root, ".cache/receiver/bin/python"))
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, python, filepath.Join(root, "examples/receiver.py"), "0")
	command.Env = []string{"CALLBACK_SECRET=" + secret}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("%w; scripts/setup --test makes it", err)
	}
	r := &Receiver{Lines: bufio.NewScanner(out), Stop: func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}}
	if !r.Lines.Scan() {
		r.Stop()
		return nil, errors.New("the receiver exited without output")
	}
	r.Port = strings.TrimPrefix(r.Lines.Text(), "listening on ")
	return r, nil
}
