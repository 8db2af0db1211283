package mcpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/api"
	"cellblock/internal/jobs"
)

func TestCutMiddle(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "é", "€", "😀"} {
		for limit := 30; limit < 42; limit++ {
			text := strings.Repeat(unit, 50)
			cut, isCut := cutMiddle(text, limit, jobID, "@stdout")
			if isCut != (len(text) > limit) || !utf8.ValidString(cut) {
				t.Errorf("%d of %q: %q", limit, unit, cut)
			}
		}
	}
	cut, _ := cutMiddle(strings.Repeat("ab", 50), 30, jobID, "")
	want := strings.Repeat("ab", 10) + "\n[... 70 of 100 bytes left out here ...]\n" + strings.Repeat("ab", 5)
	if cut != want {
		t.Errorf("got %q", cut)
	}
}

func TestWholeRunes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		data, whole string
		skipped     int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"é", "é", 0},
		{"a\xc3", "a", 0},
		{"\xa9b", "b", 1},
		{"\x98\x80a\xf0\x9f\x98", "a", 2},
		{"\xf0\x9f", "", 0},
		{"\xff\xfe\x00", "\xff\xfe\x00", 0}, // no UTF-8 at all
	} {
		whole, skipped := wholeRunes([]byte(tc.data))
		if string(whole) != tc.whole || skipped != tc.skipped {
			t.Errorf("%q: %q, %d skipped", tc.data, whole, skipped)
		}
	}
}

func TestDecodeNamesTheFault(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		`{"code":"x"}`:                      "",
		``:                                  "",
		`[]`:                                "the arguments must be an object",
		`{"codes":"x"}`:                     `unknown argument "codes"; did you mean "code"?`,
		`{"code":null}`:                     "",
		`{"code":["x"]}`:                    `argument "code" must be a string, not an array`,
		`{"timeout_seconds":"1"}`:           `argument "timeout_seconds" must be a number, not a string`,
		`{"files":{}}`:                      `argument "files" must be an array, not an object`,
		`{"files":[{"path":1}]}`:            `argument "files.0.path" must be a string, not this number`,
		`{"files":[{"paths":1}]}`:           `unknown argument "files.0.paths"`,
		`{"code":"x","code":"y"}`:           "a name is given twice",
		`{"code":"\ud800"}`:                 "lone surrogate",
		`{"code":"x","args":{"a":1,"a":2}}`: "a name is given twice",
	} {
		err := decode([]byte(arguments), &runArguments{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", arguments, err)
		}
		if err != nil && jobs.CodeOf(err) != jobs.CodeInvalidRequest {
			t.Errorf("%s: %v", arguments, err)
		}
	}
}

