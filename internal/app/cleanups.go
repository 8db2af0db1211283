package app

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Cleanups is a stack of named steps that release what a program acquired.
type Cleanups struct {
	logger *slog.Logger
	steps  []cleanup
}

type cleanup struct {
	name  string
	bound time.Duration
	run   func() error
}

// NewCleanups returns an empty stack.
func NewCleanups(logger *slog.Logger) *Cleanups { return &Cleanups{logger: logger} }

// Add pushes a step. The bound is far above the time that the step needs if nothing hangs.
func (c *Cleanups) Add(name string, bound time.Duration, run func() error) {
	c.steps = append(c.steps, cleanup{name, bound, run})
}

// AddFunc is Add for a step without an error, or whose error has no remedy.
func (c *Cleanups) AddFunc(name string, bound time.Duration, run func()) {
	c.Add(name, bound, func() error {
		run()
		return nil
	})
}

// Run runs the steps in the reverse order of Add, each even if another failed, and returns their errors. A step that
// does not return within its bound is an error and is logged; the next one begins while it still runs.
func (c *Cleanups) Run() error {
	var errs []error
	for _, step := range slices.Backward(c.steps) {
		errs = append(errs, c.runStep(step))
	}
	return errors.Join(errs...)
}

func (c *Cleanups) runStep(step cleanup) error {
	done := make(chan error, 1)
	go func() { done <- step.run() }()
	timer := time.NewTimer(step.bound)
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("cleanup of the %s: %w", step.name, err)
		}
		return nil
	case <-timer.C:
		c.logger.Error("cleanup overran its bound", "step", step.name, "bound", step.bound.String())
		return fmt.Errorf("cleanup of the %s did not end within %s", step.name, step.bound)
	}
}
