package conformance

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

// TestBadInputs sends invalid fields, which are refused by name; no job is created.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fields, code, error string
	}{
		{"args array", `"args":[1]`, "invalid_request", `"args" must be an object`},
		{"args, a name twice", `"args":{"a":1,"a":2}`, "invalid_request", `"args" has a name twice`},
		{
			"args, too deep", `"args":{"a":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `}`,
			"invalid_request", `"args" is nested deeper than 100`,
		},
		{
			"args, a long number", `"args":{"a":` + strings.Repeat("9", 5000) + `}`, "invalid_request",
			`"args" has a number of more than 4300 digits`,
		},
		{
			"args, too large", `"args":{"a":"` + strings.Repeat("x", 1<<20) + `"}`, "input_too_large",
			`"args" has 1048584 bytes, at most 1048576`,
		},
		{"stdin null", `"stdin":null`, "invalid_request", `"stdin" must be a string`},
		{
			"stdin, too large", `"stdin":"` + strings.Repeat("x", 1<<20+1) + `"`, "input_too_large",
			`"stdin" has 1048577 bytes`,
		},
		{"env array", `"env":[]`, "invalid_request", `"env" must be an object`},
		{"env, one of ours", `"env":{"HOME":"/"}`, "invalid_request", `"HOME" is the sandbox's own`},
		{"env, an odd name", `"env":{"LD PRELOAD":"/"}`, "invalid_request", `is no name for a variable`},
		{"env, NUL", `"env":{"A":"\u0000"}`, "invalid_request", `"env.A" contains a NUL`},
		{
			"env, too large", `"env":{"A":"` + strings.Repeat("x", 1<<16) + `"}`, "input_too_large",
			`"env" has 65537 bytes`,
		},
		{"files object", `"files":{}`, "invalid_request", `"files" must be an array`},
		{"files, a number", `"files":[1]`, "invalid_request", `"files[0]" must be an object`},
		{"files, no content", `"files":[{"path":"a"}]`, "invalid_request", `"files[0]" needs one of`},
		{
			"files, both contents", `"files":[{"path":"a","content":"","content_base64":""}]`, "invalid_request",
			`"files[0]" needs one of`,
		},
		{
			"files, no base64", `"files":[{"path":"a","content_base64":"a"}]`, "invalid_request",
			`"files[0].content_base64" is not base64`,
		},
		{
			"files, unknown", `"files":[{"path":"a","content":"","mode":"0777"}]`, "invalid_request",
			`unknown field "mode"`,
		},
		{
			"files, path twice in one", `"files":[{"path":"a","path":"b","content":""}]`, "invalid_request",
			`"path" in "files[0]" is given twice`,
		},
		{"files, no path", `"files":[{"content":""}]`, "invalid_request", `it is empty`},
		{
			"files, absolute", `"files":[{"path":"/a","content":""}]`, "invalid_request",
			`"/a" cannot be used: it is absolute`,
		},
		{"files, parent", `"files":[{"path":"a/../../b","content":""}]`, "invalid_request", `. or .. for one`},
		{"files, here", `"files":[{"path":"./a","content":""}]`, "invalid_request", `. or .. for one`},
		{"files, an empty part", `"files":[{"path":"a//b","content":""}]`, "invalid_request", `an empty part`},
		{"files, a folder", `"files":[{"path":"a/","content":""}]`, "invalid_request", `an empty part`},
		{"files, NUL", `"files":[{"path":"a\u0000","content":""}]`, "invalid_request", `a control character`},
		{"files, a line feed", `"files":[{"path":"a\nb","content":""}]`, "invalid_request", `a control character`},
		{"files, a lone surrogate", `"files":[{"path":"\ud800","content":""}]`, "invalid_request", `lone surrogate`},
		{"files, a backslash", `"files":[{"path":"..\\a","content":""}]`, "invalid_request", `a backslash`},
		{"files, a device", `"files":[{"path":"a/nul.txt","content":""}]`, "invalid_request", `the name of a device`},
		{
			"files, a long path", `"files":[{"path":"` + strings.Repeat("a", 256) + `","content":""}]`,
			"invalid_request",
			`it has 256 bytes`,
		},
		{
			"files, a deep path", `"files":[{"path":"` + strings.Repeat("a/", 16) + `a","content":""}]`,
			"invalid_request",
			`more than 16 parts`,
		},
		{
			"files, twice", `"files":[{"path":"a","content":""},{"path":"a","content":""}]`, "invalid_request",
			`"a" is given twice`,
		},
		{
			"files, file and folder", `"files":[{"path":"a","content":""},{"path":"a/b","content":""}]`,
			"invalid_request",
			`"a" is a file and a folder`,
		},
		{
			"files, the script", `"files":[{"path":"script.py","content":""}]`, "invalid_request",
			`"script.py" is where the script itself is`,
		},
		{
			"files, too many",
			`"files":[` + strings.TrimSuffix(strings.Repeat(`{"path":"a","content":""},`, 65), ",") + `]`,
			"input_too_large", `"files" has more than 64 files`,
		},
		{"limits, unknown", `"limits":{"wall":1}`, "invalid_request", `unknown field "wall"`},
		{
			"limits, a string", `"limits":{"wall_seconds":"1s"}`, "invalid_request",
			`"limits.wall_seconds" must be a number`,
		},
		{
			"wall over", `"limits":{"wall_seconds":15.5}`, "invalid_request",
			`"limits.wall_seconds" is 15.5, at most 15 `,
		},
		{
			"wall under", `"limits":{"wall_seconds":0.01}`, "invalid_request",
			`"limits.wall_seconds" must be a number of at least 0.1`,
		},
		{"CPU over", `"limits":{"cpu_seconds":11}`, "invalid_request", `"limits.cpu_seconds" is 11, at most 10 `},
		{"memory over", `"limits":{"memory_mb":4096}`, "invalid_request", `"limits.memory_mb" is 4096, at most 700 `},
		{
			"memory under", `"limits":{"memory_mb":1}`, "invalid_request",
			`"limits.memory_mb" must be a number of at least 32`,
		},
		{"processes over", `"limits":{"processes":65}`, "invalid_request", `"limits.processes" is 65, at most 64 `},
		{
			"half a process", `"limits":{"processes":2.5}`, "invalid_request",
			`"limits.processes" must be a whole number`,
		},
		{
			"output over", `"limits":{"output_bytes":1e7}`, "invalid_request",
			`"limits.output_bytes" is 10000000, at most 1048576 `,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf(`{"script":"def main(**_): return 1",%s}`, c.fields)
			a := call(t, defaultStack().URL, request{Path: "/execute", Body: []byte(body)})
			checkRefusal(t, a, c.code, matcher{Given: true, conditions: conditions{Has: []string{c.error}}})
		})
	}
}

