package mcpapi

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/internal/audit"
	"cellblock/internal/jobs"
)

// auditActions are the actions of the audit log, by tool and by method of the extension for tasks.
var auditActions = map[string]audit.Action{
	"run_python":   audit.JobCreate,
	"get_job":      audit.JobRead,
	"cancel_job":   audit.JobCancel,
	"read_file":    audit.JobFile,
	"tasks/get":    audit.JobRead,
	"tasks/cancel": audit.JobCancel,
	"tasks/update": audit.JobRead,
}

// noteForAudit notes in the entry of the HTTP request, which has one message, what a call concerns and how it ended.
func noteForAudit(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		entry := audit.Of(ctx)
		if entry == nil {
			return next(ctx, method, request)
		}
		name := method
		switch request := request.(type) {
		case *mcp.CallToolRequest:
			name = request.Params.Name
			entry.SetJob(jobOfArguments(request.Params.Arguments))
		case *mcp.ServerRequest[*taskParams]:
			if request.Params != nil {
				entry.SetJob(validID(request.Params.TaskID))
			}
		}
		action, known := auditActions[name]
		if known {
			entry.SetAction(action)
		}
		result, err := next(ctx, method, request)
		answer, isAnswer := result.(*mcp.CallToolResult)
		switch {
		case err != nil && ctx.Err() == nil && known:
			entry.SetOutcome(audit.OutcomeRefused)
		case err == nil && isAnswer && answer.IsError:
			if !known {
				entry.SetAction(audit.Other)
			}
			entry.SetOutcome(codeOf(answer, action))
		}
		return result, err
	}
}

// jobOfArguments returns the job_id in a tool's arguments; "" for none, and for what is no id.
func jobOfArguments(arguments []byte) string {
	var named struct {
		JobID string `json:"job_id"`
	}
	if json.Unmarshal(arguments, &named, jsontext.AllowDuplicateNames(true)) != nil {
		return ""
	}
	return validID(named.JobID)
}

// validID returns the id of a job in lower case; "" for what is none.
func validID(text string) string {
	id, ok := jobs.ParseID(text)
	if !ok {
		return ""
	}
	return id
}

// codeOf returns the code in an answer that is an error; "" for the answer of a call that read a job which failed.
func codeOf(answer *mcp.CallToolResult, action audit.Action) string {
	structured, _ := answer.StructuredContent.(rawJSON)
	var output struct {
		Status string `json:"status"`
		Error  struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(structured, &output, encoding) != nil ||
		action == audit.JobRead && output.Status != statusRefused {
		return ""
	}
	return output.Error.Code
}
