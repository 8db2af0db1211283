package conformance

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

// TestBadRequests sends invalid bodies.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	valid := `"script":"def main(): return 1"`
	cases := []struct {
		name, body string
		code       string
		error      matcher
	}{
		{"nothing", "", "invalid_request", matching("empty")},
		{"only blanks", " \n\t ", "invalid_request", matching("empty")},
		{"not JSON", "script=x", "invalid_request", matching("not valid JSON")},
		{"cut short", `{"script":"def main`, "invalid_request", matching("not valid JSON.*ends too early")},
		{"single quotes", `{'script':'x'}`, "invalid_request", matching("not valid JSON")},
		{"a comma too many", `{` + valid + `,}`, "invalid_request", matching("not valid JSON")},
		{"a comment", `{` + valid + `} // x`, "invalid_request", matching("not valid JSON")},
		{"NaN", `{` + valid + `,"async":NaN}`, "invalid_request", matching("not valid JSON")},
		{"two values", `{` + valid + `}{}`, "invalid_request", matching("more follows")},
		{"UTF-16", "{\x00}\x00", "invalid_request", matching("not valid JSON")},
		{
			"not UTF-8", `{"script":"def main(): return '` + "\xff" + `'"}`, "invalid_request",
			matching("not valid UTF-8 at byte 31"),
		},
		{"an overlong character", `{"script":"` + "\xc0\xaf" + `"}`, "invalid_request", matching("not valid UTF-8")},
		{"a surrogate in UTF-8", `{"script":"` + "\xed\xa0\x80" + `"}`, "invalid_request", matching("not valid UTF-8")},
		{"an array", `[]`, "invalid_request", matching("must be a JSON object, not an array")},
		{"a string", `"x"`, "invalid_request", matching("must be a JSON object, not a string")},
		{"null", `null`, "invalid_request", matching("must be a JSON object, not null")},
		{"no script", `{}`, "invalid_request", matching(`"script" is required`)},
		{"only async", `{"async":true}`, "invalid_request", matching(`"script" is required`)},
		{"script null", `{"script":null}`, "invalid_request", matching(`"script" must be a string, not null`)},
		{"script number", `{"script":1}`, "invalid_request", matching(`"script" must be a string, not a number`)},
		{
			"script array", `{"script":["def main(): pass"]}`, "invalid_request",
			matching(`"script" must be a string, not an array`),
		},
		{
			"async string", `{` + valid + `,"async":"true"}`, "invalid_request",
			matching(`"async" must be true or false, not a string`),
		},
		{
			"async null", `{` + valid + `,"async":null}`, "invalid_request",
			matching(`"async" must be true or false, not null`),
		},
		{"an unknown field", `{` + valid + `,"asinc":true}`, "invalid_request", matching(`unknown field "asinc"`)},
		{
			"another case is another field", `{"Script":"def main(): return 1"}`, "invalid_request",
			matching(`unknown field "Script"`),
		},
		{
			"a field twice", `{` + valid + `,` + valid + `}`, "invalid_request",
			matching(`field "script" is given twice`),
		},
		{
			"a field twice, once escaped", `{` + valid + `,"scr\u0069pt":"x"}`, "invalid_request",
			matching(`field "script" is given twice`),
		},
		{"NUL", `{"script":"def main(): pass\u0000"}`, "invalid_request", matching(`NUL`)},
		{"a lone surrogate", `{"script":"def main(): return '\ud800'"}`, "invalid_request", matching(`lone surrogate`)},
		{"halves in the wrong order", `{"script":"# \udc00\ud800"}`, "invalid_request", matching(`lone surrogate`)},
		{"a control character", "{\"script\":\"a\x01b\"}", "invalid_request", matching("not valid JSON")},
		{
			"nested without end", strings.Repeat(`[`, 200_000), "invalid_request",
			matching("not valid JSON|must be a JSON object"),
		},
		{
			"nested without end in a field",
			`{"script":` + strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000) + `}`, "invalid_request",
			matching("JSON|must be a string"),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := call(t, defaultStack().URL, request{Path: "/execute", Body: []byte(c.body)})
			checkRefusal(t, a, c.code, c.error)
		})
	}
}

func matching(expression string) matcher {
	return matcher{Given: true, conditions: conditions{Like: expression}}
}

func exactly(text string) matcher { return matcher{Given: true, Exact: &text} }

// checkRefusal checks an error response for which no job was created.
func checkRefusal(t *testing.T, a answer, code string, sentence matcher) {
	t.Helper()
	checkEqual(t, "status", a.HTTPStatus, statusOf[code])
	checkEqual(t, "code", a.Code, code)
	if code != "not_found" {
		checkEqual(t, "job_id", a.JobID, "")
	}
	sentence.check(t, "error", a.Error)
	if len(a.Error) > 500 {
		t.Errorf("the sentence has %d bytes", len(a.Error))
	}
}

