package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
)

const runCodePath = "/compat/sandboxfusion/run_code"

// runCode sends a body to POST /compat/sandboxfusion/run_code; headers are pairs of name and value.
func runCode(t *testing.T, url, body string, headers ...string) reply {
	t.Helper()
	return send(t, http.MethodPost, url+runCodePath, body,
		append([]string{"Content-Type", "application/json"}, headers...)...)
}

// wantSandboxError checks an error in SandboxFusion's form.
func wantSandboxError(t *testing.T, got reply, status int, message string) {
	t.Helper()
	wantResponse(t, got, status, "")
	fields := decode(t, got.body)
	text, _ := fields["message"].(string)
	if fields["status"] != "SandboxError" || !strings.Contains(text, message) || fields["run_result"] != nil ||
		fields["files"] == nil {
		t.Errorf("want %q in %s", message, got.body)
	}
}

const printOne = `{"code": "print(1)", "language": "python", "run_timeout": 3}`

func TestRunCode(t *testing.T) {
	t.Parallel()
	execute := func(_ context.Context, r jobs.Request, id string, wait time.Duration) (jobs.Record, error) {
		if r.Script != "print(1)" || r.Entry != jobs.EntryScript || wait != 20*time.Second || id == "" {
			return jobs.Record{}, fmt.Errorf("%+v %v", r, wait)
		}
		return succeeded("null"), nil
	}
	got := runCode(t, serve(t, newHandler(t, stubJobs{execute: execute})), printOne)
	wantResponse(t, got, 200, "")
	const want = `{"status":"Success","message":"","compile_result":null,"run_result":{"status":"Finished",` +
		`"execution_time":0.0123,"cpu_time":0.0118,"return_code":0,"stdout":"Processing data...\n","stderr":""},` +
		`"executor_pod_name":null,"files":{}}` + "\n"
	if got.body != want {
		t.Errorf("%s", got.body)
	}
}

func TestRunCodeRefuses(t *testing.T) {
	t.Parallel()
	h := newHandlerWith(t, stubJobs{}, Settings{Token: "secret"})
	url := serve(t, h)
	auth := []string{"Authorization", "Bearer secret"}
	wantSandboxError(t, runCode(t, url, printOne), 401, "a valid token is needed")
	wantSandboxError(t, runCode(t, url, `{"code": "1", "language": "go"}`, auth...), 400, `"language" is "go"`)
	wantSandboxError(t, runCode(t, url, `{`, auth...), 400, "the body must be a JSON object")
	large := `{"code": "` + strings.Repeat("x", jobs.MaxRequestBytes) + `"}`
	wantSandboxError(t, runCode(t, url, large, auth...), 413, "")
	wantSandboxError(t, send(t, "POST", url+runCodePath, printOne, auth...), 415, "a Content-Type is needed")
	wantSandboxError(t, send(t, "POST", url+runCodePath, "--x--",
		append(auth, "Content-Type", "multipart/form-data; boundary=x")...), 415, "must be application/json")
	wantSandboxError(t, send(t, "POST", url+runCodePath+"?x=1", printOne, auth...), 400, "unknown query parameter")
	wantSandboxError(t, send(t, "GET", url+runCodePath, "", auth...), 405, "it takes POST")
	wantSandboxError(t, send(t, "POST", url+"/compat/sandboxfusion/run_jupyter", "{}", auth...), 404, "no such path")
	wantSandboxError(t, runCode(t, url, printOne, append(auth, "Origin", "https://evil.example")...), 403, "")
	h.Drain()
	wantSandboxError(t, runCode(t, url, printOne, auth...), 504, "shutting down")
}

// TestRunCodeChecksTheHost: no web page reaches the door by binding its own name to it.
func TestRunCodeChecksTheHost(t *testing.T) {
	t.Parallel()
	request := newRequest(t.Context(), t, http.MethodPost, serve(t, newHandler(t, stubJobs{}))+runCodePath,
		strings.NewReader(printOne), "Content-Type", "application/json")
	request.Host = "evil.example"
	wantSandboxError(t, do(t, request), 403, "")
}

// TestRunCodeTakesTheTokenFromItsURL: its clients send no header that their users choose. No other path does.
func TestRunCodeTakesTheTokenFromItsURL(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{Token: "secret"}))
	with := func(password, path string) reply {
		request := newRequest(t.Context(), t, http.MethodPost, url+path, strings.NewReader(printOne),
			"Content-Type", "application/json")
		request.SetBasicAuth("any", password)
		return do(t, request)
	}
	wantResponse(t, with("secret", runCodePath), 200, "")
	wantSandboxError(t, with("secrets", runCodePath), 401, "a valid token is needed")
	wantSandboxError(t, with("", runCodePath), 401, "a valid token is needed")
	wantResponse(t, with("secret", "/execute"), 401, jobs.CodeUnauthorized)
}

// TestRunCodeWithoutAVerdict: 504 is the one status after which training loops repeat a call.
func TestRunCodeWithoutAVerdict(t *testing.T) {
	t.Parallel()
	full := &jobs.Error{Code: jobs.CodeQueueFull, Message: "full", RetryAfterSeconds: 7}
	for _, tc := range []struct {
		stub    stubJobs
		status  int
		message string
	}{
		{stubExecute(jobs.Record{}, full), 504, "full"},
		{stubExecute(jobs.Record{}, jobs.Unavailable("no Redis", nil)), 504, "no Redis"},
		{stubFailure(jobs.Failure{Code: jobs.CodeNotStarted, Message: "late"}), 504, "late"},
		{stubFailure(jobs.Failure{Code: jobs.CodeWorkerLost, Message: "lost"}), 504, "lost"},
		{stubFailure(jobs.Failure{Code: jobs.CodeCancelled, Message: "cancelled"}), 409, "cancelled"},
		{stubExecute(jobs.Record{}, io.ErrUnexpectedEOF), 500, "something went wrong on our side"},
	} {
		got := runCode(t, serve(t, newHandler(t, tc.stub)), printOne)
		wantSandboxError(t, got, tc.status, tc.message)
		if retry := got.header.Get("Retry-After"); (retry != "") != (tc.status == 504 && tc.message != "lost") {
			t.Errorf("%s: Retry-After %q", tc.message, retry)
		}
	}
}

