package mcpapi

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Bounds on the texts of an answer, in bytes. A model pays for every one of them.
const (
	maxResult    = 16 << 10
	maxStdout    = 16 << 10
	maxStderr    = 4 << 10
	maxDisplay   = 8 << 10
	maxDisplays  = 16 << 10
	maxTraceback = 8 << 10
	// maxSentence bounds each part of a failure, and maxNote each note: scripts can forge them.
	maxSentence = 2 << 10
	maxNote     = 512
	// maxNotes and maxFiles bound what an answer lists, and maxListed the names of the files together, in bytes.
	maxNotes  = 10
	maxFiles  = 50
	maxListed = 4 << 10
)

// statusRefused is the status in the answer to a call for which there is no job.
const statusRefused = "refused"

// jobOutput is the structured content of answers about a job; jobSchema describes it.
type jobOutput struct {
	JobID  string `json:"job_id,omitzero"`
	Status string `json:"status"`
	// Result is nil if it is too large for an answer; ResultBytes is its size then.
	Result      jsontext.Value `json:"result,omitzero"`
	ResultBytes int            `json:"result_bytes,omitzero"`
	Stdout      string         `json:"stdout,omitzero"`
	Stderr      string         `json:"stderr,omitzero"`
	ExitCode    *int           `json:"exit_code,omitzero"`
	Error       *errorOutput   `json:"error,omitzero"`
	Notes       []string       `json:"notes,omitempty"`
	Files       []fileOutput   `json:"files,omitempty"`
}

type fileOutput struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type"`
}

// answer collects the content of an answer about a job. Each part is a block of its own, so that no text of a script
// can end one and begin another.
type answer struct {
	content []mcp.Content
	output  jobOutput
}

func (a *answer) add(format string, args ...any) {
	a.content = append(a.content, &mcp.TextContent{Text: fmt.Sprintf(format, args...)})
}

// cut returns text within the limit; all of it is in the file rest of read_file.
func (a *answer) cut(text string, limit int, rest string) string {
	text, _ = cutMiddle(text, limit, a.output.JobID, rest)
	return text
}

// result returns the answer as the tool's result.
func (a *answer) result(isError bool) (*mcp.CallToolResult, error) {
	return withStructured(&mcp.CallToolResult{Content: a.content, IsError: isError}, a.output)
}

// withStructured sets the structured content. It is encoded here, since the SDK would spell numbers anew.
func withStructured(result *mcp.CallToolResult, output any) (*mcp.CallToolResult, error) {
	encoded, err := json.Marshal(output, encoding)
	if err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	result.StructuredContent = rawJSON(encoded)
	return result, nil
}

// answerJob returns the answer about a job: its result, what it displayed and printed, its error, and its files.
func (t *tools) answerJob(ctx context.Context, job *api.Job) (*mcp.CallToolResult, error) {
	a := &answer{output: jobOutput{JobID: job.JobID, Status: string(job.Status)}}
	if job.Stdout == nil && job.Code == "" {
		a.addPending()
		return a.result(false)
	}
	a.addResult(job)
	if text := deref(job.Stdout); text != "" {
		a.output.Stdout = a.cut(text, maxStdout, stdoutPath)
		a.add("stdout:\n%s", a.output.Stdout)
	}
	if text := deref(job.Stderr); text != "" {
		a.output.Stderr = a.cut(text, maxStderr, stderrPath)
		a.add("stderr:\n%s", a.output.Stderr)
	}
	a.output.ExitCode = job.ExitCode
	a.addFailure(job)
	a.addNotes(job)
	t.addFiles(ctx, a, job)
	if len(a.content) == 0 {
		a.add("The script ended without a result or output.")
	}
	return a.result(job.Status != api.JobStatusSucceeded)
}

// addPending describes a job that has not ended.
func (a *answer) addPending() {
	switch api.JobStatus(a.output.Status) {
	case api.JobStatusQueued:
		a.add(`The job waits for a worker. Read its result with get_job {"job_id": %q}, or end it with cancel_job.`,
			a.output.JobID)
	case api.JobStatusRunning:
		a.add(`The job is running. Read its result with get_job {"job_id": %q}, or end it with cancel_job.`,
			a.output.JobID)
	default:
		a.add(`The job has ended, and its result cannot be read at the moment. Try get_job {"job_id": %q}.`,
			a.output.JobID)
	}
}