func TestRequestBecomesABody(t *testing.T) {
	t.Parallel()
	var arguments runArguments
	if err := decode([]byte(`{"code":"1","entry":"main","args":{"a":1.0,"b":123456789012345678901234567890},"stdin":"s",
		"files":[{"path":"a","content":""}],"timeout_seconds":2.5,"environment":"default"}`), &arguments); err != nil {
		t.Fatal(err)
	}
	request, err := arguments.request()
	if err != nil {
		t.Fatal(err)
	}
	body, err := request.Body()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jobs.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	want := jobs.Request{Script: "1", Environment: "default", Inputs: &jobs.Inputs{
		Args: []byte(`{"a":1.0,"b":123456789012345678901234567890}`), Stdin: "s",
		Files: []jobs.File{{Path: "a", Content: []byte{}}}, Limits: jobs.RequestedLimits{Wall: 2500 * time.Millisecond},
	}}
	if diff := cmp.Diff(want, decoded); diff != "" {
		t.Error(diff)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	png := "\x89PNG\r\n\x1a\nrest"
	for name, tc := range map[string]struct {
		record jobs.Record
		text   string
		error  bool
	}{
		"a result": {ended(jobs.Outcome{Result: []byte("1.0")}), "result: 1.0", false},
		"all parts in order": {
			ended(jobs.Outcome{
				Stdout: "out\n", Stderr: "err\n", Notes: []string{"n"},
				Failure: &jobs.Failure{Code: jobs.CodeException, Message: "it raised", Traceback: "tb\n", Hint: "h"},
			}),
			"stdout:\nout\n|stderr:\nerr\n|error exception: it raised\ntb\nhint: h|note: n", true,
		},
		"files": {
			ended(jobs.Outcome{Result: []byte("null"), Files: []jobs.OutputFile{
				{Name: "a.png", Size: int64(len(png)), MediaType: "image/png", Key: png},
				{Name: "no.png", Size: 4, MediaType: "image/png", Key: "text"},
				{Name: "gone.png", Size: 4, MediaType: "image/png"},
				{Name: "big.png", Size: maxImage + 1, MediaType: "image/png", Key: png},
				{Name: "a b.csv", Size: 3, MediaType: "text/csv", Key: "csv"},
			}}),
			"image/png|URL/no.png|URL/gone.png|URL/big.png|URL/a%20b.csv|files of job " + jobID +
				": a.png (12 bytes), no.png (4 bytes), gone.png (4 bytes), big.png (262145 bytes), a b.csv (3 bytes)",
			false,
		},
		"queued": {
			jobs.Record{ID: jobID, State: jobs.StateQueued},
			`The job waits for a worker. Read its result with get_job {"job_id": "` + jobID +
				`"}, or end it with cancel_job.`, false,
		},
		"nothing": {ended(jobs.Outcome{Result: []byte("null")}), "The script ended without a result or output.", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, newLocal(t, stubJobs{
				execute: func(context.Context, jobs.Request) (jobs.Record, error) { return tc.record, nil },
				get:     func(context.Context, string, time.Duration) (jobs.Record, error) { return tc.record, nil },
			}))
			result, err := connect(t, url, nil).CallTool(t.Context(), &mcp.CallToolParams{
				Name: "run_python", Arguments: map[string]any{"code": "x"},
			})
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(tc.text, "URL", url+"/jobs/"+jobID+"/files")
			if text := textOfResult(result); text != want || result.IsError != tc.error {
				t.Errorf("got  %q\nwant %q", text, want)
			}
		})
	}
}

// TestPlainestDisplayStandsForTheResult: a cell's value is in the answer once.
func TestPlainestDisplayStandsForTheResult(t *testing.T) {
	t.Parallel()
	text, html := "   a\n0  1", "<table>"
	job := &api.Job{JobID: jobID, Status: api.JobStatusSucceeded, Stdout: new(string), Result: []byte(`[1]`)}
	job.Displays = []api.Display{
		{Forms: []api.DisplayForm{{Type: "text/html", Text: &html}, {Type: "text/plain", Text: &text}}},
		{Forms: []api.DisplayForm{{Type: "image/png", File: "figure.png"}}},
	}
	tools := &tools{service: newLocal(t, stubJobs{}), settings: Settings{Logger: testLogger(t)}}
	for entry, want := range map[string]string{
		"cell": "result:\n" + text, "main": "result: [1]|display 1:\n" + text,
	} {
		job.Entry = entry
		result, err := tools.answerJob(t.Context(), job)
		if err != nil || textOfResult(result) != want {
			t.Errorf("%s: %v %q", entry, err, textOfResult(result))
		}
	}
}

