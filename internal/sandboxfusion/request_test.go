package sandboxfusion

import (
	"math"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

var settings = Settings{Limits: jobs.DefaultLimits(), StartDeadline: time.Hour}

func decode(t *testing.T, body string) Call {
	t.Helper()
	call, err := Decode([]byte(body), settings)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return call
}

// TestDecodeWhatTheClientSends decodes the body of sandbox-fusion 0.3.7.
func TestDecodeWhatTheClientSends(t *testing.T) {
	t.Parallel()
	call := decode(t, `{"compile_timeout": 10.0, "run_timeout": 3.5, "code": "print(\"é\\u0000\")", "stdin": "in",
		"language": "python", "files": {"./b/a.txt": "aGk=", "none": null, "IGNORE_THIS_FILE": "x"},
		"fetch_files": ["a.csv", "./b/a.txt", "a.csv"]}`)
	request := call.Request
	if request.Script != `print("é\u0000")` || request.Entry != jobs.EntryScript || request.Inputs.Stdin != "in" {
		t.Errorf("%+v", request)
	}
	files := request.Inputs.Files
	if len(files) != 1 || files[0].Path != "b/a.txt" || string(files[0].Content) != "hi" {
		t.Errorf("%+v", files)
	}
	if request.Inputs.Limits != (jobs.RequestedLimits{Wall: 3500 * time.Millisecond}) {
		t.Errorf("%+v", request.Inputs.Limits)
	}
	if call.Queue != 17*time.Second || request.StartWithin != call.Queue || call.Run != 3500*time.Millisecond {
		t.Errorf("%+v", call)
	}
	if fetch := call.Fetch; len(fetch) != 2 || fetch[0].IsInput || !fetch[1].IsInput {
		t.Errorf("%+v", call.Fetch)
	}
}

func TestBoundsAreTheServices(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fields     string
		limits     jobs.RequestedLimits
		queue, run time.Duration
	}{
		{`"stdin": null`, jobs.RequestedLimits{Wall: 10 * time.Second}, 17 * time.Second, 10 * time.Second},
		{`"run_timeout": 15`, jobs.RequestedLimits{}, 17 * time.Second, 15 * time.Second},
		{`"run_timeout": 1e300`, jobs.RequestedLimits{}, 17 * time.Second, 15 * time.Second},
		{
			`"run_timeout": 0.001, "compile_timeout": 0.5`,
			jobs.RequestedLimits{Wall: 100 * time.Millisecond},
			7500 * time.Millisecond, 100 * time.Millisecond,
		},
		{`"run_timeout": 60, "compile_timeout": 1e300`, jobs.RequestedLimits{}, 5 * time.Minute, 15 * time.Second},
		{
			`"run_timeout": 60, "memory_limit_MB": 100`,
			jobs.RequestedLimits{MemoryBytes: 100 << 20},
			17 * time.Second,
			15 * time.Second,
		},
		{
			`"run_timeout": 60, "memory_limit_MB": 1`,
			jobs.RequestedLimits{MemoryBytes: 32 << 20},
			17 * time.Second,
			15 * time.Second,
		},
		{`"run_timeout": 60, "memory_limit_MB": -1`, jobs.RequestedLimits{}, 17 * time.Second, 15 * time.Second},
		{`"run_timeout": 60, "memory_limit_MB": 0`, jobs.RequestedLimits{}, 17 * time.Second, 15 * time.Second},
		{`"run_timeout": 60, "memory_limit_MB": 1024`, jobs.RequestedLimits{}, 17 * time.Second, 15 * time.Second},
	} {
		call := decode(t, `{"code": "", "language": "python", `+tc.fields+`}`)
		got := call.Request.Inputs.RequestedLimits()
		if got != tc.limits || call.Queue != tc.queue || call.Run != tc.run {
			t.Errorf("%s: %+v, queue %v, run %v", tc.fields, got, call.Queue, call.Run)
		}
		if err := call.Request.Inputs.CheckLimits(settings.Limits); err != nil {
			t.Errorf("%s: %v", tc.fields, err)
		}
	}
	call, err := Decode([]byte(`{"code": "", "language": "python"}`),
		Settings{Limits: jobs.DefaultLimits(), StartDeadline: time.Second})
	if err != nil || call.Request.StartWithin != time.Second {
		t.Errorf("%+v, %v", call, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const python = `"language": "python", "code": "1", `
	for _, tc := range []struct{ body, want string }{
		{``, `the body must be a JSON object`},
		{`[]`, `the body must be a JSON object`},
		{`{` + python + `"code": 1}`, `no name twice`},
		{`{"code": "1"}`, `"language" is required; this service runs "python"`},
		{`{"code": "1", "language": "cpp"}`, `"language" is "cpp"; this service runs "python" only`},
		{`{"code": "1", "language": 3}`, `"language" must be a string`},
		{`{"language": "python"}`, `"code" is required`},
		{`{"language": "python", "code": 3}`, `"code" must be a string, not a number`},
		{`{"language": "python", "code": null}`, `"code" must be a string, not null`},
		{`{"language": "python", "code": "\ud800"}`, `"code" contains a lone surrogate`},
		{`{"language": "python", "code": "\u0000"}`, `"code" contains a NUL character`},
		{`{` + python + `"stdin": 3}`, `"stdin" must be a string`},
		{`{` + python + `"run_timeout": 0}`, `"run_timeout" must be a number of seconds above 0`},
		{`{` + python + `"run_timeout": "3"}`, `"run_timeout" must be a number`},
		{`{` + python + `"run_timeout": 1e999}`, `"run_timeout" is a number out of range`},
		{`{` + python + `"compile_timeout": -1}`, `"compile_timeout" must be a number of seconds above 0`},
		{`{` + python + `"memory_limit_MB": "1"}`, `"memory_limit_MB" must be a number`},
		{`{` + python + `"files": []}`, `"files" must be an object of paths and base64`},
		{`{` + python + `"files": {"a": 3}}`, `"files" must be an object of paths and base64`},
		{`{` + python + `"files": {"b": "", "a": "!"}}`, `"files": the content of "a" is not base64 with padding`},
		{`{` + python + `"files": {"/etc/a": ""}}`, `the path "/etc/a" cannot be used`},
		{`{` + python + `"files": {"../a": ""}}`, `the path "../a" cannot be used`},
		{`{` + python + `"files": {"": ""}}`, `the path "" cannot be used`},
		{`{` + python + `"files": {"script.py": ""}}`, `"script.py" is where the script itself is`},
		{`{` + python + `"files": {"a": "", "./a": ""}}`, `the path "a" is given twice`},
		{`{` + python + `"fetch_files": "a"}`, `"fetch_files" must be an array of paths`},
		{`{` + python + `"fetch_files": [1]}`, `"fetch_files" must be an array of paths`},
		{`{` + python + `"fetch_files": null}`, `"fetch_files" must be an array of paths`},
		{`{"language": "python", "code": "` + long(50<<10) + `"}`, `"code" has 51201 bytes of UTF-8`},
	} {
		_, err := Decode([]byte(tc.body), settings)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.100s: %v, want %s", tc.body, err, tc.want)
		}
		if code := jobs.CodeOf(err); code != jobs.CodeInvalidRequest && code != jobs.CodeScriptTooLarge {
			t.Errorf("%.100s: %v", tc.body, code)
		}
	}
}

// TestFetchedFilesAreBounded: each path is a copy of a file in the response, and many paths can name one file.
func TestFetchedFilesAreBounded(t *testing.T) {
	t.Parallel()
	names := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, `"`+strings.Repeat("./", i)+`a"`)
		}
		return `{"language": "python", "code": "", "fetch_files": [` + strings.Join(all, ",") + `]}`
	}
	if call := decode(t, names(64)); len(call.Fetch) != 64 {
		t.Errorf("%d", len(call.Fetch))
	}
	_, err := Decode([]byte(names(65)), settings)
	if err == nil || !strings.Contains(err.Error(), `"fetch_files" has more than 64 paths`) {
		t.Error(err)
	}
}

func long(n int) string { return strings.Repeat("x", n+1) }

func TestOtherMembersAreIgnored(t *testing.T) {
	t.Parallel()
	decode(t, `{"code": "", "language": "python", "args": ["-v"], "extra": {}}`)
}

// FuzzDecode checks that nothing but an error for clients comes back, and that calls are within the bounds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"code": "1", "language": "python", "files": {"a": "aGk="}, "fetch_files": ["./a"], "stdin": "x"}`))
	f.Add([]byte(`{"code": "\ud800", "language": "python", "run_timeout": 1e-9, "memory_limit_MB": 1e30}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		call, err := Decode(body, settings)
		if err != nil {
			if code := jobs.CodeOf(err); code == "" || code == jobs.CodeInternal {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		seconds := (call.Queue + call.Run).Seconds()
		if seconds <= 0 || seconds > math.Max(maxQueue.Seconds(), 1)+settings.Limits.Wall.Seconds() {
			t.Errorf("%q: %v s", body, seconds)
		}
		if err := call.Request.Inputs.CheckLimits(settings.Limits); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	})
}
