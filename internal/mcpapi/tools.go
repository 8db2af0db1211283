package mcpapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// errInternal is the protocol's error for a fault of ours; the cause is logged.
var errInternal = &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "something went wrong on our side"}

// tools are the handlers of the tools.
type tools struct {
	service  Service
	settings Settings
	// permit is asked before each call.
	permit permit
}

// handler is a tool. Its errors are faults of ours; failures that a model can do something about are answers.
type handler func(ctx context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error)

// addTo adds the tools. The SDK lists them in the order of their names.
func (t *tools) addTo(server *mcp.Server) {
	yes, no := true, false
	add := func(scope jobs.Scope, tool *mcp.Tool, handle handler) {
		server.AddTool(tool, t.wrap(tool.Name, scope, handle))
	}
	add(jobs.ScopeRun, &mcp.Tool{
		Name: "run_python", InputSchema: runSchema, OutputSchema: jobSchema,
		Description: "Run Python in a fresh sandbox and return the value of the last expression, stdout, displays, " +
			"figures (matplotlib, as pictures) and the files that the code wrote. There is no network and no pip, " +
			"and nothing stays: pass files of an earlier job on by job_id and name. numpy, pandas and matplotlib are " +
			`usually there. Example: {"code": "import pandas as pd\npd.read_csv('a.csv').describe()", ` +
			`"files": [{"path": "a.csv", "content": "x,y\n1,2"}]}`,
		Annotations: &mcp.ToolAnnotations{Title: "Run Python", DestructiveHint: &no, OpenWorldHint: &no},
	}, t.runPython)
	add(jobs.ScopeRead, &mcp.Tool{
		Name: "get_job", InputSchema: getSchema, OutputSchema: jobSchema,
		Description: "Wait for a job of run_python that has not ended, and return what run_python would. " +
			`Example: {"job_id": "01981f3e-7c1a-7000-8000-000000000001"}`,
		Annotations: &mcp.ToolAnnotations{Title: "Read a job", ReadOnlyHint: true, OpenWorldHint: &no},
	}, t.getJob)
	add(jobs.ScopeCancel, &mcp.Tool{
		Name: "cancel_job", InputSchema: cancelSchema, OutputSchema: jobSchema,
		Description: "End a queued or running job. " +
			`Example: {"job_id": "01981f3e-7c1a-7000-8000-000000000001"}`,
		Annotations: &mcp.ToolAnnotations{
			Title: "Cancel a job", DestructiveHint: &yes, IdempotentHint: true, OpenWorldHint: &no,
		},
	}, t.cancelJob)
	add(jobs.ScopeRead, &mcp.Tool{
		Name: "read_file", InputSchema: readFileSchema, OutputSchema: readSchema,
		Description: "Read a part of a file that a job left, or of its whole output; PNG come as pictures. Jobs " +
			"expire after an hour or so. " +
			`Example: {"job_id": "01981f3e-7c1a-7000-8000-000000000001", "path": "out.csv"}`,
		Annotations: &mcp.ToolAnnotations{Title: "Read a file", ReadOnlyHint: true, OpenWorldHint: &no},
	}, t.readFile)
	add(jobs.ScopeRead, &mcp.Tool{
		Name: "list_environments", InputSchema: noArguments, OutputSchema: environmentsSchema,
		Description: "List the environments of run_python, with their packages. Example: {}",
		Annotations: &mcp.ToolAnnotations{Title: "List environments", ReadOnlyHint: true, OpenWorldHint: &no},
	}, t.listEnvironments)
}

// wrap returns the SDK's handler for a tool: its context ends when the client disconnects, and faults are logged.
// A caller without the scope is refused.
func (t *tools) wrap(name string, scope jobs.Scope, handle handler) mcp.ToolHandler {
	return func(ctx context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if err := t.permit(ctx, scope); err != nil {
			return refuse(err)
		}
		ctx, stop := untilHangUp(ctx)
		defer stop()
		result, err := handle(ctx, request)
		switch {
		case err == nil:
			return result, nil
		case ctx.Err() != nil:
			return nil, ctx.Err() // no one reads it
		default:
			t.settings.Logger.ErrorContext(ctx, "MCP call failed", "tool", name, "error", err,
				"request_id", callOf(ctx).requestID)
			return nil, errInternal
		}
	}
}

// refuseLogged is refuse, and logs the cause of a fault of ours.
func (t *tools) refuseLogged(ctx context.Context, err error) (*mcp.CallToolResult, error) {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, err
	}
	if known := jobs.AsError(err); known.Code == jobs.CodeInternal {
		t.settings.Logger.ErrorContext(ctx, "MCP call failed", "error", err, "request_id", callOf(ctx).requestID)
	}
	return refuse(err)
}

