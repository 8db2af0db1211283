package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
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

// TestUnknownQueryParametersAreRefusedByName checks all routes of the job API; the error suggests the nearest name.
func TestUnknownQueryParametersAreRefusedByName(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	routes := []string{"GET /jobs/" + jobID + "/files/a/b.csv", "HEAD /jobs"}
	for path, item := range loadContract(t).doc.Paths.Map() {
		for method := range item.Operations() {
			if !isJobAPI(path) {
				continue
			}
			routes = append(routes, method+" "+strings.NewReplacer("{id}", jobID, "{path}", "a.csv").Replace(path))
		}
	}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		got := send(t, method, url+path+"?customer=acme", "")
		if got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", route, got.status, got.body)
			continue
		}
		if method != http.MethodHead && !strings.Contains(got.body, `unknown query parameter \"customer\"`) {
			t.Errorf("%s: %s", route, got.body)
		}
	}
	const suggestion = `did you mean "status"? The query parameters are "status", "code", "environment", "label", ` +
		`"since", "until", "tenant", "cursor" and "limit"`
	const malformed = `the query parameters cannot be read: they must be percent-encoded, with & between them`
	for query, want := range map[string]string{
		"/jobs?state=failed":    `unknown query parameter "state"; ` + suggestion,
		"/jobs?Status=failed":   `unknown query parameter "Status"; ` + suggestion,
		"/jobs?limit=1&limit=2": `the query parameter "limit" is given twice`,
		"/jobs?labels=a:b":      strings.Replace(`unknown query parameter "labels"; `+suggestion, "status", "label", 1),
		"/jobs?limit=%zz":       malformed,
		"/jobs/" + jobID +
			"/events?x": `unknown query parameter "x"; GET /jobs/{id}/events takes none`,
		"/jobs/" + jobID + "?inline_files=maybe":        `"inline_files" must be true or false`,
		"/batches/" + jobID + "/results?follow=perhaps": `"follow" must be true or false`,
	} {
		got := send(t, http.MethodGet, url+query, "")
		wantResponse(t, got, http.StatusBadRequest, jobs.CodeInvalidRequest)
		if sentence := decode(t, got.body)["error"]; sentence != want {
			t.Errorf("%s: %v", query, sentence)
		}
	}
}

// Probes and links to pages often have query parameters of their own.
func TestQueryParametersOutsideTheJobAPIAreIgnored(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/openapi.yaml", "/docs", "/docs/start.js"} {
		for _, query := range []string{"?x=1", "?utm_source=a&utm_source=b", "?%zz"} {
			if got := send(t, http.MethodGet, url+path+query, ""); got.status != http.StatusOK {
				t.Errorf("%s%s: %d %.200s", path, query, got.status, got.body)
			}
		}
	}
}

// TestQueryNamesAreTheContracts compares the table with the document.
func TestQueryNamesAreTheContracts(t *testing.T) {
	t.Parallel()
	routes := 0
	for path, item := range loadContract(t).doc.Paths.Map() {
		for method, operation := range item.Operations() {
			var documented []string
			for _, parameter := range operation.Parameters {
				if parameter.Value.In == "query" {
					documented = append(documented, parameter.Value.Name)
				}
			}
			if known := queryNames[method+" "+path]; !slices.Equal(known, documented) {
				t.Errorf("%s %s: the document has %q, the table %q", method, path, documented, known)
			}
			if documented != nil {
				routes++
			}
		}
	}
	if routes != len(queryNames) {
		t.Errorf("the document has %d routes with query parameters, the table %d", routes, len(queryNames))
	}
}