// TestRunCodeCancelsAJobThatIsOverdue also cancels one that has started: a call has no id to find its result by.
func TestRunCodeCancelsAJobThatIsOverdue(t *testing.T) {
	t.Parallel()
	// By the state after it was cancelled: a worker may have started it since it was read.
	for state, want := range map[jobs.State]string{
		jobs.StateCancelled: "no worker could start the job within 17s",
		jobs.StateRunning:   "the job took too long to end",
	} {
		cancelled := 0
		stub := stubExecute(jobs.Record{ID: jobID, State: jobs.StateQueued}, nil)
		stub.cancel = func(_ context.Context, id string) (jobs.Record, error) {
			cancelled++
			return jobs.Record{ID: id, State: state}, nil
		}
		wantSandboxError(t, runCode(t, serve(t, newHandler(t, stub)), printOne), 504, want)
		if cancelled != 1 {
			t.Errorf("%s: cancelled %d times", state, cancelled)
		}
	}
}

func TestRunCodeCancelsTheJobOfAClientThatHangsUp(t *testing.T) {
	t.Parallel()
	for _, drained := range []bool{false, true} {
		waiting, cancelled := make(chan struct{}), make(chan error, 1)
		h := newHandler(t, stubJobs{
			execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
				close(waiting)
				<-ctx.Done()
				return jobs.Record{ID: jobID}, ctx.Err()
			},
			cancel: func(ctx context.Context, id string) (jobs.Record, error) {
				cancelled <- ctx.Err()
				return jobs.Record{ID: id, State: jobs.StateRunning}, nil
			},
		})
		url := serve(t, h)
		ctx, hangUp := context.WithCancel(t.Context())
		go func() {
			<-waiting
			if drained {
				h.Drain()
			} else {
				hangUp()
			}
		}()
		request := newRequest(ctx, t, http.MethodPost, url+runCodePath, strings.NewReader(printOne),
			"Content-Type", "application/json")
		if drained {
			wantSandboxError(t, do(t, request), 504, "shutting down")
		} else if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			t.Error("there is a response")
		}
		if err := <-cancelled; err != nil {
			t.Errorf("the cancellation has a context that has ended: %v", err)
		}
		hangUp()
	}
}

// TestRunCodeWaitsLongerThanTheServersTimeout waits for a queue that takes minutes.
func TestRunCodeWaitsLongerThanTheServersTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		execute := func(_ context.Context, _ jobs.Request, _ string, wait time.Duration) (jobs.Record, error) {
			time.Sleep(wait)
			return succeeded("null"), nil
		}
		client := serveInBubble(t, newHandler(t, stubJobs{execute: execute}))
		began := time.Now()
		got := doWith(t, client, newRequest(t.Context(), t, http.MethodPost, bubbleURL+runCodePath,
			strings.NewReader(`{"code": "", "language": "python", "compile_timeout": 300}`),
			"Content-Type", "application/json"))
		if decode(t, got.body)["status"] != "Success" || time.Since(began) != 5*time.Minute+10*time.Second {
			t.Errorf("%d %s after %v", got.status, got.body, time.Since(began))
		}
	})
}

// fileMap is a Files with the content by key.
type fileMap map[string]string

func (f fileMap) Open(_ context.Context, key string) (io.ReadSeekCloser, error) {
	content, ok := f[key]
	if !ok {
		return nil, jobs.NotFound("file")
	}
	return readSeekNopCloser{bytes.NewReader([]byte(content))}, nil
}

type readSeekNopCloser struct{ io.ReadSeeker }

func (readSeekNopCloser) Close() error { return nil }

func TestRunCodeFetchesFiles(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 100_000)
	record := ended(jobs.Outcome{Files: []jobs.OutputFile{
		{Name: `a".csv`, Key: "k1", Size: 3}, {Name: "large", Key: "k2", Size: int64(len(large))},
	}})
	const body = `{"code": "", "language": "python", "files": {"in.txt": "aGk="},
		"fetch_files": ["a\".csv", "in.txt", "absent", "outputs/large"]}`
	h := newHandler(t, stubExecute(record, nil))
	h.files = fileMap{"k1": "x,y", "k2": large}
	url := serve(t, h)
	var answer struct{ Files map[string][]byte }
	got := runCode(t, url, body)
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != 200 {
		t.Fatal(err, got.status)
	}
	if files := answer.Files; len(files) != 2 || string(files[`a".csv`]) != "x,y" ||
		string(files["outputs/large"]) != large {
		t.Errorf("%.300s", got.body)
	}

	h.files = fileMap{"k1": "x,y"}
	wantSandboxError(t, runCode(t, url, body), 404, "there is no such file")

	h.files = fileMap{"k1": "x,y", "k2": "shorter"}
	request := newRequest(t.Context(), t, http.MethodPost, url+runCodePath, strings.NewReader(body),
		"Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return // it broke off before the header was sent
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("a response with half a file ends well: %.300s", text)
	}
}
