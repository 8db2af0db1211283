package conformance

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/api"
	"cellblock/client"
)

// answer is any response of the service. Fields that it did not have are zero.
type answer struct {
	HTTPStatus int           `json:"-"`
	Header     http.Header   `json:"-"`
	Body       string        `json:"-"`
	Took       time.Duration `json:"-"`

	Result     jsontext.Value `json:"result"`
	Stdout     *string        `json:"stdout"`
	Stderr     *string        `json:"stderr"`
	JobID      string         `json:"job_id"`
	Usage      *usage         `json:"usage"`
	Truncated  *truncated     `json:"truncated"`
	Error      string         `json:"error"`
	Code       string         `json:"code"`
	Detail     string         `json:"detail"`
	Hint       string         `json:"hint"`
	Traceback  string         `json:"traceback"`
	Line       int            `json:"line"`
	Column     int            `json:"column"`
	Text       string         `json:"text"`
	ExitCode   *int           `json:"exit_code"`
	Signal     string         `json:"signal"`
	Limit      *limit         `json:"limit"`
	Status     string         `json:"status"`
	CreatedAt  *time.Time     `json:"created_at"`
	StartedAt  *time.Time     `json:"started_at"`
	FinishedAt *time.Time     `json:"finished_at"`
	Workers    *int           `json:"workers"`
	Files      []file         `json:"files"`
	Omitted    []omitted      `json:"files_omitted"`
	Notes      []string       `json:"notes"`

	Limits *client.JobLimits `json:"limits"`

	Entry           string                  `json:"entry"`
	Environment     string                  `json:"environment"`
	Environments    jsontext.Value          `json:"environments"`
	Displays        []client.Display        `json:"displays"`
	DisplaysOmitted []client.OmittedDisplay `json:"displays_omitted"`
}

type omitted struct {
	Name  string `json:"name"`
	Size  *int64 `json:"size"`
	Limit limit  `json:"limit"`
}

type file struct {
	Name          string  `json:"name"`
	Size          int64   `json:"size"`
	MediaType     string  `json:"media_type"`
	SHA256        string  `json:"sha256"`
	URL           string  `json:"url"`
	ContentBase64 *string `json:"content_base64"`
}

type usage struct {
	QueuedMS        float64  `json:"queued_ms"`
	PrepareMS       float64  `json:"prepare_ms"`
	RunMS           float64  `json:"run_ms"`
	CPUMS           *float64 `json:"cpu_ms"`
	MemoryPeakBytes *int64   `json:"memory_peak_bytes"`
}

type truncated struct {
	Stdout bool `json:"stdout"`
	Stderr bool `json:"stderr"`
}

type limit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// clientBound is longer than the service ever holds a response.
const clientBound = 60 * time.Second

var httpClient = &http.Client{Timeout: clientBound}

// request describes one call of the service; an empty Method is POST.
type request struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
}

// call sends a request and checks the response against the contract.
func call(t *testing.T, base string, r request) answer {
	t.Helper()
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientBound)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, base+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.Header.Clone()
	if req.Header == nil {
		req.Header = http.Header{"Content-Type": {"application/json"}}
	}
	began := time.Now()
	response, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{HTTPStatus: response.StatusCode, Header: response.Header, Body: string(body), Took: time.Since(began)}
	checkContract(t, req, a)
	aFile := strings.Contains(r.Path, "/files") && a.HTTPStatus < http.StatusBadRequest
	if response.Header.Get("Content-Type") == "application/json" && !aFile {
		if err := json.Unmarshal(body, &a, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("the answer is not what the contract has: %v\n%.2000s", err, body)
		}
	}
	return a
}

// execute posts a script and waits for its end.
func execute(t *testing.T, base, script string) answer {
	t.Helper()
	return call(t, base, request{Path: "/execute", Body: scriptBody(t, script)})
}

// executeWith posts a script with further fields and waits for its end.
func executeWith(t *testing.T, base, script string, fields map[string]any) answer {
	t.Helper()
	all := map[string]any{"script": script}
	maps.Copy(all, fields)
	environment.AddTo(all)
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return call(t, base, request{Path: "/execute", Body: body})
}

// submit posts a script and does not wait.
func submit(t *testing.T, base, script string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"script": script, "async": true})
	if err != nil {
		t.Fatal(err)
	}
	return call(t, base, request{Path: "/execute", Body: body})
}

// read gets a job, with a query such as "?wait=10s" or none.
func read(t *testing.T, base, id, query string) answer {
	t.Helper()
	return call(t, base, request{Method: http.MethodGet, Path: "/jobs/" + id + query})
}

func scriptBody(t *testing.T, script string) []byte {
	t.Helper()
	return encode(t, map[string]string{"script": script})
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	body, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// contract is api/openapi.yaml as a router that finds the description of a response.
var contract = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Document)
	if err != nil {
		return nil, err
	}
	// Accept every address.
	doc.Servers = nil
	return gorillamux.NewRouter(doc)
})

// checkContract validates a response against api/openapi.yaml. A response outside its operations
// (404, 405) must have the shape of every error.
func checkContract(t *testing.T, req *http.Request, a answer) {
	t.Helper()
	if !utf8.ValidString(a.Body) && !strings.Contains(req.URL.Path, "/files/") {
		t.Errorf("the answer is not valid UTF-8")
	}
	if a.Header.Get("X-Request-Id") == "" {
		t.Errorf("the answer has no X-Request-Id")
	}
	router, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	route, params, err := router.FindRoute(req)
	if err != nil {
		return
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 a.HTTPStatus, Header: a.Header,
		Body:    io.NopCloser(strings.NewReader(withoutHugeNumbers(a.Body))),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("the answer is not what api/openapi.yaml says: %v\n%.2000s", err, a.Body)
	}
}

func decode(t *testing.T, value jsontext.Value, into any) {
	t.Helper()
	if err := json.Unmarshal(value, into); err != nil {
		t.Fatalf("%v\n%.500s", err, value)
	}
}

// withoutHugeNumbers replaces integers too large for a float64 by 0. They are valid JSON, which the
// contract allows, but the validator cannot read them.
func withoutHugeNumbers(body string) string {
	// The expression takes seconds for the largest responses.
	for digits, i := 0, 0; i < len(body); i++ {
		if digits++; body[i] < '0' || body[i] > '9' {
			digits = 0
		}
		if digits == hugeDigits {
			return hugeNumber.ReplaceAllString(body, "${1}0$2")
		}
	}
	return body
}

const hugeDigits = 309

var hugeNumber = regexp.MustCompile(`([\[{:,]-?)\d{309,}([\]},])`)
