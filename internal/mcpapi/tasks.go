package mcpapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// tasksExtension is the extension by which a call that takes longer becomes a task, whose id is that of the job
// (SEP-2663). The SDK does not know it: a middleware replaces the answer, and the methods are custom ones.
const tasksExtension = "io.modelcontextprotocol/tasks"

// pollInterval is the pause that clients are asked to make between requests for a task's state.
const pollInterval = time.Second

// taskResult is a task, as the answer to tools/call and to tasks/get.
type taskResult struct {
	mcp.ResultBase

	ResultType    string `json:"resultType"`
	TaskID        string `json:"taskId"`
	Status        string `json:"status"`
	StatusMessage string `json:"statusMessage,omitempty"`
	CreatedAt     string `json:"createdAt"`
	LastUpdatedAt string `json:"lastUpdatedAt"`
	// TTLMS counts from the creation.
	TTLMS          int64 `json:"ttlMs"`
	PollIntervalMS int64 `json:"pollIntervalMs"`
	// Result is the answer that the call would have had, once the status is completed.
	Result *mcp.CallToolResult `json:"result,omitempty"`
}

// taskSlot receives the task that a call became.
type taskSlot struct{ task *taskResult }

func (s *taskSlot) create(task *taskResult) {
	task.ResultType = "task"
	s.task = task
}

type taskSlotKey struct{}

// taskOf returns where to put the task that this call becomes; nil if the client knows no tasks.
func taskOf(ctx context.Context) *taskSlot {
	slot, _ := ctx.Value(taskSlotKey{}).(*taskSlot)
	return slot
}

type taskParams struct {
	mcp.ParamsBase

	TaskID string `json:"taskId"`
}

type emptyResult struct {
	mcp.ResultBase

	ResultType string `json:"resultType"`
}

// addTasks adds the extension to a server.
func (t *tools) addTasks(server *mcp.Server) {
	server.AddReceivingMiddleware(t.answerWithTasks)
	for _, err := range []error{
		mcp.AddReceivingCustomMethod(server, "tasks/get", t.getTask),
		mcp.AddReceivingCustomMethod(server, "tasks/cancel", t.cancelTask),
		mcp.AddReceivingCustomMethod(server, "tasks/update", t.updateTask),
	} {
		if err != nil {
			panic(err) // the names are fixed
		}
	}
}

// answerWithTasks answers calls of clients that declare the extension with the task that the call became, if it did. It
// refuses the extension's methods to other clients.
func (t *tools) answerWithTasks(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		switch request := request.(type) {
		case *mcp.CallToolRequest:
			// A caller that may not read jobs could not read its task either, so it gets the answer itself.
			if !declaresTasks(request.ClientCapabilities()) || t.permit(ctx, jobs.ScopeRead) != nil {
				return next(ctx, method, request)
			}
			slot := &taskSlot{}
			result, err := next(context.WithValue(ctx, taskSlotKey{}, slot), method, request)
			if err == nil && slot.task != nil {
				return slot.task, nil
			}
			return result, err
		case *mcp.ServerRequest[*taskParams]:
			if !declaresTasks(request.ClientCapabilities()) {
				return nil, errNeedsTasks
			}
			if err := checkNameHeader(request); err != nil {
				return nil, err
			}
			if err := t.permit(ctx, methodScopes[method]); err != nil {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: jobs.AsError(err).Message}
			}
		}
		return next(ctx, method, request)
	}
}

// errNeedsTasks is the error for a client that has not declared the extension.
var errNeedsTasks = &jsonrpc.Error{
	Code:    mcp.CodeMissingRequiredClientCapabilities,
	Message: "the client has not declared the extension " + tasksExtension,
	Data:    json.RawMessage(`{"requiredCapabilities":{"extensions":{"` + tasksExtension + `":{}}}}`),
}

