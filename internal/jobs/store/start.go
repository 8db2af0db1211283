package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// When a job must have been started is decided once, at its acceptance, and stored as start_by in its record.
// Every script that asks whether that time has passed contains lateFunction; DropLate ends a job for which it has.

// lateFunction is Lua that reports whether a start deadline has passed, given start_by (false for none) and
// Redis's time in microseconds since 1970. A job may still be started in the microsecond of its deadline.
const lateFunction = `
local function late(start_by, now)
	return start_by and tonumber(start_by) < now
end
`

// Late reports whether the start deadline of a queued job had passed at now, Redis's time.
func (o Open) Late(now time.Time) bool { return !o.StartBy.IsZero() && now.After(o.StartBy) }

// DropLate ends a queued job whose start deadline has passed as CodeNotStarted, and reports whether it did.
// It does nothing to a job that is running, has ended, may still be started or does not exist.
func (s *Store) DropLate(ctx context.Context, id string) (bool, error) {
	outcome := jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeNotStarted, Message: jobs.MessageNotStarted}}
	return s.end(ctx, id, outcome, whenLate)
}

// shareScript notes in the record of a queued job that several requests stand for it.
//
//	KEYS[1]  the job's hash
//	returns  1
var shareScript = redis.NewScript(`
if redis.call("HGET", KEYS[1], "state") == "queued" then
	redis.call("HSET", KEYS[1], "shared", "1")
end
return 1`)

// Share notes that a second request is answered with a job. From then on WithdrawUnshared does nothing to it.
func (s *Store) Share(ctx context.Context, id string) error {
	if err := shareScript.Run(ctx, s.client, []string{jobKey(id)}).Err(); err != nil {
		return fmt.Errorf("share job %s: %w", id, err)
	}
	return nil
}
