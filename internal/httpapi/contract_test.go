package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// contract is api/openapi.yaml, for checking real requests and responses.
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

// readContract reads it once: that takes a second with the race detector.
var readContract = sync.OnceValues(func() (contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Document)
	if err != nil {
		return contract{}, err
	}
	doc.Servers = nil // any host: tests choose their port
	if err := doc.Validate(context.Background()); err != nil {
		return contract{}, err
	}
	router, err := gorillamux.NewRouter(doc)
	return contract{doc: doc, router: router}, err
})

func loadContract(t *testing.T) contract {
	t.Helper()
	c, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// decodeStreamsAsText makes kin-openapi read the bodies of streams as the strings that they are in the document.
func decodeStreamsAsText() {
	for _, mediaType := range []string{"text/event-stream", "application/x-ndjson"} {
		openapi3filter.RegisterBodyDecoder(mediaType,
			func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
				text, err := io.ReadAll(body)
				return string(text), err
			})
	}
}

// check validates a response, and the request if it is a valid one, against the document. asMethod is the documented
// method of the path.
func (c contract) check(
	t *testing.T, asMethod, url, requestBody string, got reply, validRequest bool, headers ...string,
) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), asMethod, url, strings.NewReader(requestBody))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	route, params, err := c.router.FindRoute(request)
	if err != nil {
		t.Fatalf("%s %s is not in the document: %v", asMethod, url, err)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}
	if err := openapi3filter.ValidateRequest(t.Context(), input); (err == nil) != validRequest {
		t.Errorf("is the request valid by the document? %v, want valid: %v", err, validRequest)
	}
	response := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: got.status, Header: got.header, Options: input.Options,
	}
	response.SetBodyBytes([]byte(got.body))
	if err := openapi3filter.ValidateResponse(t.Context(), response); err != nil {
		t.Errorf("the response is not what the document says: %v\n%d %s", err, got.status, got.body)
	}
}

const script = `{"script":"def main():\n    return 1\n"}`

