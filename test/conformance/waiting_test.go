package conformance

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"cellblock/test/stack"
)

// checkAccepted checks a response for a job that has not ended.
func checkAccepted(t *testing.T, a answer, states ...string) {
	t.Helper()
	checkEqual(t, "status", a.HTTPStatus, http.StatusAccepted)
	checkEqual(t, "Location", a.Header.Get("Location"), "/jobs/"+a.JobID)
	if a.Header.Get("Retry-After") == "" {
		t.Error("Retry-After is missing")
	}
	if !strings.Contains(strings.Join(states, " "), a.Status) || a.Status == "" {
		t.Errorf("the job is %q, want one of %q", a.Status, states)
	}
	if id, err := uuid.Parse(a.JobID); err != nil || id.Version() != 7 {
		t.Errorf("job_id %q is no UUID of version 7", a.JobID)
	}
}

// TestAsync: 202 at once, then the job can be read to its end.
func TestAsync(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(t *testing.T, script string) answer{
		"field": func(t *testing.T, script string) answer {
			t.Helper()
			return submit(t, defaultStack().URL, script)
		},
		"header": func(t *testing.T, script string) answer {
			t.Helper()
			header := http.Header{"Content-Type": {"application/json"}, "Prefer": {"respond-async"}}
			return call(t, defaultStack().URL, request{Path: "/execute", Header: header, Body: scriptBody(t, script)})
		},
		"header among others": func(t *testing.T, script string) answer {
			t.Helper()
			header := http.Header{
				"Content-Type": {"application/json"},
				"Prefer":       {"handling=strict", "foo; bar, Respond-Async"},
			}
			return call(t, defaultStack().URL, request{Path: "/execute", Header: header, Body: scriptBody(t, script)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, "import time\ndef main():\n    print('working')\n    time.sleep(1)\n    return 3.0\n")
			checkAccepted(t, a, "queued")
			if a.Took > time.Second {
				t.Errorf("the answer took %s", a.Took)
			}
			first := read(t, defaultStack().URL, a.JobID, "")
			if first.Status != "queued" && first.Status != "running" || first.FinishedAt != nil ||
				first.CreatedAt == nil {
				t.Errorf("the job is not under way: %s", first.Body)
			}
			last := read(t, defaultStack().URL, a.JobID, "?wait=20s")
			checkEqual(t, "status", last.Status, "succeeded")
			checkEqual(t, "result", string(last.Result), "3.0")
			checkEqual(t, "stdout", required(t, "stdout", last.Stdout), "working\n")
			checkTimes(t, last)
		})
	}
}

// checkTimes: created, started, finished, in that order, in UTC with milliseconds.
func checkTimes(t *testing.T, a answer) {
	t.Helper()
	if a.CreatedAt == nil || a.StartedAt == nil || a.FinishedAt == nil {
		t.Fatalf("a time is missing: %.500s", a.Body)
	}
	if a.StartedAt.Before(*a.CreatedAt) || a.FinishedAt.Before(*a.StartedAt) {
		t.Errorf("the times are out of order: %.500s", a.Body)
	}
	matching(`"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`).check(t, "the body",
		a.Body[:min(len(a.Body), 400)])
}

// TestAsyncFailures: a failure that a synchronous client gets as a status is read with 200 by an
// asynchronous one.
func TestAsyncFailures(t *testing.T) {
	t.Parallel()
	for code, script := range map[string]string{
		"missing_main": "x = 1\n", "syntax_error": "def main( return\n",
		"exception": "def main(): 1 / 0\n", "exit": "def main(): raise SystemExit(2)\n",
		"not_serializable": "def main(): return {1}\n",
		"killed":           "import os\ndef main(): os.abort()\n",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			accepted := submit(t, defaultStack().URL, script)
			checkAccepted(t, accepted, "queued")
			a := read(t, defaultStack().URL, accepted.JobID, "?wait=20s")
			checkEqual(t, "HTTP status", a.HTTPStatus, http.StatusOK)
			checkEqual(t, "status", a.Status, "failed")
			checkEqual(t, "code", a.Code, code)
			checkTimes(t, a)
		})
	}
}

