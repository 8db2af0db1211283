package mcpapi

import (
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// errorOutput is the error in structured content: of a job, or of a call that failed.
type errorOutput struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Traceback string `json:"traceback,omitzero"`
	Hint      string `json:"hint,omitzero"`
	// RetryAfterSeconds is 0 if a repetition would not help.
	RetryAfterSeconds int `json:"retry_after_seconds,omitzero"`
}

func (a *answer) addFailure(job *api.Job) {
	if job.Code == "" {
		return
	}
	failure := &errorOutput{
		Code: string(job.Code), Message: cutSentence(job.Error), Hint: cutSentence(job.Hint),
		Traceback: a.cut(job.Traceback, maxTraceback, ""),
	}
	if job.Detail != "" {
		failure.Message += ": " + cutSentence(job.Detail)
	}
	if job.Line > 0 {
		failure.Message += fmt.Sprintf(" (line %d: %s)", job.Line, cutSentence(strings.TrimSpace(job.Text)))
	}
	a.output.Error = failure
	a.add("%s", failure.text())
}

func cutSentence(text string) string { return cutEnd(text, maxSentence, "") }

// failureOf returns the error of a call that failed before there was an answer. Its sentence may quote what the model
// sent.
func failureOf(err error) *errorOutput {
	known := jobs.AsError(err)
	return &errorOutput{
		Code: string(known.Code), Message: cutSentence(known.Message), RetryAfterSeconds: known.RetryAfterSeconds,
	}
}

func (e *errorOutput) text() string {
	text := fmt.Sprintf("error %s: %s", e.Code, e.Message)
	if e.Traceback != "" {
		text += "\n" + strings.TrimRight(e.Traceback, "\n")
	}
	if e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	if e.RetryAfterSeconds > 0 {
		text += fmt.Sprintf("\nTry again after %d s.", e.RetryAfterSeconds)
	}
	return text
}

// refuse returns the answer to a call that failed before there was a job.
func refuse(err error) (*mcp.CallToolResult, error) {
	failure := failureOf(err)
	failure.Message = inToolWords.Replace(failure.Message)
	a := &answer{output: jobOutput{Status: statusRefused, Error: failure}}
	a.add("%s", failure.text())
	return a.result(true)
}

// inToolWords replaces names of the API's fields in its sentences by those of the tools' arguments.
var inToolWords = strings.NewReplacer(
	`"script"`, `"code"`, `"limits.wall_seconds"`, `"timeout_seconds"`,
)
