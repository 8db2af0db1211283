package sandboxfusion

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	three := 3
	const finished = `"run_result":{"status":"Finished","execution_time":0.25,"cpu_time":null,"return_code":`
	const failedM = `"status":"Failed","message":"m",`
	const output = `,"stdout":"out","stderr":"err"}`
	for _, tc := range []struct {
		failure *jobs.Failure
		want    string
	}{
		{nil, `"status":"Success","message":"",RUN0`},
		{&jobs.Failure{Code: jobs.CodeException, Message: "m"}, failedM + `RUN1`},
		{&jobs.Failure{Code: jobs.CodeExit, Message: "m", ExitCode: &three}, failedM + `RUN3`},
		{&jobs.Failure{Code: jobs.CodeMemoryLimit, Message: "m"}, failedM + `RUN-9`},
		{&jobs.Failure{Code: jobs.CodeKilled, Message: "m", Signal: "SIGSEGV"}, failedM + `RUN-11`},
		{&jobs.Failure{Code: jobs.CodeKilled, Message: "m", Signal: "signal 40"}, failedM + `RUN-9`},
		{&jobs.Failure{Code: jobs.CodeFilesTooLarge, Message: "m"}, failedM + `RUN1`},
		{&jobs.Failure{Code: jobs.CodeNotSerializable, Message: "m"}, failedM + `RUN1`},
		{
			&jobs.Failure{Code: jobs.CodeTimeout, Message: "late"},
			`"status":"Failed","message":"late; \"run_timeout\" is 60 s, and this service runs a script for at most ` +
				`15 s",TLE`,
		},
		{
			&jobs.Failure{Code: jobs.CodeCPULimit, Message: "late"},
			`"status":"Failed","message":"late; \"run_timeout\" is 60 s, and this service runs a script for at most ` +
				`15 s",TLE`,
		},
	} {
		call := Call{Run: 15 * time.Second, RequestedRun: time.Minute}
		response, err := NewResponse(call, &jobs.Outcome{
			Failure: tc.failure, Stdout: "out", Stderr: "err", Usage: jobs.Usage{RunMS: 250},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		code := "null"
		result := response.RunResult
		if result.ReturnCode != nil {
			text, _ := json.Marshal(*result.ReturnCode)
			code = string(text)
		}
		run := finished + code + output
		if result.Status == "TimeLimitExceeded" {
			run = `"run_result":{"status":"TimeLimitExceeded","execution_time":0.25,"cpu_time":null,` +
				`"return_code":null` + output
			code = ""
		}
		want := tc.want
		for _, mark := range []string{"RUN" + code, "TLE"} {
			if rest, ok := cutSuffix(want, mark); ok {
				want = rest + `"compile_result":null,` + run + `,"executor_pod_name":null`
				break
			}
		}
		if string(got) != "{"+want+"}" {
			t.Errorf("%+v:\n%s\n{%s}", tc.failure, got, want)
		}
	}
}

func cutSuffix(s, suffix string) (string, bool) {
	if len(s) < len(suffix) || s[len(s)-len(suffix):] != suffix {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}

// TestStderrHasThePythonsReport: graders read the traceback there.
func TestStderrHasThePythonsReport(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		written string
		failure jobs.Failure
		want    string
	}{
		{"", jobs.Failure{Code: jobs.CodeException, Traceback: "Traceback\nE\n"}, "Traceback\nE\n"},
		{"a", jobs.Failure{Code: jobs.CodeException, Traceback: "Traceback\nE\n"}, "a\nTraceback\nE\n"},
		{"a\n", jobs.Failure{Code: jobs.CodeExit}, "a\n"},
		{
			"",
			jobs.Failure{Code: jobs.CodeSyntaxError, Message: "SyntaxError: m", Line: 2, Text: "def f(:"},
			"  File \"script.py\", line 2\n    def f(:\nSyntaxError: m\n",
		},
	} {
		response, err := NewResponse(Call{}, &jobs.Outcome{Stderr: tc.written, Failure: &tc.failure})
		if err != nil || response.RunResult.Stderr != tc.want {
			t.Errorf("%+v: %q, %v", tc.failure, response.RunResult.Stderr, err)
		}
	}
}

// TestNoVerdict: a failure of the service must not count as one of the code.
func TestNoVerdict(t *testing.T) {
	t.Parallel()
	for _, code := range []jobs.Code{
		jobs.CodeWorkerLost, jobs.CodeNotStarted, jobs.CodeUnavailable, jobs.CodeCancelled, jobs.CodeInternal,
		jobs.CodeMissingPackages, jobs.CodeInputTooLarge, "a code of a later version",
	} {
		_, err := NewResponse(Call{}, &jobs.Outcome{Failure: &jobs.Failure{Code: code, Message: "why"}})
		if jobs.CodeOf(err) != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestFetchedFiles(t *testing.T) {
	t.Parallel()
	call := decode(t, `{"code": "", "language": "python", "files": {"a.csv": "", "in": ""},
		"fetch_files": ["in", "./a.csv", "outputs/b.csv", "c/../a.csv", "large", "/etc/passwd", "../x", "absent"]}`)
	outcome := jobs.Outcome{
		Files:        []jobs.OutputFile{{Name: "a.csv"}, {Name: "b.csv"}},
		FilesOmitted: []jobs.OmittedFile{{Name: "large"}, {Name: "other"}},
	}
	var found []string
	for _, wanted := range call.Fetch {
		if file, ok := wanted.Find(&outcome); ok {
			found = append(found, wanted.Name+"="+file.Name)
		}
	}
	if len(found) != 3 || found[0] != "./a.csv=a.csv" || found[1] != "outputs/b.csv=b.csv" ||
		found[2] != "c/../a.csv=a.csv" {
		t.Errorf("%q", found)
	}
	response, err := NewResponse(call, &outcome)
	if err != nil || response.Message != `files over a limit were not fetched: "large"; `+
		`files that the code did not change, or removed, were not fetched: "in"` {
		t.Errorf("%+v, %v", response, err)
	}
}
