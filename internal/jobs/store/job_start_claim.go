package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// StartClaim is the claim of the delivery that may start a job.
type StartClaim struct {
	// Token is the delivery's token, "" if no delivery has claimed the start.
	Token string
	// Owner is the worker that got the delivery.
	Owner     string
	CreatedAt time.Time
	StartedAt time.Time
	// Ended reports that the job has ended, started or not.
	Ended bool
	// Expired reports that the job is still queued and its start deadline has passed.
	Expired bool
	// Watched reports that the job's output is being watched.
	Watched bool
}

// claimStartScript stores the token of the first delivery that calls it.
//
//	KEYS[1]  cellblock:{id}:job
//	KEYS[2]  cellblock:{id}:events
//	ARGV[1]  token of the delivery
//	ARGV[2]  owner of the worker
//	ARGV[3]  wall limit in microseconds
//	returns  nil if there is no such job, else: the resulting state ("expired" if the start deadline has passed),
//	         token, owner, created_at, started_at, watched
var claimStartScript = redis.NewScript(lateFunction + channelsFunctions + `
local job = redis.call("HMGET", KEYS[1], "state", "token", "owner", "created_at", "started_at", "watched", "start_by")
if not job[1] then
	return nil
end
local start_by = table.remove(job)
if job[1] == "queued" then
	local time = redis.call("TIME")
	local now = time[1] * 1000000 + time[2]
	if late(start_by, now) then
		return {"expired", "", "", "", "", ""}
	end
	job[1], job[2], job[3], job[5] = "running", ARGV[1], ARGV[2], string.format("%.0f", now)
	redis.call("HSET", KEYS[1],
		"state", job[1],
		"token", job[2],
		"owner", job[3],
		"started_at", job[5],
		"deadline", string.format("%.0f", now + ARGV[3]))
end
publish(job[6], KEYS[2])
return job`)

// ClaimStart claims the start of a job for a delivery and returns the claim that stands: the first one, until
// ReleaseStart. The caller may start the job only if the returned token is its own and the job has not ended. Its own
// token returned a second time (after a lost reply) also means that it may start the job. wall is the wall limit. It
// returns a *jobs.Error with CodeNotFound if there is no such job.
func (s *Store) ClaimStart(ctx context.Context, id, token, owner string, wall time.Duration) (StartClaim, error) {
	keys := []string{jobKey(id), EventsKey(id)}
	reply, err := claimStartScript.Run(ctx, s.of(id), keys, token, owner, wall.Microseconds()).Slice()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("job")
	}
	if err != nil {
		return StartClaim{}, fmt.Errorf("claim the start of job %s: %w", id, err)
	}
	text := func(i int) string { s, _ := reply[i].(string); return s }
	return StartClaim{
		Ended:     jobs.State(text(0)).Ended(),
		Expired:   text(0) == "expired",
		Token:     text(1),
		Owner:     text(2),
		CreatedAt: parseTime(text(3)),
		StartedAt: parseTime(text(4)),
		Watched:   text(5) != "",
	}, nil
}

// releaseStartScript removes a start claim and queues the job again.
//
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  token that the start claim must have
//	returns  1 if the job is queued again, else 0
var releaseStartScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "state", "token")
if job[1] ~= "running" or job[2] ~= ARGV[1] then
	return 0
end
redis.call("HDEL", KEYS[1], "token", "owner", "started_at", "deadline")
redis.call("HSET", KEYS[1], "state", "queued")
return 1`)

// rewriteClaim writes an existing claim again.
//
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  token
//	returns  1 if the start claim has that token, else 0
const rewriteClaim = `
if redis.call("HGET", KEYS[1], "token") ~= ARGV[1] then
	return 0
end
redis.call("HSET", KEYS[1], "token", ARGV[1])
return 1`

// ClaimStartReplicated is ClaimStart, and fails unless at least n replicas acknowledge the claim within the given time.
// After an error the claim may hold the caller's token; the caller must not start the job, but tries again or calls
// ReleaseStart. It returns a *jobs.Error with CodeNotFound if there is no such job.
func (s *Store) ClaimStartReplicated(
	ctx context.Context, id, token, owner string, wall time.Duration, n int, within time.Duration,
) (StartClaim, error) {
	claim, err := s.ClaimStart(ctx, id, token, owner, wall)
	if err != nil || n == 0 || claim.Token != token {
		return claim, err
	}
	// WAIT covers the writes of its own connection only, so the claim is written again on that one. A pipeline uses
	// one connection.
	pipeline := s.of(id).Pipeline()
	again := pipeline.Eval(ctx, rewriteClaim, []string{jobKey(id)}, token)
	acknowledged := pipeline.Do(ctx, "WAIT", n, within.Milliseconds())
	if _, err := pipeline.Exec(ctx); err != nil {
		return StartClaim{}, fmt.Errorf("replicate the start claim of job %s: %w", id, err)
	}
	if stands, _ := again.Int(); stands != 1 {
		return s.ReadStartClaim(ctx, id) // the job has ended, or another primary has another claim
	}
	if got, _ := acknowledged.Int(); got < n {
		return StartClaim{}, fmt.Errorf("the start claim of job %s reached %d replicas, %d are needed", id, got, n)
	}
	return claim, nil
}

// ReleaseStart removes the start claim of a delivery that has not started its job and will not, and queues the job
// again.
func (s *Store) ReleaseStart(ctx context.Context, id, token string) error {
	if err := releaseStartScript.Run(ctx, s.of(id), []string{jobKey(id)}, token).Err(); err != nil {
		return fmt.Errorf("release the start of job %s: %w", id, err)
	}
	return nil
}

// ReadStartClaim returns the start claim of a job; its Token is "" if there is none. It returns a *jobs.Error with
// CodeNotFound if there is no such job.
func (s *Store) ReadStartClaim(ctx context.Context, id string) (StartClaim, error) {
	f, err := fields(ctx, s.of(id), id, "state", "token", "owner", "created_at", "started_at")
	if err != nil {
		return StartClaim{}, fmt.Errorf("read the start claim of job %s: %w", id, err)
	}
	return StartClaim{
		Ended:     jobs.State(f["state"]).Ended(),
		Token:     f["token"],
		Owner:     f["owner"],
		CreatedAt: parseTime(f["created_at"]),
		StartedAt: parseTime(f["started_at"]),
	}, nil
}

// remainingScript reads the time left to a running job.
//
//	KEYS[1]  cellblock:{id}:job
//	returns  microseconds until the deadline, negative after it; nil if the job is not running
var remainingScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "state", "deadline")
if job[1] ~= "running" then
	return nil
end
local time = redis.call("TIME")
return job[2] - (time[1] * 1000000 + time[2])`)

// Remaining returns the time until a running job's wall deadline, negative after it, and whether the job is running. It
// is for a job that a request has created or read.
func (s *Store) Remaining(ctx context.Context, id string) (time.Duration, bool, error) {
	us, err := remainingScript.Run(ctx, s.of(id), []string{jobKey(id)}).Int64()
	switch {
	case errors.Is(err, redis.Nil):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("read the deadline of job %s: %w", id, err)
	}
	return time.Duration(us) * time.Microsecond, true, nil
}
