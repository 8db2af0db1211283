package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// TestUnknownQueryParametersAreRefusedByName checks all routes; the error suggests the nearest
// name.
func TestUnknownQueryParametersAreRefusedByName(t *testing.T) {
	t.Parallel()
	url := serve(t, testHandler(t, scripted{}))
	routes := []string{"GET /", "GET /docs", "GET /docs/start.js", "GET /openapi.yaml", "GET /jobs/" + jobID + "/files/a/b.csv", "HEAD /jobs"}
	for path, item := range loadContract(t).doc.Paths.Map() {
		for method := range item.Operations() {
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
	for query, want := range map[string]string{
		"/jobs?state=failed":                            `unknown query parameter "state"; did you mean "status"? The query parameters are "status", "cursor" and "limit"`,
		"/jobs?Status=failed":                           `unknown query parameter "Status"; did you mean "status"? The query parameters are "status", "cursor" and "limit"`,
		"/jobs?limit=1&limit=2":                         `the query parameter "limit" is given twice`,
		"/jobs?limit=%zz":                               `the query parameters cannot be read: they must be percent-encoded, with & between them`,
		"/healthz?x":                                    `unknown query parameter "x"; GET /healthz takes none`,
		"/jobs/" + jobID + "?inline_files=maybe":        `"inline_files" must be true or false`,
		"/batches/" + jobID + "/results?follow=perhaps": `"follow" must be true or false`,
	} {
		got := send(t, http.MethodGet, url+query, "")
		wantAnswer(t, got, http.StatusBadRequest, jobs.CodeInvalidRequest)
		if sentence := decode(t, got.body)["error"]; sentence != want {
			t.Errorf("%s: %v", query, sentence)
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

func TestTheRootLeadsToTheDocs(t *testing.T) {
	t.Parallel()
	url := serve(t, testHandlerWith(t, scripted{}, Settings{Token: "secret"}))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request) // follows no redirects
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusFound || response.Header.Get("Location") != "/docs" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if page := send(t, http.MethodGet, url+"/", ""); page.status != http.StatusOK || !strings.Contains(page.body, "<html") {
		t.Errorf("%d %.200s", page.status, page.body)
	}
}

// TestIDsInCapitals: a UUID in capitals is the same UUID (RFC 9562, 4).
func TestIDsInCapitals(t *testing.T) {
	t.Parallel()
	seen := ""
	service := getting(succeeded(`1`), nil)
	get := service.get
	service.get = func(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
		seen = id
		return get(ctx, id, wait)
	}
	url := serve(t, testHandler(t, service))
	if got := send(t, http.MethodGet, url+"/jobs/"+strings.ToUpper(jobID), ""); got.status != http.StatusOK || seen != jobID {
		t.Errorf("%d, and %s was asked for", got.status, seen)
	}
	seen = ""
	_ = send(t, http.MethodGet, url+"/jobs/"+strings.ToUpper(jobID)+"/files/a.csv", "")
	if seen != jobID {
		t.Errorf("for a file %q was asked for", seen)
	}
}

func TestCharsets(t *testing.T) {
	t.Parallel()
	url := serve(t, testHandler(t, scripted{}))
	for _, charset := range []string{"utf-8", "UTF-8", `"utf-8"`, "utf8", "UTF8", "utf_8", "us-ascii"} {
		if got := send(t, http.MethodPost, url+"/execute", script, "Content-Type", "application/json; charset="+charset); got.status != http.StatusOK {
			t.Errorf("%s: %s", charset, got.body)
		}
	}
	for _, charset := range []string{"utf-16", "latin-1", "iso-8859-1", "utf-7"} {
		got := send(t, http.MethodPost, url+"/execute", script, "Content-Type", "application/json; charset="+charset)
		wantAnswer(t, got, http.StatusUnsupportedMediaType, jobs.CodeUnsupportedMediaType)
	}
}
