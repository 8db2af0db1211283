package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// A job's start deadline is decided once, at its acceptance, and stored as start_by in its record. Every script that
// checks it contains lateFunction; WithdrawLate ends a job whose start deadline has passed.

// lateFunction is Lua that reports whether a start deadline has passed, given start_by (false for none) and Redis's
// time in microseconds since 1970. A job may still be started in the microsecond of its deadline. An invalid deadline
// has not passed; Take returns ErrDamaged for it.
const lateFunction = `
local function late(start_by, now)
	local by = start_by and tonumber(start_by)
	return by and by < now
end
`

// Late reports whether the start deadline of a queued job had passed at now, Redis's time.
func (o OpenJob) Late(now time.Time) bool { return !o.StartBy.IsZero() && now.After(o.StartBy) }

// WithdrawLate ends a queued job whose start deadline has passed with CodeNotStarted, and reports whether it did. It
// does nothing to a job that is running, has ended, may still be started or does not exist.
func (s *Store) WithdrawLate(ctx context.Context, id string) (bool, error) {
	message, err := s.notStartedMessage(ctx, id)
	if err != nil {
		return false, fmt.Errorf("drop job %s: %w", id, err)
	}
	return s.end(ctx, id, jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeNotStarted, Message: message}}, whenLate)
}

// notStartedMessage returns the message for a job that was not started. It names the limit that no worker allows, if
// that is the reason.
func (s *Store) notStartedMessage(ctx context.Context, id string) (string, error) {
	stored, err := s.client.HGet(ctx, jobKey(id), "limits").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", err
	}
	limits, open, err := decodeLimits(stored)
	if err != nil || open || stored == "" {
		return jobs.MessageNotStarted, nil //nolint:nilerr // a damaged record must not keep the job
	}
	fleet, err := s.Fleet(ctx)
	return jobs.NotStartedMessage(limits, fleet), err
}

// markSharedScript marks a queued job as the answer to several requests.
//
//	KEYS[1]  the job's hash
//	returns  1
var markSharedScript = redis.NewScript(`
if redis.call("HGET", KEYS[1], "state") == "queued" then
	redis.call("HSET", KEYS[1], "shared", "1")
end
return 1`)

// MarkShared records that a second request is answered with a job. From then on WithdrawUnshared does nothing to it.
func (s *Store) MarkShared(ctx context.Context, id string) error {
	if err := markSharedScript.Run(ctx, s.client, []string{jobKey(id)}).Err(); err != nil {
		return fmt.Errorf("share job %s: %w", id, err)
	}
	return nil
}
