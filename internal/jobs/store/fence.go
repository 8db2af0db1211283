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
	// Watched tells that somebody watches the job.
	Watched bool
}

// fenceScript lets the first delivery that asks start the job.
//
//	KEYS     the job's hash, its events
//	ARGV     token, owner, wall limit in microseconds
//	returns  state, token, owner, created_at, started_at, watched as they then
//	         stand, the state being "expired" if the start deadline has passed; nil
//	         if there is no such job
var fenceScript = redis.NewScript(lateFunction + `
local state = redis.call("HGET", KEYS[1], "state")
if not state then
	return nil
end
if state == "queued" then
	local time = redis.call("TIME")
	local now = time[1] * 1000000 + time[2]
	if late(redis.call("HGET", KEYS[1], "start_by"), now) then
		return {"expired", "", "", "", "", ""}
	end
	redis.call("HSET", KEYS[1],
		"state", "running",
		"token", ARGV[1],
		"owner", ARGV[2],
		"started_at", string.format("%.0f", now),
		"deadline", string.format("%.0f", now + ARGV[3]))
end
local job = redis.call("HMGET", KEYS[1], "state", "token", "owner", "created_at", "started_at", "watched")
if job[6] then
	redis.call("PUBLISH", KEYS[2], "")
end
return job`)

// Fence asks to start a job: the first token stands, for good. It gives who
// holds the fence now. The caller may start the job only if that is its own
// token and the job has not ended; to find one's own token a second time (after
// a lost reply) means to go on. wall is the wall limit. CodeNotFound.
func (s *Store) Fence(ctx context.Context, id, token, owner string, wall time.Duration) (Holder, error) {
	reply, err := fenceScript.Run(ctx, s.client, []string{jobKey(id), EventsKey(id)}, token, owner, wall.Microseconds()).Slice()
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
		Watched:   text(5) == "1",
	}, nil
}

// unfenceScript takes a fence back.
//
//	KEYS[1]  the job's hash
//	ARGV     the token that it must have
//	returns  1 if the job is queued again, else 0
var unfenceScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "state", "token")
if job[1] ~= "running" or job[2] ~= ARGV[1] then
	return 0
end
redis.call("HDEL", KEYS[1], "token", "owner", "started_at", "deadline")
redis.call("HSET", KEYS[1], "state", "queued")
return 1`)

// refence writes a fence that stands once more.
//
//	KEYS[1]  the job's hash
//	ARGV     the token
//	returns  1 if it stands, else 0
const refence = `
if redis.call("HGET", KEYS[1], "token") ~= ARGV[1] then
	return 0
end
redis.call("HSET", KEYS[1], "token", ARGV[1])
return 1`

// FenceReplicated is Fence, and fails unless at least n replicas have the fence
// as well within the given time. The caller, whose token then may stand, must
// not start the job; it tries again or calls Unfence. CodeNotFound.
func (s *Store) FenceReplicated(ctx context.Context, id, token, owner string, wall time.Duration, n int, within time.Duration) (Holder, error) {
	holder, err := s.Fence(ctx, id, token, owner, wall)
	if err != nil || n == 0 || holder.Token != token {
		return holder, err
	}
	// WAIT is about what was written on its own connection, so the fence is
	// written there once more. A pipeline has one connection.
	pipeline := s.client.Pipeline()
	again := pipeline.Eval(ctx, refence, []string{jobKey(id)}, token)
	acknowledged := pipeline.Do(ctx, "WAIT", n, within.Milliseconds())
	if _, err := pipeline.Exec(ctx); err != nil {
		return Holder{}, fmt.Errorf("replicate the fence of job %s: %w", id, err)
	}
	if stands, _ := again.Int(); stands != 1 {
		return s.Holder(ctx, id) // ended meanwhile, or another primary knows of another fence
	}
	if got, _ := acknowledged.Int(); got < n {
		return Holder{}, fmt.Errorf("the fence of job %s reached %d replicas, %d are needed", id, got, n)
	}
	return holder, nil
}

// Unfence takes back the fence of a delivery that has not started its job and
// will not. The job is queued again.
func (s *Store) Unfence(ctx context.Context, id, token string) error {
	if err := unfenceScript.Run(ctx, s.client, []string{jobKey(id)}, token).Err(); err != nil {
		return fmt.Errorf("unfence job %s: %w", id, err)
	}
	return nil
}

// Holder gives who holds a job's fence, if anybody. CodeNotFound.
func (s *Store) Holder(ctx context.Context, id string) (Holder, error) {
	f, err := fields(ctx, s.client, id, "state", "token", "owner", "created_at", "started_at")
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
