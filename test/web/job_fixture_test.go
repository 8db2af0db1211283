package web

import (
	"context"
	"maps"
	"net/http"
	"testing"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// fields are those of a request to POST /execute.
type fields map[string]any

// submitJob submits a job and returns its id.
func submitJob(t *testing.T, origin string, request fields) string {
	t.Helper()
	request = maps.Clone(request)
	request["async"] = true
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var accepted struct {
		ID    string `json:"job_id"`
		Error string `json:"error"`
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	status := stack.DoJSON(ctx, http.DefaultClient, http.MethodPost, origin+"/execute", body, "", &accepted)
	if status != http.StatusAccepted {
		t.Fatalf("POST /execute: %d %s", status, accepted.Error)
	}
	return accepted.ID
}

// runJob submits a job, waits for its end, and returns its id.
func runJob(t *testing.T, origin string, request fields) string {
	t.Helper()
	id := submitJob(t, origin, request)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	for {
		var job struct {
			FinishedAt *string `json:"finished_at"`
		}
		url := origin + "/jobs/" + id + "?wait=10s"
		status := stack.DoJSON(ctx, http.DefaultClient, http.MethodGet, url, nil, "", &job)
		if status != http.StatusOK {
			t.Fatalf("GET %s: %d", url, status)
		}
		if job.FinishedAt != nil {
			return id
		}
	}
}

// showJob runs a job, and opens the console with it.
func showJob(t *testing.T, look view, request fields) *tab {
	t.Helper()
	p := visit(t, open.URL, "/console#job="+runJob(t, open.URL, request), look)
	p.await(`/Succeeded|Failed|Cancelled/.test(document.querySelector(".job .status")?.textContent)`)
	return p
}
