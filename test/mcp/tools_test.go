package mcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/client"
)

func TestToolsAreListedInOneOrder(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, session *mcp.ClientSession) {
		listed, err := session.ListTools(testContext(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tool := range listed.Tools {
			names = append(names, tool.Name)
			if tool.OutputSchema == nil || tool.Annotations == nil ||
				!strings.Contains(tool.Description, "Example: {") {
				t.Errorf("%s has no output schema, annotations or example", tool.Name)
			}
		}
		want := []string{"cancel_job", "get_job", "list_environments", "read_file", "run_python"}
		if !slices.Equal(names, want) || listed.TTLMs != 3600_000 {
			t.Errorf("got %v for %d ms", names, listed.TTLMs)
		}
	})
}

func TestRunPython(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, session *mcp.ClientSession) {
		for _, tc := range []struct {
			name, arguments string
			isError         bool
			text, raw       string
		}{
			{
				"a cell by default", `{"code": "print('hello')\n2 + 1.0"}`, false,
				"result: 3.0\nstdout:\nhello\n", `"stdout":"hello\n"`,
			},
			{
				"a value as a notebook shows it", `{"code": "[1e2, None]"}`, false,
				"result:\n[100.0, None]", `"result":[100,null]`,
			},
			{
				"a display beside the result", `{"code": "display('x')\n4"}`, false,
				"result: 4\ndisplay 1:\n'x'", `"result":4`,
			},
			{
				"main with arguments", `{"code": "def main(n): return n * 2", "entry": "main", "args": {"n": 4}}`,
				false, "result: 8", `"result":8`,
			},
			{
				"a program", `{"code": "import sys\nprint(sys.argv[1:], sys.stdin.read())\nsys.exit(3)", ` +
					`"entry": "script", "args": ["-v"], "stdin": "in"}`, true,
				"stdout:\n['-v'] in\n\nerror exit:", `"exit_code":3`,
			},
			{"nothing", `{"code": "x = 1"}`, false, "The script ended without a result or output.", `"result":null`},
			{
				"an exception", `{"code": "print('before')\n1/0"}`, true,
				"stdout:\nbefore\n\nerror exception: ", `"code":"exception"`,
			},
			{"a syntax error", `{"code": "def"}`, true, "error syntax_error: ", `"status":"failed"`},
			{
				"a file", `{"code": "open('a.txt').read()", "files": [{"path": "a.txt", "content": "inside"}]}`, false,
				`result: "inside"`, `"result":"inside"`,
			},
			{
				"a file in base64", `{"code": "open('a.txt').read()", "files": [{"path": "a.txt", ` +
					`"content_base64": "aW4="}]}`, false, `result: "in"`, `"result":"in"`,
			},
			{
				"a timeout", `{"code": "while True: pass", "timeout_seconds": 0.5}`, true,
				"error timeout: ", `"status":"failed"`,
			},
			{
				"a display", `{"code": "import pandas as pd\npd.DataFrame({'a': [1, 2]})"}`, false, "   a\n0  1\n1  2",
				`"columns":["a"]`,
			},
		} {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				got := call(t, session, "run_python", tc.arguments)
				if got.IsError != tc.isError || !strings.Contains(got.text, tc.text) ||
					!strings.Contains(got.raw, tc.raw) {
					t.Errorf("error %v\n%s\n%s", got.IsError, got.text, got.raw)
				}
			})
		}
	})
}

// TestWrongArgumentsAreAnswers: a model reads the sentence and corrects its call.
func TestWrongArgumentsAreAnswers(t *testing.T) {
	t.Parallel()
	const id = "01981f3e-7c1a-7000-8000-000000000001"
	eachTransport(t, func(t *testing.T, session *mcp.ClientSession) {
		for _, tc := range []struct{ tool, arguments, want string }{
			{"run_python", `{}`, `"code" is required`},
			{"run_python", `{"cod": "1"}`, `unknown argument "cod"; did you mean "code"?`},
			{"run_python", `{"code": 1}`, `argument "code" must be a string, not this number`},
			{"run_python", `{"code": "1", "entry": "notebook"}`, `"entry"`},
			{"run_python", `{"code": "1", "args": {"a": 1}}`, `"args" cannot be used with "entry": "cell"`},
			{"run_python", `{"code": "1", "timeout_seconds": 1000}`, `"timeout_seconds" is 1000, at most 15 is`},
			{"run_python", `{"code": "1", "timeout_seconds": -1}`, `"timeout_seconds" must be`},
			{"run_python", `{"code": "1", "environment": "x"}`, `there is no environment "x"`},
			{"run_python", `{"code": "1", "files": [{"path": "/etc/passwd", "content": ""}]}`, `absolute`},
			{"run_python", `{"code": "1", "files": [{"path": "a", "contents": ""}]}`, `files.0.contents`},
			{"run_python", `{"code": ` + quote(t, strings.Repeat("#", 60_000)) + `}`, `"code" has 60000 bytes`},
			{"get_job", `{}`, `"job_id" is required`},
			{"get_job", `{"job_id": "7"}`, `"job_id" must be the id of a job`},
			{"get_job", `{"job_id": "` + id + `", "wait_seconds": 31}`, `"wait_seconds" must be a number from 0 to 30`},
			{"get_job", `{"job_id": "` + id + `"}`, `there is no such job, or it has expired`},
			{"cancel_job", `{"job_id": "` + id + `"}`, `there is no such job, or it has expired`},
			{"read_file", `{"job_id": "` + id + `"}`, `"path" is required`},
			{"read_file", `{"job_id": "` + id + `", "path": "a"}`, `there is no such job or file`},
			{"read_file", `{"job_id": "` + id + `", "path": "a", "length": 1000000}`, `"length" one from 1 to 65536`},
			{"list_environments", `{"all": true}`, `unknown argument "all"`},
		} {
			got := call(t, session, tc.tool, tc.arguments)
			if !got.IsError || !strings.Contains(got.text, tc.want) {
				t.Errorf("%s %.100s: %s", tc.tool, tc.arguments, got.text)
			}
		}
	})
}

