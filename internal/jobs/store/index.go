package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// The index of jobs. Its keys share a slot of their own; a job's record lies in
// another, so record and index cannot change in one script. Instead the index
// is always too large rather than too small.
const (
	// openKey is a sorted set of the jobs that have not ended, scored by when the
	// reaper is to look at each (microseconds since 1970, Redis's clock).
	openKey = "cellblock:{index}:open"
	// allKey has every job whose record may still be there, all with score 0, so
	// that it is sorted by id, and ids sort by age.
	allKey = "cellblock:{index}:jobs"
	// endedKey counts the jobs that have ended, for the drain rate.
	endedKey = "cellblock:{index}:ended"
)

// firstLook is how long after its acceptance a job is first looked at; one with
// large inputs later, once its record can be there.
const firstLook = time.Second

// admitScript enters a job into the index, if there is room.
//
//	KEYS     open jobs, all jobs
//	ARGV     id, how many may be open (0: any number), microseconds to the first look
//	returns  1 if it is in, 0 if the queue is full
var admitScript = redis.NewScript(`
if redis.call("ZSCORE", KEYS[1], ARGV[1]) then
	return 1
end
local limit = tonumber(ARGV[2])
if limit > 0 and redis.call("ZCARD", KEYS[1]) >= limit then
	return 0
end
local time = redis.call("TIME")
redis.call("ZADD", KEYS[1], string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[3]), ARGV[1])
redis.call("ZADD", KEYS[2], 0, ARGV[1])
return 1`)

func (s *Store) admit(ctx context.Context, id string, limit int, look time.Duration) error {
	in, err := admitScript.Run(ctx, s.client, []string{openKey, allKey}, id, limit, look.Microseconds()).Bool()
	switch {
	case err != nil:
		return err
	case !in:
		return jobs.Errorf(jobs.CodeQueueFull, "the queue is full")
	}
	return nil
}

// touchScript has the reaper look at an open job soon.
//
//	KEYS[1]  open jobs
//	ARGV     id
var touchScript = redis.NewScript(`
local time = redis.call("TIME")
return redis.call("ZADD", KEYS[1], "XX", string.format("%.0f", time[1] * 1000000 + time[2]), ARGV[1])`)

// settleScript takes a job that ended out of the open ones.
//
//	KEYS     open jobs, count of those that ended
//	ARGV     id
var settleScript = redis.NewScript(`
if redis.call("ZREM", KEYS[1], ARGV[1]) == 1 then
	redis.call("INCR", KEYS[2])
end
return 1`)

// Ended is a job that has ended, or whose record is gone.
type Ended struct {
	ID string
	// State is "" where there is no record.
	State          jobs.State
	IdempotencyKey string
	// TTL is for how long the job can be read; 0 for a job that never ran, whose
	// idempotency key is then free.
	TTL   time.Duration
	Batch jobs.BatchPlace
	// Callback tells that somebody is to be told.
	Callback bool
}

// Settle is what follows a job's end: its callback is queued, its batch hears of it, its idempotency record
// lives as long as the job's, and it leaves the open jobs. That comes last: what
// fails here the reaper does again, for the jobs that are open still.
func (s *Store) Settle(ctx context.Context, ended Ended) error {
	err := s.settleMember(ctx, ended.Batch, ended.State)
	if ended.Callback {
		err = errors.Join(err, s.queueCallback(ctx, ended.ID))
	}
	if ended.IdempotencyKey != "" && ended.TTL > 0 {
		err = errors.Join(err, s.client.PExpire(ctx, ended.IdempotencyKey, ended.TTL).Err())
	} else if ended.IdempotencyKey != "" {
		err = errors.Join(err, s.Release(ctx, ended.IdempotencyKey, ended.ID))
	}
	if err == nil {
		err = settleScript.Run(ctx, s.client, []string{openKey, endedKey}, ended.ID).Err()
	}
	if err != nil {
		return fmt.Errorf("settle job %s: %w", ended.ID, err)
	}
	return nil
}

// Load of the queue as the API sees it.
type Load struct {
	// Open counts the jobs that have not ended.
	Open int
	// Ended counts those that have, since Redis began.
	Ended int64
	// UsedMemory and MaxMemory are Redis's, in bytes; MaxMemory 0 means no bound.
	UsedMemory, MaxMemory int64
}

// ReadLoad reads how full the queue is.
func (s *Store) ReadLoad(ctx context.Context) (Load, error) {
	pipeline := s.client.Pipeline()
	open := pipeline.ZCard(ctx, openKey)
	ended := pipeline.Get(ctx, endedKey)
	memory := pipeline.InfoMap(ctx, "memory")
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return Load{}, fmt.Errorf("read the queue's load: %w", err)
	}
	load := Load{Open: int(open.Val())}
	load.Ended, _ = ended.Int64() // none yet
	fields := memory.Val()["Memory"]
	load.UsedMemory, load.MaxMemory = parseInt(fields["used_memory"]), parseInt(fields["maxmemory"])
	return load, nil
}