// TestJobNotFound requests unknown and invalid ids.
func TestJobNotFound(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"01981f3e-7c1a-7000-8000-000000000001", uuid.NewString(), "nonsense", "%00", "..%2f..",
		strings.Repeat("a", 5000),
	} {
		a := read(t, defaultStack().URL, id, "?wait=10s")
		checkRefusal(t, a, "not_found", matching("."))
		if a.Took > 2*time.Second {
			t.Errorf("the answer for %.40q took %s", id, a.Took)
		}
	}
}

// TestWaitParameter checks how long a read is held, in every spelling.
func TestWaitParameter(t *testing.T) {
	t.Parallel()
	for query, least := range map[string]time.Duration{
		"": 0, "?wait=0": 0, "?wait=1": time.Second,
		"?wait=0.5": 500 * time.Millisecond, "?wait=1500ms": 1500 * time.Millisecond,
	} {
		t.Run("good "+query, func(t *testing.T) {
			t.Parallel()
			// One job for each: parallel subtests start at different times.
			job := submit(t, defaultStack().URL, "import time\ndef main():\n    time.sleep(12)\n")
			defer call(t, defaultStack().URL, request{Method: http.MethodDelete, Path: "/jobs/" + job.JobID})
			a := read(t, defaultStack().URL, job.JobID, query)
			checkEqual(t, "status", a.HTTPStatus, http.StatusOK)
			if a.Took < least || a.Took > least+2*time.Second {
				t.Errorf("the answer took %s", a.Took)
			}
			if a.Status != "running" && a.Status != "queued" {
				t.Errorf("the job is %s", a.Status)
			}
		})
	}
	job := submit(t, defaultStack().URL, "def main():\n    return 1\n")
	for _, query := range []string{
		"?wait=x", "?wait=-1s", "?wait=", "?wait=10parsecs", "?wait=NaN",
		"?wait=1s&wait=2s",
	} {
		t.Run("bad "+query, func(t *testing.T) {
			t.Parallel()
			checkRefusal(t, read(t, defaultStack().URL, job.JobID, query), "invalid_request", matching("."))
		})
	}
}

// TestPreferWait: a client may wait for less; the job continues.
func TestPreferWait(t *testing.T) {
	t.Parallel()
	script := "import time\ndef main():\n    time.sleep(3)\n    return 'later'\n"
	header := http.Header{"Content-Type": {"application/json"}, "Prefer": {"wait=1"}}
	a := call(t, defaultStack().URL, request{Path: "/execute", Header: header, Body: scriptBody(t, script)})
	checkAccepted(t, a, "running", "queued")
	if a.Took < time.Second || a.Took > 2900*time.Millisecond {
		t.Errorf("the answer took %s", a.Took)
	}
	checkEqual(t, "Preference-Applied", a.Header.Get("Preference-Applied"), "wait=1")
	checkEqual(t, "result", string(read(t, defaultStack().URL, a.JobID, "?wait=20s").Result), `"later"`)
}

// TestClientGoesAway: a running job of a client that hangs up runs to its end.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	naptime, requestID := "2."+newMark(), uuid.NewString()
	script := "import subprocess\ndef main():\n    subprocess.run(['sleep', '" + naptime + "'])\n    return 'went on'\n"
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, defaultStack().URL+"/execute",
		bytes.NewReader(scriptBody(t, script)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {requestID}}
	gone := make(chan error, 1)
	go func() {
		_, err := httpClient.Do(req) //nolint:bodyclose // there is no response
		gone <- err
	}()
	if !eventually(func() bool { return len(stack.ProcessesMatching(naptime)) > 0 }) {
		t.Fatal("the job does not start")
	}
	hangUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal("the client did not hang up: ", err)
	}
	var job string
	eventually(func() bool {
		for _, worker := range defaultStack().Workers() {
			job = cmp.Or(job, worker.Logged("job ended", "job_id", map[string]string{"request_id": requestID}))
		}
		return job != ""
	})
	a := read(t, defaultStack().URL, job, "")
	checkEqual(t, "status", a.Status, "succeeded")
	checkEqual(t, "result", string(a.Result), `"went on"`)
}

