package dispatch

import (
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// keepProcessorsBusy keeps all processors busy with other programs until the test ends.
func keepProcessorsBusy(t *testing.T) {
	t.Helper()
	for range max(2, runtime.NumCPU()) {
		busy := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = busy.Process.Kill()
			_ = busy.Wait()
		})
	}
}

// A busy machine must not look like an unreachable Redis: of many concurrent jobs, each is accepted and can be read,
// however slow this process is. It is not parallel: it leaves no processor time for other tests.
func TestManyRequestsAreAcceptedOnABusyMachine(t *testing.T) {
	s := newReplica(t, redistest.Start(t))
	keepProcessorsBusy(t)
	request := jobs.Request{
		Script: "x",
		Inputs: &jobs.Inputs{Files: []jobs.File{{Path: "f", Content: make([]byte, 128<<10)}}},
	}
	for range 3 {
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				record, err := s.Submit(t.Context(), request, "r-1")
				if err == nil {
					_, err = s.Get(t.Context(), record.ID, 0)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// While Redis is silent, all requests fail in time, including those that wait until they may be accepted. It
// is not parallel: it measures time.
func TestManyRequestsFailInTimeDuringAnOutage(t *testing.T) {
	server := redistest.StartServer(t)
	s := newReplica(t, server.URL())
	if _, err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill) // so that the dispatcher closes at once
	var all sync.WaitGroup
	for range 4 * acceptsAtOnce {
		all.Go(func() {
			start := time.Now()
			_, err := s.Submit(t.Context(), jobs.Request{Script: "x"}, "r-1")
			if took := time.Since(start); took > 1500*time.Millisecond {
				t.Errorf("it took %s", took)
			}
			wantCode(t, err, jobs.CodeUnavailable)
		})
	}
	all.Wait()
}