const (
	// defaultGetWait and maxGetWait are the default and the longest wait of get_job.
	defaultGetWait = 20 * time.Second
	maxGetWait     = 30 * time.Second
)

// getArguments are the arguments of get_job.
type getArguments struct {
	JobID       string   `json:"job_id"`
	WaitSeconds *float64 `json:"wait_seconds"`
}

func (t *tools) getJob(ctx context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var arguments getArguments
	err := decode(request.Params.Arguments, &arguments)
	var id string
	if err == nil {
		id, err = checkJobID(arguments.JobID)
	}
	wait := defaultGetWait
	if seconds := arguments.WaitSeconds; err == nil && seconds != nil {
		if wait = time.Duration(*seconds * float64(time.Second)); *seconds < 0 || *seconds > maxGetWait.Seconds() {
			err = jobs.Errorf(jobs.CodeInvalidRequest, `"wait_seconds" must be a number from 0 to 30`)
		}
	}
	if err != nil {
		return refuse(err)
	}
	job, release, err := t.service.Get(ctx, id, wait)
	defer callOf(ctx).whenWritten(release)
	if err != nil {
		return t.refuseLogged(ctx, err)
	}
	return t.answerJob(ctx, job)
}

// cancelArguments are the arguments of cancel_job.
type cancelArguments struct {
	JobID string `json:"job_id"`
}

func (t *tools) cancelJob(ctx context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var arguments cancelArguments
	err := decode(request.Params.Arguments, &arguments)
	var id string
	if err == nil {
		id, err = checkJobID(arguments.JobID)
	}
	if err != nil {
		return refuse(err)
	}
	job, release, err := t.service.Cancel(ctx, id)
	defer release()
	switch {
	case jobs.CodeOf(err) == jobs.CodeAlreadyFinished:
		return refuse(jobs.Errorf(jobs.CodeAlreadyFinished, "the job has ended already; get_job returns its result"))
	case err != nil:
		return t.refuseLogged(ctx, err)
	}
	a := &answer{output: jobOutput{JobID: job.JobID, Status: string(job.Status)}}
	if job.Status == api.JobStatusRunning {
		a.add("The job is being killed.")
	} else {
		a.add("The job is %s.", job.Status)
	}
	return a.result(false)
}

// environmentsOutput is the structured content of list_environments; environmentsSchema describes it.
type environmentsOutput struct {
	Environments []environmentOutput `json:"environments"`
	Error        *errorOutput        `json:"error,omitzero"`
}

type environmentOutput struct {
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	Python      string `json:"python,omitzero"`
	// Packages are such as "numpy 2.4.6".
	Packages []string `json:"packages,omitempty"`
	// Available is false if no worker has it now, so that jobs wait for one.
	Available bool `json:"available"`
}

func (t *tools) listEnvironments(ctx context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	result, output := &mcp.CallToolResult{}, environmentsOutput{Environments: []environmentOutput{}}
	err := decode(request.Params.Arguments, &struct{}{})
	var environments []jobs.EnvironmentStatus
	if err == nil {
		environments, err = t.service.Environments(ctx)
	}
	if err != nil {
		output.Error = failureOf(err)
		result.IsError = true
		result.Content = []mcp.Content{&mcp.TextContent{Text: output.Error.text()}}
		return withStructured(result, output)
	}
	if len(environments) == 0 {
		result.Content = []mcp.Content{&mcp.TextContent{
			Text: "No worker has reported its environments yet; run_python without environment uses the default one.",
		}}
	}
	for _, environment := range environments {
		each := environmentBody(environment)
		output.Environments = append(output.Environments, each)
		result.Content = append(result.Content, &mcp.TextContent{Text: each.text()})
	}
	return withStructured(result, output)
}

func environmentBody(environment jobs.EnvironmentStatus) environmentOutput {
	body := environmentOutput{
		Name: environment.Name, Description: environment.Description, Python: environment.Python,
		Available: environment.Workers > 0,
	}
	for _, each := range environment.Packages {
		body.Packages = append(body.Packages, each.Name+" "+each.Version)
	}
	return body
}

func (e environmentOutput) text() string {
	text := e.Name
	if e.Python != "" {
		text += fmt.Sprintf(" (Python %s)", e.Python)
	}
	if !e.Available {
		text += " (no worker has it now: jobs wait)"
	}
	if e.Description != "" {
		text += ": " + e.Description
	}
	if len(e.Packages) > 0 {
		text += "\npackages: " + strings.Join(e.Packages, ", ")
	}
	return text
}
