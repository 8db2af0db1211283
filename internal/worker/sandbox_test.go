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

// fakeSandboxes makes sandboxes that run scripts as plain python3 processes without isolation, since the worker is
// under test here.
type fakeSandboxes struct {
	wall time.Duration
	// fail, if not nil, returns why there is no sandbox; ready is called before a sandbox is
	// returned.
	fail  func() error
	ready func()
	// lose, if not nil, reports whether a sandbox is lost before its script starts.
	lose func() bool

	acquired, ran, discarded atomic.Int64
}

func (p *fakeSandboxes) acquire(ctx context.Context, _, _ string) (Sandbox, error) {
	p.acquired.Add(1)
	if p.fail != nil {
		if err := p.fail(); err != nil {
			return nil, err
		}
	}
	if p.ready != nil {
		p.ready()
	}
	return &fakeSandbox{of: p, stdout: spool{written: make(chan struct{}, 1)}}, ctx.Err()
}

type fakeSandbox struct {
	of     *fakeSandboxes
	stdout spool
	lost   bool
}

// Follow implements Sandbox.
func (p *fakeSandbox) Follow(ctx context.Context, handle func([]jobs.OutputChunk)) {
	for at := 0; ; {
		if text := p.stdout.from(at); text != "" {
			handle([]jobs.OutputChunk{{Stream: jobs.Stdout, Offset: at, Text: text}})
			at += len(text)
		}
		select {
		case <-p.stdout.written:
		case <-ctx.Done():
			return
		}
	}
}

// spool is a buffer that can be read while it is written.
type spool struct {
	mu      sync.Mutex
	text    []byte
	written chan struct{}
}

func (s *spool) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, data...)
	select {
	case s.written <- struct{}{}:
	default:
	}
	return len(data), nil
}

func (s *spool) from(at int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text[at:])
}

func (p *fakeSandbox) Discard() { p.of.discarded.Add(1) }

// Started implements Sandbox.
func (p *fakeSandbox) Started() bool { return !p.lost }

func (p *fakeSandbox) Run(ctx context.Context, script string, _ jobs.Entry, _ *jobs.Inputs) jobs.Outcome {
	if p.of.lose != nil && p.of.lose() {
		p.lost = true
		return jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeInternal, Message: "lost"}}
	}
	p.of.ran.Add(1)
	if script == "panic" {
		panic("as asked")
	}
	start := time.Now()
	timed, cancel := context.WithTimeout(ctx, p.of.wall)
	defer cancel()
	command := exec.CommandContext(timed, "/usr/bin/python3", "-I", "-c",
		script+"\nimport json, sys\nprint(json.dumps(main()), file=sys.stderr)")
	var stderr bytes.Buffer
	command.Stdout, command.Stderr = &p.stdout, &stderr
	err := command.Run()
	outcome := jobs.Outcome{Stdout: p.stdout.from(0), Usage: jobs.Usage{RunMS: jobs.Milliseconds(time.Since(start))}}
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

// fakeMetrics is the Metrics of the tests.
type fakeMetrics struct {
	mu      sync.Mutex
	running int
	ended   []jobs.Outcome
}

func (c *fakeMetrics) JobStarted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
}

func (c *fakeMetrics) JobEnded(outcome jobs.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.ended = append(c.ended, outcome)
}

func (c *fakeMetrics) SetRedisUp(bool) {}

func (c *fakeMetrics) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != 0 {
		return errors.New("a job that was started was not ended")
	}
	return nil
}