// part is one part of a form; with a file name it is a file.
type part struct{ name, file, content string }

// form sends the parts as multipart/form-data.
func form(t *testing.T, base string, parts []part, headers ...string) answer {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		disposition := fmt.Sprintf(`form-data; name=%q`, p.name)
		if p.file != "" {
			disposition += fmt.Sprintf(`; filename=%q`, p.file)
		}
		to, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte(p.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Content-Type": {w.FormDataContentType()}}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	return call(t, base, request{Path: "/execute", Header: header, Body: body.Bytes()})
}

// TestForm: a form has the same fields as JSON, and files larger than a script may write.
func TestForm(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		large := strings.Repeat("0123456789abcdef", 16<<20/16-1)
		a := form(t, k.standard.URL, []part{
			{"script", "job.py", "import os, sys\ndef main(n):\n    return [n, sys.stdin.read(), os.environ['A'], " +
				"os.path.getsize('data/large.bin'), open('b').read()]\n"},
			{"args", "", ` {"n": 3.0} `},
			{"stdin", "", "é"},
			{"env", "", `{"A":"b"}`},
			{"limits", "", `{"wall_seconds": 10}`},
			{"async", "", "false"},
			{"priority", "", "high"},
			{"files", "data/large.bin", large},
			{"files", "b", "small"},
		})
		if a.HTTPStatus != http.StatusOK {
			t.Fatalf("status is %d, want 200: %s", a.HTTPStatus, a.Body)
		}
		checkEqual(t, "result", string(a.Result), `[3.0,"é","b",16777200,"small"]`)
	})
}