func TestExecuteKeepsTheContract(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	exitCode := 0
	wall := &jobs.LimitHit{Name: "wall", Value: 15, Unit: "seconds"}
	cases := []struct {
		name    string
		service stubJobs
		body    string
		invalid bool // the document rejects the request too
		headers []string
		status  int
		code    jobs.Code
	}{
		{name: "succeeded", service: stubExecute(succeeded(`{"mean":3.0}`), nil), status: 200},
		{name: "null", service: stubExecute(succeeded(`null`), nil), status: 200},
		{name: "script", service: stubExecute(endedBy(jobs.EntryScript, shownOutcome()), nil), status: 200},
		{name: "cell", service: stubExecute(endedBy(jobs.EntryCell, shownOutcome()), nil), status: 200},
		{name: "script with arguments", body: `{"script":"","entry":"script","args":["a",""]}`, status: 200},
		{name: "labels", body: `{"script":"","labels":{"customer":"42","example.com/A_.b":""}}`, status: 200},
		{
			name: "a label that is none", body: `{"script":"","labels":{"a b":""}}`, invalid: true, status: 400,
			code: jobs.CodeInvalidRequest,
		},
		{
			name: "a label of a long value", body: `{"script":"","labels":{"a":"` + strings.Repeat("b", 64) + `"}}`,
			invalid: true, status: 400, code: jobs.CodeInvalidRequest,
		},
		{name: "entry", body: `{"script":"","entry":"x"}`, invalid: true, status: 400, code: jobs.CodeInvalidRequest},
		{
			name: "cell with arguments", body: `{"script":"","entry":"cell","args":{}}`, status: 400,
			code: jobs.CodeInvalidRequest,
		},
		{name: "nothing", service: stubExecute(ended(jobs.Outcome{}), nil), status: 200},
		{name: "queued", service: stubExecute(jobs.Record{ID: jobID, State: jobs.StateQueued}, nil), status: 202},
		{name: "running", service: stubExecute(jobs.Record{ID: jobID, State: jobs.StateRunning}, nil), status: 202},
		{name: "async", body: `{"script":"","async":true}`, status: 202},
		{name: "respond-async", headers: []string{"Prefer", "respond-async"}, status: 202},
		{name: "empty body", body: " ", invalid: true, status: 400, code: jobs.CodeInvalidRequest},
		{name: "unknown field", body: `{"scrpt":""}`, invalid: true, status: 400, code: jobs.CodeInvalidRequest},
		{name: "wrong type", body: `{"script":1}`, invalid: true, status: 400, code: jobs.CodeInvalidRequest},
		{
			name: "too large", body: `{"script":"` + strings.Repeat("a", 51201) + `"}`, invalid: true, status: 413,
			code: jobs.CodeScriptTooLarge,
		},
		{
			name: "body too large", body: `{"script":"` + strings.Repeat("a", 9<<20) + `"}`, invalid: true, status: 413,
			code: jobs.CodeScriptTooLarge,
		},
		{
			name: "body too large by its files",
			body: `{"script":"","files":[{"path":"a","content":"` + strings.Repeat("a", 9<<20) + `"}]}`, status: 413,
			code: jobs.CodeInputTooLarge,
		},
		{
			name: "stdin too large", body: `{"script":"","stdin":"` + strings.Repeat("a", 1<<20+1) + `"}`, status: 413,
			code: jobs.CodeInputTooLarge,
		},
		{
			name:    "missing main",
			service: stubFailure(jobs.Failure{Code: jobs.CodeMissingMain, Message: jobs.MessageMissingMain}),
			status:  400, code: jobs.CodeMissingMain,
		},
		{
			name: "syntax error",
			service: stubFailure(jobs.Failure{
				Code: jobs.CodeSyntaxError, Message: "invalid syntax", Line: 2, Column: 12, Text: "    return ]",
			}),
			status: 400, code: jobs.CodeSyntaxError,
		},
		{
			name: "cancelled", service: stubFailure(jobs.Failure{Code: jobs.CodeCancelled, Message: "x"}), status: 409,
			code: jobs.CodeCancelled,
		},
		{
			name: "not serializable",
			service: stubFailure(jobs.Failure{
				Code: jobs.CodeNotSerializable, Message: jobs.MessageNotSerializable, Detail: `result["a"][3]: set`,
			}),
			status: 422, code: jobs.CodeNotSerializable,
		},
		{
			name: "exception",
			service: stubFailure(jobs.Failure{
				Code: jobs.CodeException, Message: "x", Traceback: "Traceback\n", Hint: "x",
			}),
			status: 422, code: jobs.CodeException,
		},
		{
			name: "exit", service: stubFailure(jobs.Failure{Code: jobs.CodeExit, Message: "x", ExitCode: &exitCode}),
			status: 422, code: jobs.CodeExit,
		},
		{
			name: "timeout", service: stubFailure(jobs.Failure{Code: jobs.CodeTimeout, Message: "x", Limit: wall}),
			status: 422, code: jobs.CodeTimeout,
		},
		{
			name: "cpu", service: stubFailure(jobs.Failure{Code: jobs.CodeCPULimit, Message: "x", Limit: wall}),
			status: 422, code: jobs.CodeCPULimit,
		},
		{
			name: "memory", service: stubFailure(jobs.Failure{Code: jobs.CodeMemoryLimit, Message: "x", Limit: wall}),
			status: 422, code: jobs.CodeMemoryLimit,
		},
		{
			name:    "result too large",
			service: stubFailure(jobs.Failure{Code: jobs.CodeResultTooLarge, Message: "x", Limit: wall}), status: 422,
			code: jobs.CodeResultTooLarge,
		},
		{
			name: "killed", service: stubFailure(jobs.Failure{Code: jobs.CodeKilled, Message: "x", Signal: "SIGSEGV"}),
			status: 422, code: jobs.CodeKilled,
		},
		{
			name: "worker lost", service: stubFailure(jobs.Failure{Code: jobs.CodeWorkerLost, Message: "x"}),
			status: 500, code: jobs.CodeWorkerLost,
		},
		{
			name: "internal", service: stubExecute(jobs.Record{}, errors.New("secret cause")), status: 500,
			code: jobs.CodeInternal,
		},
		{
			name: "no outcome", service: stubExecute(jobs.Record{ID: jobID, State: jobs.StateSucceeded}, nil),
			status: 500, code: jobs.CodeInternal,
		},
		{
			name: "withdrawn", service: stubFailure(jobs.Failure{Code: jobs.CodeUnavailable, Message: "x"}),
			status: 503, code: jobs.CodeUnavailable,
		},
		{
			name: "Redis away",
			service: stubExecute(jobs.Record{},
				&jobs.Error{Code: jobs.CodeUnavailable, Message: "x", Cause: errors.New("secret cause")}),
			status: 503, code: jobs.CodeUnavailable,
		},
		{
			name: "Redis away, async", body: `{"script":"","async":true}`,
			service: stubJobs{submit: func(context.Context, jobs.Request, string) (string, error) {
				return "", jobs.Errorf(jobs.CodeUnavailable, "x")
			}},
			status: 503, code: jobs.CodeUnavailable,
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			url := serve(t, newHandler(t, tc.service))
			if tc.body == "" {
				tc.body = script
			}
			got := post(t, url, tc.body, tc.headers...)
			c.check(t, http.MethodPost, url+"/execute", tc.body, got, !tc.invalid,
				append(tc.headers, "Content-Type", "application/json")...)
			wantResponse(t, got, tc.status, tc.code)
			if strings.Contains(got.body, "secret") || strings.Contains(got.body, "aaaa") {
				t.Errorf("the response reveals too much: %s", got.body)
			}
		})
	}
}