func TestFilesComeBack(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, session *mcp.ClientSession) {
		got := call(t, session, "run_python", `{"code": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n`+
			`open('outputs/a b.csv', 'w').write('x,y\\n' * 10000)\n`+
			`open('outputs/z.bin', 'wb').write(bytes(range(256)));"}`)
		var image *mcp.ImageContent
		links := map[string]*mcp.ResourceLink{}
		for _, content := range got.Content {
			switch content := content.(type) {
			case *mcp.ImageContent:
				image = content
			case *mcp.ResourceLink:
				links[content.Name] = content
			}
		}
		if image == nil || image.MIMEType != "image/png" || !bytes.HasPrefix(image.Data, []byte("\x89PNG")) {
			t.Errorf("no picture: %s", got.text)
		}
		id, _ := got.structured["job_id"].(string)
		csv := links["a b.csv"]
		if csv == nil || csv.URI != service.URL+"/jobs/"+id+"/files/a%20b.csv" || *csv.Size != 40000 {
			t.Fatalf("links %v: %s", links, got.text)
		}
		readsFile(t, session, id)
	})
}

func readsFile(t *testing.T, session *mcp.ClientSession, id string) {
	t.Helper()
	first := call(t, session, "read_file", fmt.Sprintf(`{"job_id": %q, "path": "a b.csv"}`, id))
	next, _ := first.structured["next_offset"].(float64)
	if !strings.HasPrefix(first.text, "x,y\nx,y\n") || next != 16384 {
		t.Errorf("%.100s: next at %v", first.text, next)
	}
	last := call(t, session, "read_file", fmt.Sprintf(`{"job_id": %q, "path": "a b.csv", "offset": 39999}`, id))
	if last.structured["text"] != "\n" || last.structured["next_offset"] != nil {
		t.Errorf("the end is %s", last.raw)
	}
	binary := call(t, session, "read_file", fmt.Sprintf(`{"job_id": %q, "path": "z.bin"}`, id))
	if !strings.Contains(binary.text, "256 bytes and is no text") || binary.IsError {
		t.Error(binary.text)
	}
}

// TestLongTextsAreCutInTheMiddle reads what an answer leaves out.
func TestLongTextsAreCutInTheMiddle(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, session *mcp.ClientSession) {
		got := call(t, session, "run_python", `{"code": "print('é' * 30000)\n'ß' * 20000"}`)
		id, _ := got.structured["job_id"].(string)
		for _, want := range []string{
			fmt.Sprintf(`read them with read_file {"job_id": %q, "path": "@stdout", "offset": 10922} ...]`, id),
			fmt.Sprintf(`read them with read_file {"job_id": %q, "path": "@result", "offset": 10921} ...]`, id),
		} {
			if !strings.Contains(got.text, want) {
				t.Errorf("%q is not in %.300s", want, got.text)
			}
		}
		if len(got.text) > 40<<10 || strings.Contains(got.text, "\ufffd") || got.structured["result_bytes"] != 40002.0 {
			t.Errorf("%d bytes: %.200s", len(got.text), got.raw)
		}
		var whole strings.Builder
		for offset := 0.0; ; {
			part := call(t, session, "read_file",
				fmt.Sprintf(`{"job_id": %q, "path": "@stdout", "offset": %d, "length": 9999}`, id, int(offset)))
			text, _ := part.structured["text"].(string)
			whole.WriteString(text)
			next, more := part.structured["next_offset"].(float64)
			if !more {
				break
			}
			offset = next
		}
		if whole.String() != strings.Repeat("é", 30000)+"\n" {
			t.Errorf("the whole has %d bytes", whole.Len())
		}
	})
}