// TestBadForms are refused by name; no job is created.
func TestBadForms(t *testing.T) {
	t.Parallel()
	script := part{"script", "", "def main(): return 1"}
	for _, c := range []struct {
		name  string
		parts []part
		code  string
		error string
	}{
		{"no script", []part{{"stdin", "", ""}}, "invalid_request", `"script" is required`},
		{
			"an unknown field",
			[]part{script, {"file", "a", "1"}},
			"invalid_request",
			`unknown part "file"; did you mean "files"?`,
		},
		{"a field twice", []part{script, script}, "invalid_request", `field "script" is given twice`},
		{"not UTF-8", []part{{"script", "", "\xff"}}, "invalid_request", `"script" is not valid UTF-8 at byte 0`},
		{
			"args that are no JSON",
			[]part{script, {"args", "", "a=1"}},
			"invalid_request",
			`"args" must be a JSON object of main()'s keyword arguments`,
		},
		{
			"async that is none",
			[]part{script, {"async", "", `"yes"`}},
			"invalid_request",
			`"async" must be true or false`,
		},
		{"a file without a name", []part{script, {"files", "", "x"}}, "invalid_request", `it is empty`},
		{"a file above", []part{script, {"files", "../x", "x"}}, "invalid_request", `. or .. for one`},
		{
			"a file twice",
			[]part{script, {"files", "x", ""}, {"files", "x", ""}},
			"invalid_request",
			`"x" is given twice`,
		},
		{
			"files too large",
			[]part{script, {"files", "x", strings.Repeat("x", 8<<20)}, {"files", "y", strings.Repeat("x", 8<<20+1)}},
			"input_too_large", `"files" has 16777217 bytes`,
		},
		{
			"a body too large",
			[]part{script, {"files", "x", strings.Repeat("x", 21<<20)}},
			"input_too_large",
			`the body has more than 20971520 bytes`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkRefusal(t, form(t, defaultStack().URL, c.parts), c.code,
				matcher{Given: true, conditions: conditions{Has: []string{c.error}}})
		})
	}
}

// TestFormIdempotency: boundaries differ, the request is the same.
func TestFormIdempotency(t *testing.T) {
	t.Parallel()
	send := func(content string) answer {
		return form(t, defaultStack().URL,
			[]part{{"script", "", "def main(): return open('a').read()"}, {"files", "a", content}},
			"Idempotency-Key", t.Name())
	}
	first, second := send("x"), send("x")
	checkEqual(t, "result", string(second.Result), `"x"`)
	checkEqual(t, "job", second.JobID, first.JobID)
	checkEqual(t, "code of another content", send("y").Code, "idempotency_mismatch")
	spelt := []byte(
		`{ "files": [ {"content_base64": "eA==", "path": "a"} ],` + "\n" +
			`"script": "def main(): return open('a').read()", "async": false }`)
	asJSON := call(t, defaultStack().URL,
		request{
			Path: "/execute", Body: spelt,
			Header: http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {t.Name()}},
		})
	checkEqual(t, "job of the same as JSON", asJSON.JobID, first.JobID)
}

// TestFilesWithoutRoom: an input file that the sandbox cannot hold is not the script's fault.
func TestFilesWithoutRoom(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		a := form(t, k.tight.URL, []part{
			{"script", "", "def main(): return 1"}, {"files", "a", strings.Repeat("x", 9<<20)},
		})
		checkEqual(t, "status", a.HTTPStatus, http.StatusRequestEntityTooLarge)
		checkEqual(t, "code", a.Code, "input_too_large")
		checkEqual(t, "error", a.Error, "a does not fit into the sandbox: No space left on device")
	})
}
