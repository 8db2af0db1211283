package zygote

import (
	"context"
	"strings"
	"testing"
	"time"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/sandboxtest"
)

// failingEnvironment is one whose zygote does not start: its interpreter is not there.
func failingEnvironment(t *testing.T, cold Acquire) *Environment {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	logger := sandboxtest.Logger(t)
	python := host.Interpreter{Environment: "one", Python: "/nowhere/python3"}
	h := &host.Host{Dir: t.TempDir(), Slot: &host.Slot{}}
	e := &Environment{
		config: poolConfig{host: h, kind: kind{python: python}, size: 1, logger: logger, activity: newActivity()},
		cold:   cold, ctx: ctx, stop: stop, ending: map[*pool]bool{},
	}
	e.config.settings.MemoryMB = 64
	t.Cleanup(e.Close)
	return e
}

// Where jobs wait for the zygote, each attempt of a job is a start.
func TestFailedStartWithoutColdSandboxes(t *testing.T) {
	t.Parallel()
	e := failingEnvironment(t, nil)
	if _, err := e.Acquire(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "start a zygote") {
		t.Fatalf("got %v", err)
	}
	if pause := time.Until(e.retryAt); pause > 2*time.Second {
		t.Errorf("the next start is in %v, and a job's attempts are spent before", pause)
	}
	e.failed = nil
	e.Retire()
	if _, err := e.Acquire(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "was replaced") {
		t.Errorf("once retired: %v", err)
	}
}

// A zygote that may need more memory than there is does not start where jobs can do without it.
func TestNoZygoteWithoutMemory(t *testing.T) {
	t.Parallel()
	cold := func(context.Context, string) (*sandbox.Sandbox, error) { return &sandbox.Sandbox{}, nil }
	for _, c := range []struct {
		cold      Acquire
		available int64
		starts    bool
	}{
		{cold, 63 << 20, false}, {cold, 64 << 20, true}, {cold, 0, true}, {nil, 1, true},
	} {
		if err := failingEnvironment(t, c.cold).checkMemory(c.available); (err == nil) != c.starts {
			t.Errorf("with %d bytes, cold ones %v: %v", c.available, c.cold != nil, err)
		}
	}
}