// TestOutputArrivesAsProgress checks that the output is there before the script ends: the test lets it end.
func TestOutputArrivesAsProgress(t *testing.T) {
	t.Parallel()
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var messages strings.Builder
			seen := make(chan struct{})
			session := connect(t, transport(t), &mcp.ClientOptions{
				ProgressNotificationHandler: func(_ context.Context, request *mcp.ProgressNotificationClientRequest) {
					mu.Lock()
					defer mu.Unlock()
					messages.WriteString(request.Params.Message)
					if strings.Contains(messages.String(), "first") {
						select {
						case <-seen:
						default:
							close(seen)
						}
					}
				},
			})
			params := &mcp.CallToolParams{Name: "run_python", Arguments: rawJSON(
				`{"code": "import time\nprint('first', flush=True)\ntime.sleep(2)\nprint('second')\n7"}`)}
			params.SetProgressToken("p")
			done := make(chan called, 1)
			go func() {
				result, err := session.CallTool(testContext(t), params)
				if err != nil {
					t.Error(err)
					close(done)
					return
				}
				done <- read(t, result)
			}()
			select {
			case <-seen:
			case <-done:
				t.Fatal("the call ended before its output arrived")
			}
			if got := <-done; !strings.Contains(got.text, "result: 7\nstdout:\nfirst\nsecond\n") {
				t.Error(got.text)
			}
		})
	}
}

// TestAJobThatOutlastsTheCall is read and cancelled by its id. Over standard input and output, calls wait longer.
func TestAJobThatOutlastsTheCall(t *testing.T) {
	t.Parallel()
	session := connect(t, transports["http"](t), nil)
	got := call(t, session, "run_python", `{"code": "import time\ntime.sleep(8)\n'late'"}`)
	id, _ := got.structured["job_id"].(string)
	if got.IsError || !strings.Contains(got.text, `get_job {"job_id": "`+id+`"}`) {
		t.Fatal(got.text)
	}
	if got = call(t, session, "get_job", `{"job_id": "`+id+`"}`); !strings.Contains(got.text, `result: "late"`) {
		t.Error(got.text)
	}
	if got = call(t, session, "cancel_job", `{"job_id": "`+id+`"}`); !strings.Contains(got.text, "get_job returns") {
		t.Error(got.text)
	}
	got = call(t, session, "run_python", `{"code": "import time\ntime.sleep(14)"}`)
	id, _ = got.structured["job_id"].(string)
	if got = call(t, session, "cancel_job", `{"job_id": "`+id+`"}`); got.IsError {
		t.Error(got.text)
	}
	if got = call(t, session, "get_job", `{"job_id": "`+id+`"}`); !strings.Contains(got.raw, `"status":"cancelled"`) {
		t.Error(got.raw)
	}
}

// TestAbandonedCallsCancelTheirJobs ends the call while its job runs. It is not parallel: no other test cancels a job
// at the same time.
func TestAbandonedCallsCancelTheirJobs(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			before := cancelledJobs(t)
			ctx, abandon := context.WithCancel(testContext(t))
			session := connect(t, transport(t), &mcp.ClientOptions{
				ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) {
					abandon()
				},
			})
			mark := "abandoned over " + name
			params := &mcp.CallToolParams{Name: "run_python", Arguments: rawJSON(
				`{"code": "import time\nprint(1, flush=True)\ntime.sleep(14)  # ` + mark + `"}`)}
			params.SetProgressToken("p")
			if _, err := session.CallTool(ctx, params); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			for ctx := testContext(t); cancelledJobs(t) == before; time.Sleep(20 * time.Millisecond) {
				if ctx.Err() != nil {
					t.Fatal("no job was cancelled")
				}
			}
		})
	}
}

// cancelledJobs returns the number of cancelled jobs.
func cancelledJobs(t *testing.T) int {
	t.Helper()
	n := 0
	for _, err := range newClient(t).List(testContext(t), client.ListOptions{Status: "cancelled"}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestEnvironmentsAreListed(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, session *mcp.ClientSession) {
		got := call(t, session, "list_environments", `{}`)
		for ctx := testContext(t); got.structured["environments"] == nil || strings.HasPrefix(got.text, "No worker"); {
			if ctx.Err() != nil {
				break
			}
			time.Sleep(50 * time.Millisecond) // until the API has read what the workers report
			got = call(t, session, "list_environments", `{}`)
		}
		if !strings.HasPrefix(got.text, "default") || !strings.Contains(got.text, "numpy 2.") {
			t.Error(got.text)
		}
	})
}
