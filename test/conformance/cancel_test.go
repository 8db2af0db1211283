package conformance

import (
	"net/http"
	"testing"
	"time"
)

// cancelBound is the 100 ms of the promise, and what a machine that other suites
// use may add.
const cancelBound = 500 * time.Millisecond

// TestCancel: a running job is dead within 100 ms, with all that it started; one
// that ended cannot be cancelled; to cancel twice is no error.
func TestCancel(t *testing.T) {
	eachKind(t, func(t *testing.T, k *kind) {
		job := submit(t, k.standard.URL, "import subprocess, time\ndef main():\n    for _ in range(3):\n        subprocess.Popen(['/bin/sleep', '777'])\n    print('spawned')\n    time.sleep(14)\n")
		if !eventually(func() bool { return read(t, k.standard.URL, job.JobID, "").Status == "running" }) {
			t.Fatal("the job does not start")
		}
		time.Sleep(500 * time.Millisecond)
		cancel := request{Method: http.MethodDelete, Path: "/jobs/" + job.JobID}
		start := time.Now()
		a := call(t, k.standard.URL, cancel)
		equal(t, "status", a.HTTPStatus, http.StatusAccepted)
		end := read(t, k.standard.URL, job.JobID, "?wait=10s")
		t.Logf("dead after %s", time.Since(start))
		if took := time.Since(start); took > cancelBound {
			t.Errorf("the job ended %s after it was cancelled", took)
		}
		equal(t, "status", end.Status, "cancelled")
		equal(t, "code", end.Code, "cancelled")
		equal(t, "stdout", *end.Stdout, "spawned\n")
		equal(t, "status of a second cancel", call(t, k.standard.URL, cancel).HTTPStatus, http.StatusOK)
		done := execute(t, k.standard.URL, "def main(): return 1")
		a = call(t, k.standard.URL, request{Method: http.MethodDelete, Path: "/jobs/" + done.JobID})
		equal(t, "status", a.HTTPStatus, http.StatusConflict)
		equal(t, "code", a.Code, "already_finished")
	})
}