// TestPreferNoWait: an asynchronous request with a short wait is a synchronous one.
func TestPreferNoWait(t *testing.T) {
	t.Parallel()
	header := http.Header{"Content-Type": {"application/json"}, "Prefer": {"respond-async, wait=8"}}
	a := call(t, defaultStack().URL,
		request{Path: "/execute", Header: header, Body: scriptBody(t, "def main(): return 'in time'")})
	checkEqual(t, "status", a.HTTPStatus, http.StatusOK)
	checkEqual(t, "result", string(a.Result), `"in time"`)
}

// TestTimeoutOnIdleStack: under the contract's limits a sleeping script gets a timeout and no 202,
// although both are due at 15 s.
func TestTimeoutOnIdleStack(t *testing.T) {
	forEachKind(t, timeoutOnIdleStack)
	t.Parallel()
}

func timeoutOnIdleStack(t *testing.T, k *kind) {
	s := k.startOneSlot(t)
	mark := newMark()
	answers := make(chan answer, 1)
	go func() {
		defer close(answers)
		answers <- execute(t, s.URL,
			"import subprocess\ndef main():\n    print('before')\n    subprocess.run(['sleep', '"+mark+"'])\n")
	}()
	if !eventually(func() bool { return len(stack.ProcessesMatching(mark)) > 0 }) {
		t.Fatal("the job does not start")
	}
	// Only its start needs an idle machine.
	t.Parallel()
	a := <-answers
	checkAnswer(t, testCase{
		Code: "timeout", Error: matching("15 s"), Stdout: exactly("before\n"),
		Limit: &limit{Name: "wall", Value: 15, Unit: "seconds"}, RunMS: []float64{15_000, 16_500},
		AtLeast: 15 * time.Second, Within: 17 * time.Second,
	}, a)
}

// TestTimeoutBehindFullWorker: the same behind a job that fills the worker gets 202 at 15 s, and
// its end can be read later.
func TestTimeoutBehindFullWorker(t *testing.T) {
	t.Parallel()
	s := kinds[0].startOneSlot(t)
	sleeper := "import time\ndef main():\n    time.sleep(60)\n"
	first := submit(t, s.URL, sleeper)
	if !eventually(func() bool { return read(t, s.URL, first.JobID, "").Status == "running" }) {
		t.Fatal("the first job does not start")
	}
	time.Sleep(2 * time.Second) // the second starts 13 s later, and has not ended at 15 s
	a := execute(t, s.URL, sleeper)
	checkAccepted(t, a, "running", "queued")
	if a.Took < 14900*time.Millisecond || a.Took > 17*time.Second {
		t.Errorf("the answer took %s", a.Took)
	}
	checkEqual(t, "code of the first", read(t, s.URL, first.JobID, "").Code, "timeout")
	end := read(t, s.URL, a.JobID, "?wait=30s")
	checkEqual(t, "status", end.Status, "failed")
	checkEqual(t, "code", end.Code, "timeout")
}

// TestExpiry: an ended job is kept for a time, which differs for synchronous jobs; a job that has
// not ended is kept.
func TestExpiry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result, sync string
		syncGoes     bool
	}{
		"synchronous": {"1h", "1s", true}, "asynchronous": {"1s", "1h", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Not set on the worker: a job's lifetime is in its record.
			env := stack.Env{"RESULT_TTL": c.result, "SYNC_RESULT_TTL": c.sync}
			s := startStack(t,
				stack.Config{API: env, Workers: []stack.Env{kinds[0].workerEnv(stack.Env{"WORKER_CONCURRENCY": "2"})}})
			slow := submit(t, s.URL, "import time\ndef main():\n    time.sleep(4)\n")
			goes, stays := execute(t, s.URL, "def main(): return 1"), submit(t, s.URL, "def main(): return 2")
			read(t, s.URL, stays.JobID, "?wait=10s")
			if !c.syncGoes {
				goes, stays = stays, goes
			}
			if !eventually(func() bool { return read(t, s.URL, goes.JobID, "").HTTPStatus == http.StatusNotFound }) {
				t.Error("the job does not expire")
			}
			checkEqual(t, "the other's status", read(t, s.URL, stays.JobID, "").Status, "succeeded")
			checkEqual(t, "the running one's status", read(t, s.URL, slow.JobID, "").Status, "running")
		})
	}
}

