package conformance

import (
	"context"
	"net/http"
	"testing"
	"time"

	"cellblock/test/stack"
)

const (
	// cancelBound is the promised 100 ms, plus what other suites on the machine may add.
	cancelBound = 500 * time.Millisecond
	// cancelAttempts is how many attempts there are to stay within cancelBound.
	cancelAttempts = 3
)

// TestCancel: a running job is dead within 100 ms, with all that it started; an ended job cannot be
// cancelled; cancelling twice is no error.
func TestCancel(t *testing.T) {
	forEachKind(t, func(t *testing.T, k *kind) {
		var took time.Duration
		for range cancelAttempts {
			if took = cancelRunning(t, k); took <= cancelBound {
				break
			}
		}
		if took > cancelBound {
			t.Errorf("the job ended %s after it was cancelled", took)
		}
		done := execute(t, k.standard.URL, "def main(): return 1")
		a := call(t, k.standard.URL, request{Method: http.MethodDelete, Path: "/jobs/" + done.JobID})
		checkEqual(t, "status", a.HTTPStatus, http.StatusConflict)
		checkEqual(t, "code", a.Code, "already_finished")
	})
}

// cancelRunning cancels a job that has started processes, and returns how long it took until all
// were dead.
func cancelRunning(t *testing.T, k *kind) time.Duration {
	t.Helper()
	job := submit(t, k.standard.URL, "import subprocess, time\ndef main():\n    for _ in range(3):\n"+
		"        subprocess.Popen(['/bin/sleep', '777'])\n    print('spawned', flush=True)\n    time.sleep(14)\n")
	awaitPrint(t, k.standard.URL, job.JobID)
	cancel := request{Method: http.MethodDelete, Path: "/jobs/" + job.JobID}
	start := time.Now()
	a := call(t, k.standard.URL, cancel)
	checkEqual(t, "status", a.HTTPStatus, http.StatusAccepted)
	end := read(t, k.standard.URL, job.JobID, "?wait=10s")
	took := time.Since(start)
	t.Logf("dead after %s", took)
	checkEqual(t, "status", end.Status, "cancelled")
	checkEqual(t, "code", end.Code, "cancelled")
	checkEqual(t, "stdout", *end.Stdout, "spawned\n")
	checkEqual(t, "status of a second cancel", call(t, k.standard.URL, cancel).HTTPStatus, http.StatusOK)
	return took
}

// awaitPrint waits until a job has printed something.
func awaitPrint(t *testing.T, url, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientBound)
	defer cancel()
	printed := false
	// The stream is left in the middle, which is an error for its reader.
	err := stack.Watch(ctx, httpClient, url, id, "", func(event stack.Event) {
		if event.Name == "stdout" {
			printed = true
			cancel()
		}
	})
	if !printed {
		t.Fatalf("the job printed nothing: %v", err)
	}
}
