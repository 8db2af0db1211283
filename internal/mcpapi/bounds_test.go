package mcpapi

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// maxAnswer is the bound on the text of an answer that docs/mcp.md has, in bytes.
const maxAnswer = 70_000

// wantBounded checks the text blocks of an answer and, apart from its spelling, the structured content.
func wantBounded(t *testing.T, name string, result *mcp.CallToolResult) {
	t.Helper()
	text, links := 0, 0
	for _, content := range result.Content {
		switch content := content.(type) {
		case *mcp.TextContent:
			text += len(content.Text)
		case *mcp.ResourceLink:
			links += len(content.URI) + len(content.Name)
		}
	}
	structured, ok := result.StructuredContent.(rawJSON)
	if text > maxAnswer || len(structured) > maxAnswer || links > maxAnswer || !ok {
		t.Errorf("%s: %d bytes of text, %d of links, %d structured", name, text, links, len(structured))
	}
}

// TestAnswersAreBounded: scripts choose all of these texts, and can forge what the worker bounds less.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/mcp.md")
	if err != nil || !strings.Contains(string(document), "its text, at most | 70,000 |") {
		t.Errorf("docs/mcp.md has another bound: %v", err)
	}
	long := strings.Repeat("x", 256<<10)
	job := &api.Job{
		JobID: jobID, Stdout: &long, Stderr: &long, Entry: "main", Displays: make([]api.Display, 64),
		Notes: make([]string, 21), Truncated: &api.Truncated{Stdout: true},
	}
	for i := range job.Displays {
		job.Displays[i].Forms = []api.DisplayForm{{Type: "text/plain", Text: &long}}
	}
	for i := range job.Notes {
		job.Notes[i] = long
	}
	for i := range 100 {
		name := fmt.Sprintf("%03d%s", i, strings.Repeat("ü", 126))
		job.Files = append(job.Files, api.OutputFile{Name: name, Size: 1, MediaType: "text/csv"})
	}
	call := &call{done: t.Context(), baseURL: "http://host"}
	ctx := context.WithValue(t.Context(), callKey{}, call)
	tools := &tools{service: newLocal(t, stubJobs{}), settings: Settings{Logger: testLogger(t)}}

	succeeded := *job
	succeeded.Status, succeeded.Result = api.JobStatusSucceeded, []byte(`"`+long+`"`)
	failed := *job
	failed.Status, failed.Code, failed.Line = api.JobStatusFailed, api.ErrorCode(jobs.CodeException), 1
	failed.Error, failed.Detail, failed.Text, failed.Hint, failed.Traceback = long, long, long, long, long
	for _, job := range []*api.Job{&succeeded, &failed} {
		result, err := tools.answerJob(ctx, job)
		if err != nil {
			t.Fatal(err)
		}
		wantBounded(t, string(job.Status), result)
	}
	result, err := refuse(jobs.Errorf(jobs.CodeInvalidRequest, "unknown argument %q", long))
	if err != nil {
		t.Fatal(err)
	}
	wantBounded(t, "refused", result)
}

// TestTextNamedPNGIsReadLikeText: the name of a file is the script's choice.
func TestTextNamedPNGIsReadLikeText(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", maxImage)
	url, _ := serve(t, newLocal(t, stubJobs{get: func(context.Context, string, time.Duration) (jobs.Record, error) {
		return ended(jobs.Outcome{Files: []jobs.OutputFile{
			{Name: "a.png", Size: int64(len(text)), MediaType: "image/png", Key: text},
		}}), nil
	}}))
	result, err := connect(t, url, nil).CallTool(t.Context(), &mcp.CallToolParams{
		Name: "read_file", Arguments: map[string]any{"job_id": jobID, "path": "a.png"},
	})
	want := text[:defaultRead] + "|bytes 0 to 16384 of 262144; the next part is at offset 16384"
	if err != nil || textOfResult(result) != want {
		t.Errorf("%v: %d bytes", err, len(textOfResult(result)))
	}
}