// TestGoodRequests sends the same request in many spellings.
func TestGoodRequests(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a byte order mark":    "\ufeff{\"script\":\"def main(): return 'é'\"}",
		"blanks around":        " \r\n\t{ \"script\" : \"def main(): return 'é'\" }\n",
		"escapes":              `{"scr\u0069pt":"def main(): return \u0027\u00e9\u0027"}`,
		"a pair of surrogates": `{"script":"def main(): return len('\ud83d\ude00') and 'é'"}`,
		"async false":          `{"async":false,"script":"def main(): return 'é'"}`,
		"escaped line ends":    `{"script":"def main():\r\n\treturn 'é'\r\n"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := call(t, defaultStack().URL, request{Path: "/execute", Body: []byte(body)})
			checkEqual(t, "status", a.HTTPStatus, http.StatusOK)
			checkEqual(t, "result", string(a.Result), `"é"`)
		})
	}
}

// TestScriptSize: 51,200 bytes of UTF-8 are allowed, regardless of the number of characters and of
// how the request escapes them.
func TestScriptSize(t *testing.T) {
	t.Parallel()
	const most = 51_200
	script := func(filler string, size int) string {
		head := "def main(): return 1\n#"
		return head + strings.Repeat(filler, (size-len(head))/len(filler)) + strings.Repeat("x",
			(size-len(head))%len(filler))
	}
	spell := func(s string) []byte { // six bytes for each
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		return []byte(`{"script":"` + b.String() + `"}`)
	}
	for _, c := range []struct {
		name string
		body []byte
		fits bool
	}{
		{"exactly", scriptBody(t, script("x", most)), true},
		{"one over", scriptBody(t, script("x", most+1)), false},
		{"exactly, of three bytes each", scriptBody(t, script("漢", most)), true},
		{"one over, of three bytes each", scriptBody(t, script("漢", most+1)), false},
		{"exactly, of four bytes each", scriptBody(t, script("😀", most)), true},
		{"exactly, all escaped", spell(script("x", most)), true},
		{"one over, all escaped", spell(script("x", most+1)), false},
		{"a megabyte", scriptBody(t, script("x", 1<<20)), false},
		{"a body of megabytes", scriptBody(t, script("x", 9<<20)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := call(t, defaultStack().URL, request{Path: "/execute", Body: c.body})
			if c.fits {
				checkEqual(t, "status", a.HTTPStatus, http.StatusOK)
				checkEqual(t, "result", string(a.Result), "1")
				return
			}
			checkRefusal(t, a, "script_too_large",
				matching("51200 are allowed|more than 8388608 bytes; the largest part is \"script\", "+
					"which may have 51200"))
			if a.Limit == nil || a.Limit.Unit != "bytes" {
				t.Errorf("the limit is %s", dereferenced(a.Limit))
			}
		})
	}
}

// TestEndlessBody sends an endless body without a length: it is cut off at the bound.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	body := `{"script":"` + strings.Repeat("x", 2<<20) + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, defaultStack().URL+"/execute",
		chunked{strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	response, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	checkEqual(t, "status", response.StatusCode, http.StatusRequestEntityTooLarge)
}

// chunked hides the length of a body.
type chunked struct{ *strings.Reader }

func (c chunked) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// TestMediaType: a body not declared as JSON is refused; the error names the header that curl
// needs.
func TestMediaType(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header http.Header
		good   bool
	}{
		"JSON":                {http.Header{"Content-Type": {"application/json"}}, true},
		"JSON with a charset": {http.Header{"Content-Type": {`application/json; charset="UTF-8"`}}, true},
		"JSON in utf8":        {http.Header{"Content-Type": {"application/json ; charset=utf8"}}, true},
		"capitals":            {http.Header{"Content-Type": {"Application/JSON"}}, true},
		"none":                {http.Header{"X-A": {"b"}}, false},
		"what curl -d sends":  {http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, false},
		"text":                {http.Header{"Content-Type": {"text/plain"}}, false},
		"another charset":     {http.Header{"Content-Type": {"application/json; charset=latin-1"}}, false},
		"garbage":             {http.Header{"Content-Type": {";;;"}}, false},
		"compressed": {
			http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}},
			false,
		},
		"a kind of JSON":       {http.Header{"Content-Type": {"application/vnd.api+json"}}, false},
		"JSON and more behind": {http.Header{"Content-Type": {"application/json, text/plain"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := call(t, defaultStack().URL,
				request{Path: "/execute", Header: c.header, Body: scriptBody(t, "def main(): return 1")})
			if c.good {
				checkEqual(t, "status", a.HTTPStatus, http.StatusOK)
				return
			}
			sentence := matching(`curl: -H 'Content-Type: application/json'`)
			if name == "compressed" {
				sentence = matching("compressed")
			}
			checkRefusal(t, a, "unsupported_media_type", sentence)
		})
	}
}

// TestRoutes: a response outside the contract has the shape of every error.
func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, path, code, allow string }{
		{"POST", "/", "method_not_allowed", "GET"},
		{"GET", "/nothing/here", "not_found", ""},
		{"POST", "/execute/", "not_found", ""},
		{"GET", "/jobs/", "not_found", ""},
		{"GET", "/execute", "method_not_allowed", "POST"},
		{"PUT", "/execute", "method_not_allowed", "POST"},
		{"DELETE", "/healthz", "method_not_allowed", "GET"},
		{"BREW", "/execute", "method_not_allowed", "POST"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			t.Parallel()
			a := call(t, defaultStack().URL, request{Method: c.method, Path: c.path})
			checkRefusal(t, a, c.code, matching("."))
			if c.allow != "" && !strings.Contains(a.Header.Get("Allow"), c.allow) {
				t.Errorf("Allow is %q, want %s in it", a.Header.Get("Allow"), c.allow)
			}
		})
	}
}

