package httpapi

import (
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

func TestResultIsUnchanged(t *testing.T) {
	t.Parallel()
	const result = `{"b":3.0,"a":1180591620717411303424,"é\u00e9":"<&>\u2028","n":-0.0,"e":1E400,"d":[[],{}]}`
	url := serve(t, newHandler(t, stubJobs{
		execute: stubExecute(succeeded(result), nil).execute,
		get:     stubGet(succeeded(result), nil).get,
	}))
	want := `"result":` + result + `,"stdout":"Processing data...\n","stderr":"",`
	if got := post(t, url, script); !strings.Contains(got.body, want) {
		t.Errorf("execute: %s", got.body)
	}
	if got := send(t, "GET", url+"/jobs/"+jobID, ""); !strings.Contains(got.body, `"result":`+result+`,`) {
		t.Errorf("job: %s", got.body)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const (
		times = `"created_at":"2026-01-02T02:04:05.678Z","started_at":"2026-01-02T02:04:05.701Z",` +
			`"finished_at":"2026-01-02T02:04:06.678Z"`
		success = `{"job_id":"` + jobID + `","status":"succeeded",` + times
		failure = `{"job_id":"` + jobID + `","status":"failed",` + times
		noUsage = `"usage":{"queued_ms":0,"prepare_ms":0,"run_ms":0,"cpu_ms":null,"memory_peak_bytes":null}`
		whole   = `"truncated":{"stdout":false,"stderr":false}}`
	)
	exitCode := 0
	exit := jobs.Failure{Code: jobs.CodeExit, Message: "x", ExitCode: &exitCode}
	wall := jobs.LimitHit{Name: "wall", Value: 0.5, Unit: "seconds"}
	timeout := jobs.Failure{Code: jobs.CodeTimeout, Message: "x", Limit: &wall}
	cases := map[string]struct {
		service stubJobs
		method  string
		want    string
	}{
		"succeeded": {
			stubExecute(succeeded(`3.0`), nil), "POST",
			success + `,"result":3.0,"stdout":"Processing data...\n","stderr":"","usage":{"queued_ms":0.9,` +
				`"prepare_ms":21.4,"run_ms":12.3,"cpu_ms":11.8,"memory_peak_bytes":9437184},` + whole,
		},
		"failed": {
			stubExecute(ended(jobs.Outcome{Failure: &exit}), nil), "POST",
			failure + `,"error":"x","code":"exit","exit_code":0,"stdout":"","stderr":"",` + noUsage + `,` + whole,
		},
		"limit": {
			stubGet(ended(jobs.Outcome{Failure: &timeout}), nil), "GET",
			failure + `,"error":"x","code":"timeout","limit":{"name":"wall","value":0.5,"unit":"seconds"},` +
				`"stdout":"","stderr":"",` + noUsage + `,` + whole,
		},
		"queued": {
			stubGet(jobs.Record{ID: jobID, State: jobs.StateQueued, CreatedAt: created}, nil), "GET",
			`{"job_id":"` + jobID + `","status":"queued",` +
				`"created_at":"2026-01-02T02:04:05.678Z","started_at":null,"finished_at":null}`,
		},
		"job": {
			stubGet(ended(jobs.Outcome{Result: []byte(`""`), Truncated: jobs.Truncated{Stderr: true}}), nil), "GET",
			success + `,"result":"","stdout":"","stderr":"",` + noUsage +
				`,"truncated":{"stdout":false,"stderr":true}}`,
		},
		"not UTF-8": {
			stubExecute(ended(jobs.Outcome{Result: []byte(`1`), Stdout: "a\xff"}), nil), "POST",
			success + `,"result":1,"stdout":"a` + "\ufffd" + `","stderr":"",` + noUsage + `,` + whole,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			url := serve(t, newHandler(t, tc.service))
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

func TestMissingMainSentence(t *testing.T) {
	t.Parallel()
	missing := jobs.Failure{Code: jobs.CodeMissingMain, Message: jobs.MessageMissingMain}
	url := serve(t, newHandler(t, stubFailure(missing)))
	if got := post(t, url, script); decode(t, got.body)["error"] != "Script must contain a 'def main():' function" {
		t.Error(got.body)
	}
}

func TestUnencodableResultIsInternal(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubExecute(succeeded(`{"a":`), nil)))
	wantResponse(t, post(t, url, script), 500, jobs.CodeInternal)
}

var (
	errorRow   = regexp.MustCompile("(?m)^\\| (\\d{3}) \\| (`[^|]+`) \\|")
	quotedCode = regexp.MustCompile("`([a-z_]+)`")
)

// TestDocumentedErrors checks that the table of docs/api.md has every code with its status, and no other.
func TestDocumentedErrors(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(content), "\n## Errors\n")
	documented := map[jobs.Code]int{}
	for _, row := range errorRow.FindAllStringSubmatch(section, -1) {
		status, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range quotedCode.FindAllStringSubmatch(row[2], -1) {
			documented[jobs.Code(code[1])] = status
		}
	}
	if !maps.Equal(documented, statuses) {
		t.Errorf("docs/api.md has %v, the API %v", documented, statuses)
	}
}
