package httpapi

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	var passed string
	submit := func(_ context.Context, _ jobs.Request, requestID string) (string, error) {
		passed = requestID
		return jobID, nil
	}
	url := serve(t, newHandler(t, stubJobs{submit: submit}))
	for given, kept := range map[string]bool{
		"abc-1.2_3": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "a;b": false, "é": false,
	} {
		got := post(t, url, `{"script":"","async":true}`, "X-Request-Id", given).header.Get("X-Request-Id")
		if (got == given) != kept || got == "" || got != passed {
			t.Errorf("given %q: response has %q, the job %q", given, got, passed)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{Token: "s3cret"}))
	for header, status := range map[string]int{
		"Bearer s3cret": 200, "bearer s3cret": 200, "Bearer  s3cret": 200,
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer s3cre": 401, "Bearer s3cret1": 401, "Basic s3cret": 401,
		"s3cret": 401,
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

// TestTokenAndItsSuccessor accepts each token of API_TOKEN, and nothing else that is in it.
func TestTokenAndItsSuccessor(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{Token: " new-token  old-token "}))
	for token, status := range map[string]int{
		"new-token": 200, "old-token": 200, "new-token  old-token": 401, "": 401, "new-tokenold-token": 401, "new": 401,
	} {
		if got := post(t, url, script, "Authorization", "Bearer "+token); got.status != status {
			t.Errorf("%q: status %d, want %d", token, got.status, status)
		}
	}
}

// openPaths are the paths that need no token; all documents list them in the same words.
var openPaths = []string{"/", "/console", "/healthz", "/readyz", "/docs", "/openapi.yaml"}

const tokenSentence = "every request but those to /, /console, /healthz, /readyz, /docs and /openapi.yaml"

// TestPathsThatNeedTheToken requests every path of the contract, and the page, without a token.
func TestPathsThatNeedTheToken(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{Token: "secret"}))
	paths := []string{
		"/docs", "/docs/start.js", "/openapi.yaml", "/", "/console", "/ui/x", "/none", "/healthz/", "/docsx",
	}
	for path, item := range loadContract(t).doc.Paths.Map() {
		paths = append(paths, path)
		open := item.Get != nil && item.Get.Security != nil && len(*item.Get.Security) == 0
		if want := slices.Contains(openPaths, path); open != want {
			t.Errorf("by the contract %s needs no token: %t, want %t", path, open, want)
		}
	}
	for _, path := range paths {
		path = strings.NewReplacer("{job_id}", jobID, "{batch_id}", jobID, "{path}", "a.csv").Replace(path)
		open := slices.Contains(openPaths, path) || strings.HasPrefix(path, "/docs/") || strings.HasPrefix(path, "/ui/")
		if got := send(t, http.MethodGet, url+path, "").status; (got != http.StatusUnauthorized) != open {
			t.Errorf("GET %s without a token: %d, needs none: %t", path, got, open)
		}
	}
}

// TestReadinessNamesEnvironmentsWithTheToken checks what a client without the token learns from /readyz.
func TestReadinessNamesEnvironmentsWithTheToken(t *testing.T) {
	t.Parallel()
	ready := stubJobs{ready: func(context.Context) (int, error) { return 1, nil }}
	url := serve(t, newHandlerWith(t, ready, Settings{Token: "secret"}))
	without := send(t, http.MethodGet, url+"/readyz", "")
	with := send(t, http.MethodGet, url+"/readyz", "", "Authorization", "Bearer secret")
	const names = `"environments_without_workers":["data-science"]`
	if without.status != http.StatusOK || strings.Contains(without.body, "data-science") ||
		!strings.Contains(with.body, names) {
		t.Errorf("without: %d %s, with: %s", without.status, without.body, with.body)
	}
}

// TestDocumentsListThePathsWithoutAToken checks that all documents use the same sentence.
func TestDocumentsListThePathsWithoutAToken(t *testing.T) {
	t.Parallel()
	field, _ := reflect.TypeFor[Settings]().FieldByName("Token")
	documents := map[string]string{"the help of API_TOKEN": field.Tag.Get("help")}
	for _, name := range []string{
		"README.md", "SECURITY.md", ".env.example", "api/openapi.yaml", "docs/configuration.md", "docs/operations.md",
	} {
		content, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		documents[name] = string(content)
	}
	for name, text := range documents {
		plain := strings.Join(strings.Fields(strings.NewReplacer("`", "", "#", " ").Replace(text)), " ")
		if !strings.Contains(plain, tokenSentence) {
			t.Errorf("%s does not say %q", name, tokenSentence)
		}
	}
}

func TestPanicIsInternal(t *testing.T) {
	t.Parallel()
	get := func(context.Context, string, time.Duration) (jobs.Record, error) { panic("secret cause") }
	url := serve(t, newHandler(t, stubJobs{get: get}))
	got := send(t, "GET", url+"/jobs/"+jobID, "")
	wantResponse(t, got, 500, jobs.CodeInternal)
	if strings.Contains(got.body, "secret") {
		t.Error(got.body)
	}
}

func TestMetricsCountRequests(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
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

// TestLogHasNoSecrets searches the log for the script, the result, the output and the token.
func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := New(stubExecute(succeeded(`"RESULT-SECRET"`), nil), Config{
		Settings: Settings{Token: "TOKEN-SECRET"}, SyncWait: time.Second, Logger: logger,
		Metrics: telemetry.NewAPIMetrics(nil, logger),
	})
	url := serve(t, h)
	post(t, url, `{"script":"SCRIPT-SECRET"}`, "Authorization", "Bearer TOKEN-SECRET", "X-Request-Id", "my-id")
	post(t, url, `{"script":"SCRIPT-SECRET`, "Authorization", "Bearer TOKEN-SECRET")
	post(t, url, `{"script":"SCRIPT-SECRET"}`, "Authorization", "Bearer WRONG-SECRET")
	if strings.Contains(log.String(), "SECRET") || strings.Contains(log.String(), "Processing") {
		t.Error(log.String())
	}
	line := strings.SplitN(log.String(), "\n", 2)[0]
	for _, want := range []string{
		`"method":"POST"`, `"route":"/execute"`, `"status":200`, `"request_id":"my-id"`,
		`"job_id":"` + jobID + `"`, `"ms":`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}

// A server that stops has not failed: the client asks for the rest.
func TestResumableAbortIsNoFailure(t *testing.T) {
	t.Parallel()
	for want, x := range map[int]*requestState{
		http.StatusOK:                  {status: http.StatusOK, aborted: true, resumable: true},
		http.StatusInternalServerError: {status: http.StatusOK, aborted: true},
	} {
		if got := x.finalStatus(); got != want {
			t.Errorf("%+v: %d, want %d", x, got, want)
		}
	}
}
