package stack

import (
	"context"
	"os/exec"
)

// StartProgram starts a program of this machine beside a stack, with exactly this environment, and returns once ready
// reports true. The caller calls Stop.
func StartProgram(ctx context.Context, name string, args []string, env Env, ready func() bool) (*Process, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	p, err := LaunchProgram(name, path, args, environment(env))
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, "ready", ready); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// LaunchProgram starts a program that is no part of a stack, with exactly this environment, and does not wait until it
// is ready. It ends with the test's process, at the latest.
func LaunchProgram(name, path string, args, env []string) (*Process, error) {
	return start(name, path, args, env)
}