// addResult adds the result and the displays. A cell displays the value of its last expression too, before figures: of
// the two forms, the text has the one that is shorter for a model, as a notebook shows it.
func (a *answer) addResult(job *api.Job) {
	if job.Status != api.JobStatusSucceeded {
		a.addDisplays(job.Displays)
		return
	}
	a.output.Result = job.Result
	if len(job.Result) > maxResult {
		a.output.Result, a.output.ResultBytes = nil, len(job.Result)
	}
	if len(job.Result) == 0 || string(job.Result) == "null" {
		a.addDisplays(job.Displays)
		return
	}
	shown, others, ok := resultDisplay(job)
	if kind := job.Result.Kind(); ok && (kind == jsontext.KindBeginObject || kind == jsontext.KindBeginArray) {
		a.add("result:\n%s", cutEnd(shown, maxDisplay, "; read_file with the path @result has the value as JSON"))
	} else {
		a.add("result: %s", a.cut(string(job.Result), maxResult, resultPath))
	}
	a.addDisplays(others)
}

// resultDisplay returns the text of the display of a cell's result, and the other displays.
func resultDisplay(job *api.Job) (text string, others []api.Display, ok bool) {
	if job.Entry != string(jobs.EntryCell) || len(job.DisplaysOmitted) > 0 {
		return "", job.Displays, false
	}
	for i, display := range slices.Backward(job.Displays) {
		if text, ok := textOf(display); ok {
			return text, slices.Delete(slices.Clone(job.Displays), i, i+1), true
		}
	}
	return "", job.Displays, false
}

// addDisplays adds the plainest texts of displays. Pictures follow with the files.
func (a *answer) addDisplays(displays []api.Display) {
	left := maxDisplays
	for i, display := range displays {
		text, ok := textOf(display)
		if !ok {
			continue
		}
		if left <= 0 {
			a.add("display %d and later ones are left out here", i+1)
			return
		}
		text = cutEnd(text, min(left, maxDisplay), "")
		left -= len(text)
		a.add("display %d:\n%s", i+1, text)
	}
}

// textOf returns the last text form of a display, which is the plainest, unless a file shows it.
func textOf(display api.Display) (text string, ok bool) {
	for _, form := range display.Forms {
		if form.File != "" {
			return "", false
		}
		if form.Text != nil {
			text, ok = *form.Text, true
		}
	}
	return text, ok
}

func (a *answer) addNotes(job *api.Job) {
	notes := slices.Clone(job.Notes)
	for _, file := range job.FilesOmitted {
		notes = append(notes,
			fmt.Sprintf("the file %q was left out: it is over the limit %s", file.Name, file.Limit.Name))
	}
	for _, display := range job.DisplaysOmitted {
		notes = append(notes, fmt.Sprintf("display %d was left out or cut: it is over the limit %s",
			display.Display, display.Limit))
	}
	if job.Truncated != nil && (job.Truncated.Stdout || job.Truncated.Stderr) {
		notes = append(notes, "the output was cut at the limit of the service, and the rest is lost")
	}
	if more := len(notes) - maxNotes; more > 0 {
		notes = append(notes[:maxNotes:maxNotes], fmt.Sprintf("%d more notes are left out", more))
	}
	for i, note := range notes {
		notes[i] = cutEnd(note, maxNote, "")
	}
	a.output.Notes = notes
	if len(notes) > 0 {
		a.add("note: %s", strings.Join(notes, "\nnote: "))
	}
}

// rawJSON is encoded JSON that encoding/json passes on.
type rawJSON []byte

// MarshalJSON returns the value itself.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// linkTo returns the URL of a job's file; "" if the API's own is unknown.
func (t *tools) linkTo(ctx context.Context, jobID, name string) string {
	base := t.service.BaseURL(ctx)
	if base == "" {
		return ""
	}
	return base + "/jobs/" + jobID + "/files/" + (&url.URL{Path: name}).EscapedPath()
}

// isPNG reports whether content begins as a PNG does: the name of a file is the script's choice.
func isPNG(content []byte) bool { return strings.HasPrefix(string(content), "\x89PNG\r\n\x1a\n") }