// TestHangUpCancelsTheJob ends the request of clients of both kinds of protocol.
func TestHangUpCancelsTheJob(t *testing.T) {
	t.Parallel()
	const plain = `{"jsonrpc":"2.0","id":1,"method":"tools/call",` +
		`"params":{"name":"run_python","arguments":{"code":"x"}}}`
	present := strings.Replace(plain, `"params":{`,
		`"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
			`"io.modelcontextprotocol/clientCapabilities":{}},`, 1)
	for version, message := range map[string]string{"2025-06-18": plain, "2025-11-25": plain, "2026-07-28": present} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			running, cancelled := make(chan string, 1), make(chan string, 1)
			url, _ := serve(t, newLocal(t, stubJobs{
				execute: func(ctx context.Context, request jobs.Request) (jobs.Record, error) {
					running <- request.ID
					<-ctx.Done()
					return jobs.Record{ID: request.ID}, ctx.Err()
				},
				cancel: func(id string) (jobs.Record, error) {
					cancelled <- id
					return jobs.Record{ID: id}, nil
				},
			}))
			ctx, hangUp := context.WithCancel(t.Context())
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(message))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Accept", "application/json, text/event-stream")
			request.Header.Set("Mcp-Protocol-Version", version)
			request.Header.Set("Mcp-Method", "tools/call")
			request.Header.Set("Mcp-Name", "run_python")
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if response, err := http.DefaultClient.Do(request); err == nil {
					_ = response.Body.Close()
				}
			}()
			id := <-running
			hangUp()
			if got := <-cancelled; got != id {
				t.Errorf("cancelled %s instead of %s", got, id)
			}
			<-ended
		})
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
}

// TestDrainAnswersCallsInProgress: their jobs go on.
func TestDrainAnswersCallsInProgress(t *testing.T) {
	t.Parallel()
	var handler *Handler
	url, handler := serve(t, newLocal(t, stubJobs{
		execute: func(ctx context.Context, request jobs.Request) (jobs.Record, error) {
			handler.Drain()
			<-ctx.Done()
			return jobs.Record{ID: request.ID}, ctx.Err()
		},
		get: func(_ context.Context, id string, _ time.Duration) (jobs.Record, error) {
			return jobs.Record{ID: id, State: jobs.StateRunning}, nil
		},
	}))
	session := connect(t, url, nil)
	for _, want := range []string{"The job is running. Read its result with", "error unavailable: the server is"} {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{
			Name: "run_python", Arguments: map[string]any{"code": "x"},
		})
		if err != nil || !strings.HasPrefix(textOfResult(result), want) {
			t.Errorf("%v: %s", err, textOfResult(result))
		}
	}
}

// TestProgressHasTheOutput: the call ends once the output has arrived.
func TestProgressHasTheOutput(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	url, _ := serve(t, newLocal(t, stubJobs{execute: func(context.Context, jobs.Request) (jobs.Record, error) {
		<-arrived
		return ended(jobs.Outcome{Result: []byte("1"), Stdout: "live"}), nil
	}}))
	session := connect(t, url, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, request *mcp.ProgressNotificationClientRequest) {
			if request.Params.Message == "live" && request.Params.Progress == 4 {
				close(arrived)
			}
		},
	})
	params := &mcp.CallToolParams{Name: "run_python", Arguments: map[string]any{"code": "x"}}
	params.SetProgressToken("p")
	result, err := session.CallTool(t.Context(), params)
	if err != nil || textOfResult(result) != "result: 1|stdout:\nlive" {
		t.Errorf("%v: %v", err, result)
	}
}

// TestPanicsAndFaultsAreErrors: neither ends the process, and no cause is sent.
func TestPanicsAndFaultsAreErrors(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, newLocal(t, stubJobs{execute: func(context.Context, jobs.Request) (jobs.Record, error) {
		panic("secret")
	}}))
	_, err := connect(t, url, nil).CallTool(t.Context(), &mcp.CallToolParams{
		Name: "run_python", Arguments: map[string]any{"code": "x"},
	})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "on our side") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentsAreDescribed(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, newLocal(t, stubJobs{}))
	result, err := connect(t, url, nil).CallTool(t.Context(), &mcp.CallToolParams{Name: "list_environments"})
	want := "default (Python 3.11.2): The usual.\npackages: numpy 2.4.6|rare (no worker has it now: jobs wait)"
	if err != nil || textOfResult(result) != want {
		t.Errorf("%v: %q", err, textOfResult(result))
	}
}
