package watchdog

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a program that is killed at the end of the test, and returns its process id.
func start(t *testing.T, name string, args ...string) int {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

const bound = 300 * time.Millisecond

// A process that does nothing, is stopped or is gone is overdue after the bound.
func TestAHungProcessIsOverdue(t *testing.T) {
	t.Parallel()
	asleep, stopped := start(t, "sleep", "600"), start(t, "sleep", "600")
	if err := unix.Kill(stopped, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for name, pids := range map[string][]int{
		"asleep": {asleep}, "stopped": {stopped}, "gone": {1 << 30}, "none": nil, "two": {asleep, stopped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			if Wait(nil, bound, func() []int { return pids }) {
				t.Error("the wait ended without its bound")
			}
			if took := time.Since(began); took < bound {
				t.Errorf("ended after %v of %v", took, bound)
			}
		})
	}
}

// A process that spins is overdue once it had the bound as CPU time, or was waited for long enough.
func TestASpinningProcessIsOverdue(t *testing.T) {
	t.Parallel()
	pid := start(t, "sh", "-c", "while :; do :; done")
	before, err := read(pid)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if Wait(nil, bound, func() []int { return []int{pid} }) {
		t.Error("the wait ended without its bound")
	}
	after, err := read(pid)
	if err != nil {
		t.Fatal(err)
	}
	const rounding = 2 * Tick
	if ran := after.ran - before.ran; ran < bound-rounding && time.Since(began) < Longest(bound) {
		t.Errorf("overdue after %v of CPU time", ran)
	}
}

func TestWithheldSince(t *testing.T) {
	t.Parallel()
	const tick = 50 * time.Millisecond
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	tests := map[string]struct {
		before, now sample
		want        time.Duration
	}{
		"asleep":                     {sample{'S', ms(5), ms(1)}, sample{'S', ms(5), ms(1)}, 0},
		"stopped":                    {sample{'R', ms(5), ms(1)}, sample{'T', ms(5), ms(1)}, 0},
		"dead":                       {sample{'R', ms(5), ms(1)}, sample{'Z', ms(5), ms(1)}, 0},
		"spinning":                   {sample{'R', ms(5), ms(1)}, sample{'R', ms(55), ms(1)}, 0},
		"waiting for a processor":    {sample{'R', ms(5), ms(1)}, sample{'R', ms(5), ms(1)}, tick},
		"it ran a little":            {sample{'S', ms(5), ms(1)}, sample{'R', ms(15), ms(1)}, ms(40)},
		"it waited, ran, and sleeps": {sample{'R', ms(5), ms(1)}, sample{'S', ms(6), ms(46)}, ms(45)},
		"in the kernel":              {sample{'S', ms(5), ms(1)}, sample{'D', ms(5), ms(1)}, tick},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.now.withheldSince(test.before, tick); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := Context(t.Context(), Tick, nil)
	defer cancel()
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		t.Errorf("the cause is %v", cause)
	}
	ctx, cancel = Context(t.Context(), time.Hour, nil)
	cancel()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		t.Errorf("the cause is %v", cause)
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	got, err := parseStat([]byte("12 (a) R (b) S 1 12 12 0 -1 4194560 0 0 0 0 3 4 0 0 20 0 1 0 17 0 0\n"))
	if want := (sample{state: 'S', ran: 70 * time.Millisecond}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseStat([]byte("12 (a) S 1")); err == nil {
		t.Error("a short line is accepted")
	}
}
