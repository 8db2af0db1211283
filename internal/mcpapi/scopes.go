package mcpapi

import (
	"context"

	"cellblock/internal/jobs"
)

// permit returns an error with CodeForbidden if the caller of ctx may not use what needs a scope.
type permit func(ctx context.Context, scope jobs.Scope) error

// permitAll is for a server on standard input and output: its service checks the key that the user has given it.
func permitAll(context.Context, jobs.Scope) error { return nil }

// permitByScope is for a server over HTTP, where the middleware has put the caller into the context.
func permitByScope(ctx context.Context, scope jobs.Scope) error {
	if jobs.CallerOf(ctx).May(scope) {
		return nil
	}
	return jobs.Errorf(jobs.CodeForbidden, "the key of this connection does not have the scope %q, which this needs", scope)
}

// methodScopes are the scopes of the methods of tasks. That of a tool is where the tool is.
var methodScopes = map[string]jobs.Scope{
	"tasks/get":    jobs.ScopeRead,
	"tasks/update": jobs.ScopeRead,
	"tasks/cancel": jobs.ScopeCancel,
}
