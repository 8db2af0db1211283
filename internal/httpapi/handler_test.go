package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return fields
}

// wantAnswer checks the status, the code in a JSON body ("" for none), and the headers of every
// response.
func wantAnswer(t *testing.T, got reply, status int, code jobs.Code) {
	t.Helper()
	if got.status != status {
		t.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
	if code != "" && decode(t, got.body)["code"] != string(code) {
		t.Errorf("want code %s in %s", code, got.body)
	}
	if !requestIDPattern.MatchString(got.header.Get("X-Request-Id")) {
		t.Errorf("X-Request-Id is %q", got.header.Get("X-Request-Id"))
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", got.header)
	}
	if status == 503 && got.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

func TestResultIsPassedOnAsItIs(t *testing.T) {
	const result = `{"b":3.0,"a":1180591620717411303424,"é\u00e9":"<&>\u2028","n":-0.0,"e":1E400,"d":[[],{}]}`
	url := serve(t, testHandler(t, scripted{
		execute: executing(succeeded(result), nil).execute,
		get:     getting(succeeded(result), nil).get,
	}))
	if got := post(t, url, script); !strings.Contains(got.body, `"result":`+result+`,"stdout":"Processing data...\n","stderr":"",`) {
		t.Errorf("execute: %s", got.body)
	}
	if got := send(t, "GET", url+"/jobs/"+jobID, ""); !strings.Contains(got.body, `"result":`+result+`,`) {
		t.Errorf("job: %s", got.body)
	}
}

func TestBodies(t *testing.T) {
	exitCode := 0
	cases := map[string]struct {
		service scripted
		method  string
		want    string
	}{
		"succeeded": {executing(succeeded(`3.0`), nil), "POST", `{"job_id":"` + jobID + `","status":"succeeded","created_at":"2026-01-02T02:04:05.678Z","started_at":"2026-01-02T02:04:05.701Z","finished_at":"2026-01-02T02:04:06.678Z","result":3.0,"stdout":"Processing data...\n","stderr":"","usage":{"queued_ms":0.9,"prepare_ms":21.4,"run_ms":12.3,"cpu_ms":11.8,"memory_peak_bytes":9437184},"truncated":{"stdout":false,"stderr":false}}`},
		"failed":    {executing(ended(jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeExit, Message: "x", ExitCode: &exitCode}}), nil), "POST", `{"job_id":"` + jobID + `","status":"failed","created_at":"2026-01-02T02:04:05.678Z","started_at":"2026-01-02T02:04:05.701Z","finished_at":"2026-01-02T02:04:06.678Z","error":"x","code":"exit","exit_code":0,"stdout":"","stderr":"","usage":{"queued_ms":0,"prepare_ms":0,"run_ms":0,"cpu_ms":null,"memory_peak_bytes":null},"truncated":{"stdout":false,"stderr":false}}`},
		"limit":     {getting(ended(jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeTimeout, Message: "x", Limit: &jobs.LimitHit{Name: "wall", Value: 0.5, Unit: "seconds"}}}), nil), "GET", `{"job_id":"` + jobID + `","status":"failed","created_at":"2026-01-02T02:04:05.678Z","started_at":"2026-01-02T02:04:05.701Z","finished_at":"2026-01-02T02:04:06.678Z","error":"x","code":"timeout","limit":{"name":"wall","value":0.5,"unit":"seconds"},"stdout":"","stderr":"","usage":{"queued_ms":0,"prepare_ms":0,"run_ms":0,"cpu_ms":null,"memory_peak_bytes":null},"truncated":{"stdout":false,"stderr":false}}`},
		"queued":    {getting(jobs.Record{ID: jobID, State: jobs.StateQueued, CreatedAt: created}, nil), "GET", `{"job_id":"` + jobID + `","status":"queued","created_at":"2026-01-02T02:04:05.678Z","started_at":null,"finished_at":null}`},
		"job":       {getting(ended(jobs.Outcome{Result: []byte(`""`), Truncated: jobs.Truncated{Stderr: true}}), nil), "GET", `{"job_id":"` + jobID + `","status":"succeeded","created_at":"2026-01-02T02:04:05.678Z","started_at":"2026-01-02T02:04:05.701Z","finished_at":"2026-01-02T02:04:06.678Z","result":"","stdout":"","stderr":"","usage":{"queued_ms":0,"prepare_ms":0,"run_ms":0,"cpu_ms":null,"memory_peak_bytes":null},"truncated":{"stdout":false,"stderr":true}}`},
		"not UTF-8": {executing(ended(jobs.Outcome{Result: []byte(`1`), Stdout: "a\xff"}), nil), "POST", `{"job_id":"` + jobID + `","status":"succeeded","created_at":"2026-01-02T02:04:05.678Z","started_at":"2026-01-02T02:04:05.701Z","finished_at":"2026-01-02T02:04:06.678Z","result":1,"stdout":"a` + "\ufffd" + `","stderr":"","usage":{"queued_ms":0,"prepare_ms":0,"run_ms":0,"cpu_ms":null,"memory_peak_bytes":null},"truncated":{"stdout":false,"stderr":false}}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			url := serve(t, testHandler(t, tc.service))
			var got reply
			if tc.method == "POST" {
				got = post(t, url, script)
			} else {
				got = send(t, "GET", url+"/jobs/"+jobID, "")
			}
			if got.body != tc.want+"\n" {
				t.Errorf("got  %s\nwant %s", got.body, tc.want)
			}
		})
	}
}

func TestAcceptedSaysWhere(t *testing.T) {
	url := serve(t, testHandler(t, scripted{}))
	got := post(t, url, `{"script":"","async":true}`)
	if got.body != `{"job_id":"`+jobID+`","status":"queued"}`+"\n" || got.header.Get("Location") != "/jobs/"+jobID || got.header.Get("Retry-After") != "1" {
		t.Errorf("%v %s", got.header, got.body)
	}
}

func TestMissingMainSentence(t *testing.T) {
	url := serve(t, testHandler(t, executing(failed(jobs.Failure{Code: jobs.CodeMissingMain, Message: jobs.MessageMissingMain}), nil)))
	if got := post(t, url, script); decode(t, got.body)["error"] != "Script must contain a 'def main():' function" {
		t.Error(got.body)
	}
}

func TestRequestID(t *testing.T) {
	var passed string
	url := serve(t, testHandler(t, scripted{submit: func(_ context.Context, _ jobs.Request, requestID string) (string, error) {
		passed = requestID
		return jobID, nil
	}}))
	for given, kept := range map[string]bool{
		"abc-1.2_3": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "a;b": false, "é": false,
	} {
		got := post(t, url, `{"script":"","async":true}`, "X-Request-Id", given).header.Get("X-Request-Id")
		if (got == given) != kept || got == "" || got != passed {
			t.Errorf("given %q: answer has %q, the job %q", given, got, passed)
		}
	}
}

func TestToken(t *testing.T) {
	url := serve(t, testHandlerWith(t, scripted{}, Settings{Token: "s3cret"}))
	for header, status := range map[string]int{
		"Bearer s3cret": 200, "bearer s3cret": 200, "Bearer  s3cret": 200,
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer s3cre": 401, "Bearer s3cret1": 401, "Basic s3cret": 401, "s3cret": 401,
	} {
		got := post(t, url, script, "Authorization", header)
		if got.status != status {
			t.Errorf("%q: status %d, want %d", header, got.status, status)
		}
		if (got.header.Get("WWW-Authenticate") != "") != (status == 401) {
			t.Errorf("%q: WWW-Authenticate is %q", header, got.header.Get("WWW-Authenticate"))
		}
	}
}

func TestMediaType(t *testing.T) {
	url := serve(t, testHandler(t, scripted{}))
	for header, status := range map[string]int{
		"application/json": 200, "Application/JSON": 200, "application/json; charset=utf-8": 200, `application/json;charset="UTF-8"`: 200,
		"application/json; odata=verbose": 200,
		"":                                415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/jsonx": 415,
		"application/json; charset=latin1": 415, "application/json, text/plain": 415, "application/json;;=": 415,
	} {
		got := send(t, "POST", url+"/execute", script, "Content-Type", header)
		if got.status != status {
			t.Errorf("%q: status %d, want %d", header, got.status, status)
		}
		if status == 415 && !strings.Contains(got.body, "-H 'Content-Type: application/json'") {
			t.Errorf("%q: no help for curl in %s", header, got.body)
		}
	}
	if got := post(t, url, script, "Content-Encoding", "gzip"); got.status != 415 {
		t.Errorf("gzip: %d", got.status)
	}
}

func TestOtherMethods(t *testing.T) {
	url := serve(t, testHandler(t, scripted{}))
	for _, tc := range []struct {
		method, path, allow string
		status              int
	}{
		{"OPTIONS", "/execute", "POST, OPTIONS", 204},
		{"OPTIONS", "/jobs/x", "GET, HEAD, DELETE, OPTIONS", 204},
		{"PUT", "/execute", "POST, OPTIONS", 405},
		{"HEAD", "/execute", "POST, OPTIONS", 405},
		{"POST", "/healthz", "GET, HEAD, OPTIONS", 405},
		{"HEAD", "/healthz", "", 200},
		{"HEAD", "/jobs/" + jobID, "", 200},
		{"HEAD", "/metrics", "", 200},
		{"HEAD", "/nothing", "", 404},
	} {
		got := send(t, tc.method, url+tc.path, "")
		if got.status != tc.status || got.header.Get("Allow") != tc.allow {
			t.Errorf("%s %s: %d, Allow %q", tc.method, tc.path, got.status, got.header.Get("Allow"))
		}
	}
}

func TestPanicIsInternal(t *testing.T) {
	url := serve(t, testHandler(t, scripted{get: func(context.Context, string, time.Duration) (jobs.Record, error) { panic("secret cause") }}))
	got := send(t, "GET", url+"/jobs/"+jobID, "")
	wantAnswer(t, got, 500, jobs.CodeInternal)
	if strings.Contains(got.body, "secret") {
		t.Error(got.body)
	}
}

func TestUnencodableResultIsInternal(t *testing.T) {
	url := serve(t, testHandler(t, executing(succeeded(`{"a":`), nil)))
	wantAnswer(t, post(t, url, script), 500, jobs.CodeInternal)
}

func TestMetricsCountRequests(t *testing.T) {
	url := serve(t, testHandler(t, scripted{}))
	post(t, url, script)
	send(t, "BREW", url+"/some/path", "")
	got := send(t, "GET", url+"/metrics", "").body
	for _, want := range []string{
		`cellblock_http_requests_total{code="200",method="POST",route="/execute"} 1`,
		`cellblock_http_requests_total{code="404",method="other",route="other"} 1`,
		`cellblock_http_request_duration_seconds_count{method="POST",route="/execute"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestLogTellsNoSecrets searches the log for the script, the result, the output and the token.
func TestLogTellsNoSecrets(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := New(executing(succeeded(`"RESULT-SECRET"`), nil), Config{
		Settings: Settings{Token: "TOKEN-SECRET"}, SyncWait: time.Second, Logger: logger, Metrics: telemetry.NewAPIMetrics(nil, logger),
	})
	url := serve(t, h)
	post(t, url, `{"script":"SCRIPT-SECRET"}`, "Authorization", "Bearer TOKEN-SECRET", "X-Request-Id", "my-id")
	post(t, url, `{"script":"SCRIPT-SECRET`, "Authorization", "Bearer TOKEN-SECRET")
	post(t, url, `{"script":"SCRIPT-SECRET"}`, "Authorization", "Bearer WRONG-SECRET")
	if strings.Contains(log.String(), "SECRET") || strings.Contains(log.String(), "Processing") {
		t.Error(log.String())
	}
	line := strings.SplitN(log.String(), "\n", 2)[0]
	for _, want := range []string{`"method":"POST"`, `"route":"/execute"`, `"status":200`, `"request_id":"my-id"`, `"job_id":"` + jobID + `"`, `"ms":`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}
