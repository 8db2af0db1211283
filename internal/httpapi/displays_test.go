package httpapi

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// endedBy is ended for a job with another entry.
func endedBy(entry jobs.Entry, outcome jobs.Outcome) jobs.Record {
	record := ended(outcome)
	record.Entry = entry
	return record
}

// shownOutcome is the outcome of a script that showed something in each form.
func shownOutcome() jobs.Outcome {
	empty, html, size, code := "", "<b>é</b>", int64(2000000), 0
	return jobs.Outcome{
		Result: []byte("null"), ExitCode: &code,
		Displays: []jobs.Display{
			{Forms: []jobs.DisplayForm{
				{Type: "text/html", Text: &html},
				{Type: "image/png", File: "display-1.png"},
				{Type: "application/json", JSON: jsontext.Value(`{"a":3.0,"é\u00e9":[]}`)},
				{Type: "text/plain", Text: &empty},
			}},
			{Forms: []jobs.DisplayForm{{Type: "application/json", JSON: jsontext.Value(`{}`)}}},
			{Forms: []jobs.DisplayForm{{Type: "application/json", JSON: jsontext.Value(`null`)}}},
		},
		DisplaysOmitted: []jobs.OmittedDisplay{
			{Display: 4, Type: "text/html", Bytes: &size, Limit: "display_bytes"}, {Display: 5, Limit: "displays"},
		},
	}
}

// TestDisplaysAreUnchanged reads them as every response has them. Empty forms are there, too.
func TestDisplaysAreUnchanged(t *testing.T) {
	t.Parallel()
	record := endedBy(jobs.EntryScript, shownOutcome())
	url := serve(t, newHandler(t, stubJobs{execute: stubExecute(record, nil).execute, get: stubGet(record, nil).get}))
	for name, got := range map[string]reply{
		"execute": post(t, url, script), "job": send(t, "GET", url+"/jobs/"+jobID, ""),
	} {
		for _, want := range []string{
			`"entry":"script","result":null,"exit_code":0,`,
			`"displays":[{"forms":[{"type":"text/html","text":"<b>é</b>"},` +
				`{"type":"image/png","file":"display-1.png"},` +
				`{"type":"application/json","json":{"a":3.0,"é\u00e9":[]}},{"type":"text/plain","text":""}]},` +
				`{"forms":[{"type":"application/json","json":{}}]},` +
				`{"forms":[{"type":"application/json","json":null}]}]`,
			`"displays_omitted":[{"display":4,"type":"text/html","bytes":2000000,"limit":"display_bytes"},` +
				`{"display":5,"type":"","limit":"displays"}]`,
		} {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s: %s\nlacks %s", name, got.body, want)
			}
		}
	}
}

// An exception of a program has an exit code beside its code, which the outcome has and the failure lacks.
func TestExitCodeOfAnException(t *testing.T) {
	t.Parallel()
	one := 1
	record := endedBy(jobs.EntryScript, jobs.Outcome{
		Failure: &jobs.Failure{Code: jobs.CodeException, Message: "x"}, ExitCode: &one,
	})
	url := serve(t, newHandler(t, stubExecute(record, nil)))
	if got := post(t, url, script); got.status != 422 || !strings.Contains(got.body, `"exit_code":1`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}
