package zygote

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/sandboxtest"
)

// A sandbox that was lost with its zygote reports whether its script may have run.
func TestALostSandboxReportsWhetherItsScriptStarted(t *testing.T) {
	t.Parallel()
	const script = "import time\ndef main(): time.sleep(60)"
	kill := func(s *readySandbox) { s.fork.zygote.jail.Kill() }
	job := func(t *testing.T, s *readySandbox) int {
		t.Helper()
		pid, err := sandbox.PIDOf(s.fork.jobPidfd)
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	tests := map[string]struct {
		before, during func(*testing.T, *readySandbox)
		started        bool
		code           jobs.Code
	}{
		"lost before": {
			before: func(_ *testing.T, s *readySandbox) {
				kill(s)
				<-s.fork.gone
			},
			code: jobs.CodeInternal,
		},
		"lost with the script unread": {
			before: func(t *testing.T, s *readySandbox) {
				if err := unix.Kill(job(t, s), unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			},
			during: func(_ *testing.T, s *readySandbox) { kill(s) },
			code:   jobs.CodeInternal,
		},
		"lost while it ran": {
			during: func(_ *testing.T, s *readySandbox) { kill(s) }, started: true, code: jobs.CodeWorkerLost,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			warm := openPlain(t, 1, 1000, sandboxtest.Logger(t), nil)
			s := acquirePlain(t, warm)
			if test.before != nil {
				test.before(t, s)
			}
			if test.during != nil {
				timer := time.AfterFunc(time.Second, func() { test.during(t, s) }) // the script was sent by then
				defer timer.Stop()
			}
			o := s.Run(t.Context(), script, jobs.EntryMain, nil)
			if s.Started() != test.started || sandboxtest.Code(o) != test.code {
				t.Errorf("started: %v, code %q: %+v", s.Started(), sandboxtest.Code(o), o.Failure)
			}
		})
	}
}