// TestRequestID: a valid id of the client is kept, any other is replaced.
func TestRequestID(t *testing.T) {
	t.Parallel()
	fit := "my-id_1.2"
	for given, kept := range map[string]bool{
		fit: true, strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false, "with blank": false, "ünï": false, "a/b": false, "": false,
	} {
		header := http.Header{"X-Request-Id": {given}}
		a := call(t, defaultStack().URL, request{Method: http.MethodGet, Path: "/healthz", Header: header})
		if got := a.Header.Get("X-Request-Id"); (got == given) != kept || got == "" {
			t.Errorf("X-Request-Id %q became %q", given, got)
		}
	}
	call(t, defaultStack().URL, request{
		Path: "/execute", Body: scriptBody(t, "def main(): return 1"),
		Header: http.Header{"X-Request-Id": {fit}, "Content-Type": {"application/json"}},
	})
	// The log is written after the response.
	if !eventually(func() bool { return strings.Contains(defaultStack().API.Log(), fit) }) {
		t.Error("the API's log does not have the request's id")
	}
	if !eventually(func() bool {
		for _, worker := range defaultStack().Workers() {
			if strings.Contains(worker.Log(), fit) {
				return true
			}
		}
		return false
	}) {
		t.Error("no worker's log has the request's id")
	}
}

// eventually polls a condition for up to five seconds, and reports whether it became true.
func eventually(happened func() bool) bool {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if happened() {
			return true
		}
	}
	return happened()
}

// TestScriptsAreNotLogged: neither scripts nor their output and results are logged.
func TestScriptsAreNotLogged(t *testing.T) {
	t.Parallel()
	const secret = "logged-nowhere-73519"
	execute(t, defaultStack().URL, "def main():\n    print('"+secret+"')\n    return '"+secret+"'\n")
	execute(t, defaultStack().URL, "def main():\n    raise ValueError('"+secret+"')\n")
	execute(t, defaultStack().URL, secret+" ]\n")
	call(t, defaultStack().URL, request{Path: "/execute", Body: []byte(`{"` + secret + `":`)})
	if strings.Contains(defaultStack().Logs(), secret) {
		t.Error("a script or its output is in the logs")
	}
}

// TestOperation calls the endpoints for operators.
func TestOperation(t *testing.T) {
	t.Parallel()
	base := defaultStack().URL
	health := call(t, base, request{Method: http.MethodGet, Path: "/healthz"})
	checkEqual(t, "health", strings.TrimSpace(health.Body), `{"status":"ok"}`)
	ready := call(t, base, request{Method: http.MethodGet, Path: "/readyz"})
	checkEqual(t, "workers", dereferenced(ready.Workers), "2")
	execute(t, base, "def main(): return 1")
	metrics := call(t, base, request{Method: http.MethodGet, Path: "/metrics"})
	for _, name := range []string{"cellblock_http_requests_total{", "cellblock_queue_depth{", "cellblock_workers 2"} {
		if !strings.Contains(metrics.Body, name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
}

// TestWorkerMetrics: a worker counts its jobs by outcome and times their phases.
func TestWorkerMetrics(t *testing.T) {
	t.Parallel()
	s := startStack(t, stack.Config{Workers: []stack.Env{kinds[0].workerEnv(stack.Env{"METRICS_ADDR": "127.0.0.1:0"})}})
	execute(t, s.URL, "def main(): return 1")
	execute(t, s.URL, "def main(): return 2")
	execute(t, s.URL, "def main(): 1 / 0")
	execute(t, s.URL, "def mian(): 1 / 0")
	address := s.Workers()[0].Logged("serving metrics", "addr", nil)
	var body []byte
	// The end is counted just after the response is sent.
	complete := eventually(func() bool {
		response, err := httpClient.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ = io.ReadAll(response.Body)
		for _, line := range []string{
			`cellblock_jobs_total{outcome="succeeded"} 2`, `cellblock_jobs_total{outcome="exception"} 1`,
			`cellblock_jobs_total{outcome="missing_main"} 1`, `cellblock_jobs_running 0`,
			`cellblock_job_phase_seconds_count{phase="queued"} 4`,
			`cellblock_job_phase_seconds_count{phase="prepare"} 4`,
			`cellblock_job_phase_seconds_count{phase="run"} 4`,
		} {
			if !strings.Contains(string(body), line+"\n") {
				return false
			}
		}
		return true
	})
	if !complete {
		t.Errorf("the metrics are not right:\n%s", body)
	}
}
