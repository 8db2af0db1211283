package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// Ownership: what a job, a batch or a stored file belongs to is in its record, and every function that reads or changes
// one for a client has the caller as an argument. To a caller who does not see it, it does not exist: the functions
// send Redis the same commands as for an unknown id, and get the same bytes.
//
// Functions without a caller are for the workers, the reaper and the senders of webhooks, and for ids that a request
// has created or read with one of the others; their comments name them.

// everyTenant is the viewer of a caller who sees what belongs to any tenant. It is no tenant's name.
const everyTenant = "*"

// viewerOf returns a caller as scripts take it, for seesFunction.
func viewerOf(caller jobs.Caller) string {
	if caller.SeesAll() {
		return everyTenant
	}
	return string(caller.Tenant)
}

// seesFunction is jobs.Caller.Sees in Lua, given viewerOf and the stored tenant (false for none: the operator).
const seesFunction = `
local function sees(viewer, tenant)
	return viewer == "` + everyTenant + `" or viewer ~= "" and viewer == (tenant or "` + string(jobs.Operator) + `")
end
`

// stateScript reads the state of a job.
//
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  viewer
//	returns  the state; nil if there is no such job, or the viewer does not see it
var stateScript = redis.NewScript(seesFunction + `
local job = redis.call("HMGET", KEYS[1], "state", "tenant")
return job[1] and sees(ARGV[1], job[2]) and job[1] or nil`)

// State returns the state of a job. It returns a *jobs.Error with CodeNotFound if there is no such job.
func (s *Store) State(ctx context.Context, caller jobs.Caller, id string) (jobs.State, error) {
	state, err := stateScript.Run(ctx, s.of(id), []string{jobKey(id)}, viewerOf(caller)).Text()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("job")
	}
	if err != nil {
		return "", fmt.Errorf("read the state of job %s: %w", id, err)
	}
	return jobs.State(state), nil
}
