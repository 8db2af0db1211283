package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// Holder says which delivery holds a job's fence.
type Holder struct {
	// Token is the delivery's, "" if the fence is not set.
	Token string
	// Owner is the worker of that delivery.
	Owner     string
	CreatedAt time.Time
	StartedAt time.Time
	// Ended tells that the job ended, fenced or not.
	Ended bool
	// Expired tells that the job is queued still and must not be started any more.
	Expired bool
}

// fenceScript lets the first delivery that asks start the job.
//
//	KEYS[1]  the job's hash
//	ARGV     token, owner, wall limit in microseconds
//	returns  state, token, owner, created_at, started_at as they then stand, the
//	         state being "expired" if the start deadline has passed; nil if there
//	         is no such job
var fenceScript = redis.NewScript(`
local state = redis.call("HGET", KEYS[1], "state")
if not state then
	return nil
end
if state == "queued" then
	local time = redis.call("TIME")
	local now = time[1] * 1000000 + time[2]
	local start_by = redis.call("HGET", KEYS[1], "start_by")
	if start_by and tonumber(start_by) < now then
		return {"expired", "", "", "", ""}
	end
	redis.call("HSET", KEYS[1],
		"state", "running",
		"token", ARGV[1],
		"owner", ARGV[2],
		"started_at", string.format("%.0f", now),
		"deadline", string.format("%.0f", now + ARGV[3]))
end
return redis.call("HMGET", KEYS[1], "state", "token", "owner", "created_at", "started_at")`)

// Fence asks to start a job: the first token stands, for good. It gives who
// holds the fence now. The caller may start the job only if that is its own
// token and the job has not ended; to find one's own token a second time (after
// a lost reply) means to go on. wall is the wall limit. CodeNotFound.
func (s *Store) Fence(ctx context.Context, id, token, owner string, wall time.Duration) (Holder, error) {
	reply, err := fenceScript.Run(ctx, s.client, []string{jobKey(id)}, token, owner, wall.Microseconds()).Slice()
	if errors.Is(err, redis.Nil) {
		err = notFound()
	}
	if err != nil {
		return Holder{}, fmt.Errorf("fence job %s: %w", id, err)
	}
	text := func(i int) string { s, _ := reply[i].(string); return s }
	return Holder{
		Ended:     jobs.State(text(0)).Ended(),
		Expired:   text(0) == "expired",
		Token:     text(1),
		Owner:     text(2),
		CreatedAt: parseTime(text(3)),
		StartedAt: parseTime(text(4)),
	}, nil
}

// Holder gives who holds a job's fence, if anybody. CodeNotFound.
func (s *Store) Holder(ctx context.Context, id string) (Holder, error) {
	f, err := s.fields(ctx, id, "state", "token", "owner", "created_at", "started_at")
	if err != nil {
		return Holder{}, fmt.Errorf("read the fence of job %s: %w", id, err)
	}
	return Holder{
		Ended:     jobs.State(f["state"]).Ended(),
		Token:     f["token"],
		Owner:     f["owner"],
		CreatedAt: parseTime(f["created_at"]),
		StartedAt: parseTime(f["started_at"]),
	}, nil
}

// remainingScript reads how long a running job still has.
//
//	KEYS[1]  the job's hash
//	returns  microseconds until the deadline, negative after it; nil if the job
//	         is not running
var remainingScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "state", "deadline")
if job[1] ~= "running" then
	return nil
end
local time = redis.call("TIME")
return job[2] - (time[1] * 1000000 + time[2])`)

// Remaining gives the time until a running job's wall deadline, negative after
// it, and whether the job is running at all.
func (s *Store) Remaining(ctx context.Context, id string) (time.Duration, bool, error) {
	us, err := remainingScript.Run(ctx, s.client, []string{jobKey(id)}).Int64()
	switch {
	case errors.Is(err, redis.Nil):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("read the deadline of job %s: %w", id, err)
	}
	return time.Duration(us) * time.Microsecond, true, nil
}