func TestGetJobKeepsTheContract(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	cases := []struct {
		name, path string
		service    stubJobs
		status     int
		code       jobs.Code
	}{
		{
			"queued", "/jobs/" + jobID,
			stubGet(jobs.Record{ID: jobID, State: jobs.StateQueued, CreatedAt: created}, nil), 200, "",
		},
		{
			"running", "/jobs/" + jobID,
			stubGet(jobs.Record{ID: jobID, State: jobs.StateRunning, CreatedAt: created, StartedAt: created}, nil), 200,
			"",
		},
		{"succeeded", "/jobs/" + jobID + "?wait=1", stubGet(succeeded(`[1,2]`), nil), 200, ""},
		{
			"failed", "/jobs/" + jobID,
			stubGet(failed(jobs.Failure{Code: jobs.CodeMissingMain, Message: jobs.MessageMissingMain}), nil), 200,
			jobs.CodeMissingMain,
		},
		{
			"cancelled", "/jobs/" + jobID, stubGet(failed(jobs.Failure{Code: jobs.CodeCancelled, Message: "x"}), nil),
			200, jobs.CodeCancelled,
		},
		{
			"unknown", "/jobs/" + jobID, stubGet(jobs.Record{}, jobs.Errorf(jobs.CodeNotFound, "x")), 404,
			jobs.CodeNotFound,
		},
		{"no id", "/jobs/..%2fhealthz", stubJobs{}, 404, jobs.CodeNotFound},
		{"bad wait", "/jobs/" + jobID + "?wait=soon", stubJobs{}, 400, jobs.CodeInvalidRequest},
		{"two waits", "/jobs/" + jobID + "?wait=1&wait=2", stubJobs{}, 400, jobs.CodeInvalidRequest},
		{
			"Redis away", "/jobs/" + jobID, stubGet(jobs.Record{}, jobs.Errorf(jobs.CodeUnavailable, "x")), 503,
			jobs.CodeUnavailable,
		},
		{"internal", "/jobs/" + jobID, stubGet(jobs.Record{}, errors.New("secret cause")), 500, jobs.CodeInternal},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			url := serve(t, newHandler(t, tc.service))
			got := send(t, http.MethodGet, url+tc.path, "")
			c.check(t, http.MethodGet, url+"/jobs/"+jobID, "", got, true)
			wantResponse(t, got, tc.status, tc.code)
		})
	}
}

