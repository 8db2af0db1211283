package mcpapi

import (
	"cmp"
	"context"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/internal/jobs"
)

// maxMessage bounds the text of one progress notification, in bytes.
const maxMessage = 4 << 10

// runArguments are the arguments of run_python.
type runArguments struct {
	Code           string         `json:"code"`
	Entry          string         `json:"entry"`
	Args           jsontext.Value `json:"args"`
	Stdin          string         `json:"stdin"`
	Files          []InputFile    `json:"files"`
	TimeoutSeconds *float64       `json:"timeout_seconds"`
	Environment    string         `json:"environment"`
}

// request returns the request for a job. The service checks the rest.
func (a *runArguments) request() (Request, error) {
	if a.Code == "" {
		return Request{}, jobs.Errorf(jobs.CodeInvalidRequest, `"code" is required: the Python source to run`)
	}
	if a.Entry == "" {
		a.Entry = string(jobs.EntryCell)
	}
	if string(a.Args) == "null" {
		a.Args = nil
	}
	return Request{
		Code: a.Code, Entry: a.Entry, Args: a.Args, Stdin: a.Stdin, Files: a.Files,
		TimeoutSeconds: a.TimeoutSeconds, Environment: a.Environment,
	}, nil
}

// runPython is the tool run_python.
func (t *tools) runPython(ctx context.Context, call *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var arguments runArguments
	err := decode(call.Params.Arguments, &arguments)
	var request Request
	if err == nil {
		request, err = arguments.request()
	}
	if err != nil {
		return refuse(err)
	}
	wait, task := t.settings.Wait, taskOf(ctx)
	if task != nil {
		wait = min(wait, cmp.Or(t.settings.TaskAfter, defaultTaskAfter))
	}
	job, release, err := t.service.Run(ctx, request, wait, t.progress(ctx, call))
	defer callOf(ctx).whenWritten(release)
	if err != nil {
		return t.refuseLogged(ctx, err)
	}
	if task != nil && isOpen(job) {
		task.create(t.taskBody(job))
	}
	return t.answerJob(ctx, job)
}

// progress returns a function that sends the script's output as progress; nil if the client did not ask for it.
func (t *tools) progress(ctx context.Context, call *mcp.CallToolRequest) func(text string) {
	token := call.Params.GetProgressToken()
	if token == nil {
		return nil
	}
	sent := 0
	return func(text string) {
		for text != "" {
			part := text[:min(len(text), maxMessage)]
			if whole, _ := wholeRunes([]byte(part)); len(whole) > 0 && len(part) < len(text) {
				part = string(whole)
			}
			text = text[len(part):]
			sent += len(part)
			// The client may have disconnected, which ctx reports; the answer has the output too.
			_ = call.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
				ProgressToken: token, Progress: float64(sent), Message: part,
			})
		}
	}
}