// checkNameHeader returns an error if the header Mcp-Name names another task than the message. The SDK checks it for
// the methods that it knows.
func checkNameHeader(request *mcp.ServerRequest[*taskParams]) error {
	if request.Extra == nil || request.Params == nil {
		return nil
	}
	if name := request.Extra.Header.Get("Mcp-Name"); name != "" && name != request.Params.TaskID {
		return &jsonrpc.Error{
			Code: mcp.CodeHeaderMismatch, Message: "the header Mcp-Name is not the taskId of the message",
		}
	}
	return nil
}

func declaresTasks(capabilities *mcp.ClientCapabilities) bool {
	if capabilities == nil {
		return false
	}
	_, declared := capabilities.Extensions[tasksExtension]
	return declared
}

func (t *tools) taskBody(job *api.Job) *taskResult {
	body := &taskResult{
		ResultType: "complete", TaskID: job.JobID, Status: "working",
		StatusMessage: "The job is " + string(job.Status) + ".",
		CreatedAt:     job.CreatedAt, LastUpdatedAt: job.CreatedAt,
		TTLMS: t.service.Retention().Milliseconds(), PollIntervalMS: pollInterval.Milliseconds(),
	}
	for _, at := range []*string{job.StartedAt, job.FinishedAt} {
		if at != nil {
			body.LastUpdatedAt = *at
		}
	}
	return body
}

// getTask is the method tasks/get.
func (t *tools) getTask(ctx context.Context, _ *mcp.ServerSession, params *taskParams) (*taskResult, error) {
	id, err := checkTaskID(params)
	if err != nil {
		return nil, err
	}
	job, release, err := t.service.Get(ctx, id, 0)
	defer callOf(ctx).whenWritten(release)
	if err != nil {
		return nil, t.taskError(ctx, err)
	}
	body := t.taskBody(job)
	switch {
	case job.Status == api.JobStatusCancelled:
		body.Status, body.StatusMessage = "cancelled", cutSentence(job.Error)
	case !isOpen(job):
		body.Status = "completed"
		if body.Result, err = t.answerJob(ctx, job); err != nil {
			return nil, t.taskError(ctx, err)
		}
	}
	return body, nil
}

// cancelTask is the method tasks/cancel. For a task that has ended it does nothing.
func (t *tools) cancelTask(ctx context.Context, _ *mcp.ServerSession, params *taskParams) (*emptyResult, error) {
	id, err := checkTaskID(params)
	if err != nil {
		return nil, err
	}
	_, release, err := t.service.Cancel(ctx, id)
	release()
	if err != nil && jobs.CodeOf(err) != jobs.CodeAlreadyFinished {
		return nil, t.taskError(ctx, err)
	}
	return &emptyResult{ResultType: "complete"}, nil
}

// updateTask is the method tasks/update, by which clients answer questions of a task. Jobs ask none.
func (t *tools) updateTask(ctx context.Context, _ *mcp.ServerSession, params *taskParams) (*emptyResult, error) {
	id, err := checkTaskID(params)
	if err != nil {
		return nil, err
	}
	_, release, err := t.service.Get(ctx, id, 0)
	release()
	if err != nil {
		return nil, t.taskError(ctx, err)
	}
	return &emptyResult{ResultType: "complete"}, nil
}

func checkTaskID(params *taskParams) (string, error) {
	if params != nil {
		if id, ok := jobs.ParseID(params.TaskID); ok {
			return id, nil
		}
	}
	return "", &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "taskId must be the id of a task"}
}

// taskError returns the protocol's error for a task that cannot be read.
func (t *tools) taskError(ctx context.Context, err error) error {
	known := jobs.AsError(err)
	if known.Code == jobs.CodeNotFound {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "there is no such task, or it has expired"}
	}
	if known.Code == jobs.CodeInternal && ctx.Err() == nil {
		t.settings.Logger.ErrorContext(ctx, "MCP call failed", "error", err)
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: known.Message}
}

// isOpen reports whether a job has not ended.
func isOpen(job *api.Job) bool {
	return job.Status == api.JobStatusQueued || job.Status == api.JobStatusRunning
}