// TestNoWorker: without a worker a synchronous request is withdrawn, an asynchronous one waits for
// a worker.
func TestNoWorker(t *testing.T) {
	t.Parallel()
	s := startStack(t, stack.Config{})
	later := submit(t, s.URL, "def main(): return 'at last'")
	checkAccepted(t, later, "queued")
	a := execute(t, s.URL, "def main(): return 1")
	checkEqual(t, "status", a.HTTPStatus, http.StatusServiceUnavailable)
	checkEqual(t, "code", a.Code, "unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("Retry-After is missing")
	}
	if a.Took < 3*time.Second || a.Took > 5*time.Second {
		t.Errorf("the answer took %s, want 3 s", a.Took)
	}
	if _, err := s.StartWorker(t.Context(), kinds[0].workerEnv(stack.Env{"WORKER_CONCURRENCY": "1"})); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "result", string(read(t, s.URL, later.JobID, "?wait=20s").Result), `"at last"`)
	checkEqual(t, "withdrawn job", read(t, s.URL, a.JobID, "").Status, "cancelled")
}

// TestToken: with a token set, all paths but the health checks and the documents require it.
func TestToken(t *testing.T) {
	t.Parallel()
	s := startStack(t, stack.Config{API: stack.Env{"API_TOKEN": "s3cret"}})
	for _, c := range []struct {
		method, path, header string
		status               int
	}{
		{"GET", "/healthz", "", http.StatusOK},
		{"GET", "/readyz", "", http.StatusOK},
		{"GET", "/metrics", "", http.StatusUnauthorized},
		{"GET", "/nothing", "", http.StatusUnauthorized},
		{"POST", "/execute", "", http.StatusUnauthorized},
		{"POST", "/execute", "Bearer wrong", http.StatusUnauthorized},
		{"POST", "/execute", "Bearer s3cret2", http.StatusUnauthorized},
		{"POST", "/execute", "Basic s3cret", http.StatusUnauthorized},
		{"POST", "/execute", "s3cret", http.StatusUnauthorized},
		{"POST", "/execute", "Bearer ", http.StatusUnauthorized},
		{"POST", "/execute", "Bearer s3cret", http.StatusBadRequest},
		{"POST", "/execute", "bearer s3cret", http.StatusBadRequest},
		{"GET", "/metrics", "Bearer s3cret", http.StatusOK},
		{"GET", "/jobs/01981f3e-7c1a-7000-8000-000000000001", "Bearer s3cret", http.StatusNotFound},
		{"GET", "/jobs/01981f3e-7c1a-7000-8000-000000000001", "", http.StatusUnauthorized},
	} {
		header := http.Header{"Content-Type": {"application/json"}}
		if c.header != "" {
			header.Set("Authorization", c.header)
		}
		a := call(t, s.URL, request{Method: c.method, Path: c.path, Header: header})
		if a.HTTPStatus != c.status {
			t.Errorf("%s %s with %q gives %d, want %d", c.method, c.path, c.header, a.HTTPStatus, c.status)
		}
		if c.status == http.StatusUnauthorized && (a.Code != "unauthorized" || a.Header.Get("WWW-Authenticate") == "") {
			t.Errorf("%s %s: %v %s", c.method, c.path, a.Header, a.Body)
		}
	}
	if strings.Contains(s.Logs(), "s3cret") {
		t.Error("the token is in the logs")
	}
}