func TestOtherRoutesKeepTheContract(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	down := stubJobs{ready: func(context.Context) (int, error) { return 0, errors.New("secret cause") }}
	cases := []struct {
		name, method, path string
		service            stubJobs
		token              string
		asMethod, asPath   string // as documented, where it differs
		status             int
		code               jobs.Code
		undocumented       bool // the document rejects the request too
	}{
		{name: "health", method: "GET", path: "/healthz", status: 200},
		{name: "health needs no token", method: "GET", path: "/healthz", token: "t", status: 200},
		{name: "ready", method: "GET", path: "/readyz", status: 200},
		{name: "ready needs no token", method: "GET", path: "/readyz", token: "t", status: 200},
		{name: "not ready", method: "GET", path: "/readyz", service: down, status: 503, code: jobs.CodeUnavailable},
		{name: "metrics", method: "GET", path: "/metrics", status: 200},
		{
			name: "metrics, no token", method: "GET", path: "/metrics", token: "t", status: 401,
			code: jobs.CodeUnauthorized,
		},
		{
			name: "job, no token", method: "GET", path: "/jobs/" + jobID, token: "t", status: 401,
			code: jobs.CodeUnauthorized,
		},
		{
			name: "execute, no token", method: "POST", path: "/execute", token: "t", status: 401,
			code: jobs.CodeUnauthorized,
		},
		{
			name: "execute by GET", method: "GET", path: "/execute", asMethod: "POST", status: 405,
			code: jobs.CodeMethodNotAllowed,
		},
		{
			name: "job by PUT", method: "PUT", path: "/jobs/" + jobID, asMethod: "GET", status: 405,
			code: jobs.CodeMethodNotAllowed,
		},
		{name: "cancelled", method: "DELETE", path: "/jobs/" + jobID, status: 200, code: jobs.CodeCancelled},
		{
			name: "being cancelled", method: "DELETE", path: "/jobs/" + jobID,
			service: stubCancel(jobs.Record{ID: jobID, State: jobs.StateRunning}, nil), status: 202,
		},
		{
			name: "already finished", method: "DELETE", path: "/jobs/" + jobID,
			service: stubCancel(jobs.Record{}, jobs.Errorf(jobs.CodeAlreadyFinished, "x")), status: 409,
			code: jobs.CodeAlreadyFinished,
		},
		{name: "cancel nothing", method: "DELETE", path: "/jobs/x", status: 404, code: jobs.CodeNotFound},
		{name: "list", method: "GET", path: "/jobs?status=succeeded&limit=1&cursor=" + jobID, status: 200},
		{
			name: "list by labels", method: "GET", status: 200,
			path: "/jobs?label=customer:42&label=example.com/a:&code=timeout&environment=science&since=1h&until=5m",
			service: stubJobs{list: func(context.Context, jobs.ListQuery) (jobs.Page, error) {
				return jobs.Page{Jobs: []jobs.Record{{
					ID: jobID, State: jobs.StateFailed, Code: jobs.CodeTimeout, Environment: "science",
					Labels: map[string]string{"customer": "42", "example.com/a": ""},
				}}}, nil
			}},
		},
		{
			name: "list by a made-up code", method: "GET", path: "/jobs?code=ok", undocumented: true,
			status: 400, code: jobs.CodeInvalidRequest,
		},
		{
			name: "list by half a label", method: "GET", path: "/jobs?label=customer", undocumented: true,
			status: 400, code: jobs.CodeInvalidRequest,
		},
		{
			name: "list of nothing", method: "GET", path: "/jobs",
			service: stubJobs{list: func(context.Context, jobs.ListQuery) (jobs.Page, error) {
				return jobs.Page{}, nil
			}},
			status: 200,
		},
		{
			name: "list by a made-up status", method: "GET", path: "/jobs?status=sleeping", undocumented: true,
			status: 400, code: jobs.CodeInvalidRequest,
		},
		{
			name: "list too many", method: "GET", path: "/jobs?limit=201", undocumented: true, status: 400,
			code: jobs.CodeInvalidRequest,
		},
		{name: "list from nowhere", method: "GET", path: "/jobs?cursor=x", status: 400, code: jobs.CodeInvalidRequest},
		{
			name: "made-up method", method: "BREW", path: "/execute", asMethod: "POST", status: 405,
			code: jobs.CodeMethodNotAllowed,
		},
		{name: "no type", method: "POST", path: "/execute", status: 415, code: jobs.CodeUnsupportedMediaType},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			url := serve(t, newHandlerWith(t, tc.service, Settings{Token: tc.token}))
			got := send(t, tc.method, url+tc.path, "")
			if tc.asMethod == "" {
				tc.asMethod = tc.method
			}
			c.check(t, tc.asMethod, url+tc.path, "", got, tc.asMethod != http.MethodPost && !tc.undocumented)
			wantResponse(t, got, tc.status, tc.code)
		})
	}
}

// TestUnknownPath is separate: no document can list unknown paths.
func TestUnknownPath(t *testing.T) {
	t.Parallel()
	schema := loadContract(t).doc.Components.Schemas["Error"].Value
	url := serve(t, newHandler(t, stubJobs{}))
	for _, path := range []string{"/execute/", "/jobs/", "/jobs/a/b", "/nothing?x=1"} {
		for _, method := range []string{"GET", "POST", "BREW", "OPTIONS"} {
			got := send(t, method, url+path, "")
			wantResponse(t, got, 404, jobs.CodeNotFound)
			if err := schema.VisitJSON(decode(t, got.body), openapi3.EnableJSONSchema2020()); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
}

// TestCodesAgree compares the three lists of codes: the document's, the table of statuses, and the examples.
func TestCodesAgree(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	var documented []string
	for _, code := range c.doc.Components.Schemas["ErrorCode"].Value.Enum {
		documented = append(documented, code.(string))
		if _, ok := statuses[jobs.Code(code.(string))]; !ok {
			t.Errorf("%v is in the document and has no status", code)
		}
	}
	for code := range statuses {
		if !slices.Contains(documented, string(code)) {
			t.Errorf("%s has a status and is not in the document", code)
		}
	}
	examples := map[string]int{}
	for path, item := range c.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				for name, example := range errorExamples(response.Value) {
					examples[name]++
					if got := strconv.Itoa(statusOf(jobs.Code(name))); status != "200" && got != status {
						t.Errorf("%s %s %s has an example of %s, whose status is %s", method, path, status, name, got)
					}
					if status != "200" && example != name {
						t.Errorf("the example named %s has code %s", name, example)
					}
				}
			}
		}
	}
	for _, code := range documented {
		if examples[code] == 0 {
			t.Errorf("%s has no example", code)
		}
	}
}

func errorExamples(response *openapi3.Response) map[string]string {
	codes := map[string]string{}
	media := response.Content.Get("application/json")
	if media == nil {
		return codes
	}
	for name, example := range media.Examples {
		if value, ok := example.Value.Value.(map[string]any); ok {
			if code, ok := value["code"].(string); ok {
				codes[name] = code
			}
		}
	}
	return codes
}
