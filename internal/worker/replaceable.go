package worker

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

// replaceableSandbox is a Sandbox that runs its script in another one if it is lost before the script has started, as
// when its zygote dies. Code of the script still runs at most once.
type replaceableSandbox struct {
	worker *Worker
	// environment is the job's.
	environment string

	mu      sync.Mutex
	current Sandbox
	// replaced is done once current is another sandbox.
	replaced context.Context //nolint:containedctx // of current
	replace  context.CancelFunc
}

// replaceBound is how long all replacements of a sandbox may take together.
const replaceBound = 20 * time.Second

func (w *Worker) replaceable(first Sandbox, environment string) *replaceableSandbox {
	s := &replaceableSandbox{worker: w, environment: environment, current: first}
	s.replaced, s.replace = context.WithCancel(context.Background())
	return s
}

// Run implements Sandbox.
func (s *replaceableSandbox) Run(
	ctx context.Context, script string, entry jobs.Entry, inputs *jobs.Inputs,
) jobs.Outcome {
	defer func() { s.replace() }()
	outcome := s.current.Run(ctx, script, entry, inputs)
	if s.current.Started() {
		return outcome
	}
	acquiring, cancel := context.WithTimeout(ctx, replaceBound)
	defer cancel()
	for range acquireAttempts - 1 {
		next, err := s.worker.Acquire(acquiring, s.environment, script)
		if err != nil {
			s.worker.Logger.ErrorContext(ctx, "replacing lost sandbox failed", "error", err)
			break
		}
		s.worker.Logger.WarnContext(ctx, "sandbox lost before its script started, replaced")
		s.set(next)
		if outcome = next.Run(ctx, script, entry, inputs); next.Started() {
			return outcome
		}
	}
	if ctx.Err() != nil {
		return failure(jobs.CodeCancelled, "the job was cancelled before it ran")
	}
	return outcome
}

// set replaces the sandbox.
func (s *replaceableSandbox) set(next Sandbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace()
	s.current = next
	s.replaced, s.replace = context.WithCancel(context.Background())
}

func (s *replaceableSandbox) get() (current Sandbox, replaced context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.replaced
}

// Follow implements Sandbox. A sandbox in which no script has started has no output, so the output of the last one is
// that of the job.
func (s *replaceableSandbox) Follow(ctx context.Context, handle func([]jobs.OutputChunk)) {
	for ctx.Err() == nil {
		current, replaced := s.get()
		following, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(replaced, cancel)
		current.Follow(following, handle)
		stop()
		cancel()
		if next, _ := s.get(); next == current {
			return
		}
	}
}

// Started implements Sandbox.
func (s *replaceableSandbox) Started() bool { return s.current.Started() }

// Discard implements Sandbox.
func (s *replaceableSandbox) Discard() { s.current.Discard() }
