package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// pythons makes sandboxes that run scripts for real, as plain python3 processes
// without any walls: what is tested here is the worker.
type pythons struct {
	wall time.Duration
	// fail, if not nil, says why there is no sandbox; ready is called before one
	// is handed over.
	fail  func() error
	ready func()

	acquired, ran, discarded atomic.Int64
}

func (p *pythons) acquire(ctx context.Context, _ string) (Sandbox, error) {
	p.acquired.Add(1)
	if p.fail != nil {
		if err := p.fail(); err != nil {
			return nil, err
		}
	}
	if p.ready != nil {
		p.ready()
	}
	return &python{of: p}, ctx.Err()
}

type python struct{ of *pythons }

func (p *python) Discard() { p.of.discarded.Add(1) }

func (p *python) Run(ctx context.Context, script string, _ *jobs.Inputs) jobs.Outcome {
	p.of.ran.Add(1)
	if script == "panic" {
		panic("as asked")
	}
	start := time.Now()
	timed, cancel := context.WithTimeout(ctx, p.of.wall)
	defer cancel()
	command := exec.CommandContext(timed, "/usr/bin/python3", "-I", "-c",
		script+"\nimport json, sys\nprint(json.dumps(main()), file=sys.stderr)")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	outcome := jobs.Outcome{Stdout: stdout.String(), Usage: jobs.Usage{RunMS: jobs.Milliseconds(time.Since(start))}}
	result := strings.TrimSpace(stderr.String())
	switch {
	case ctx.Err() != nil:
		outcome.Failure = &jobs.Failure{Code: jobs.CodeCancelled}
	case timed.Err() != nil:
		outcome.Failure = &jobs.Failure{Code: jobs.CodeTimeout}
	case err != nil || !json.Valid([]byte(result)):
		outcome.Failure = &jobs.Failure{Code: jobs.CodeException, Traceback: result}
	default:
		outcome.Result = jsontext.Value(result)
	}
	return outcome
}

// counts is the Metrics of the tests.
type counts struct {
	mu      sync.Mutex
	running int
	ended   []jobs.Outcome
}

func (c *counts) JobStarted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
}

func (c *counts) JobEnded(outcome jobs.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.ended = append(c.ended, outcome)
}

func (c *counts) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != 0 {
		return errors.New("a job that was started was not ended")
	}
	return nil
}
