package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// A job's callback is begun in three steps: its end is stored, its id is queued
// for delivery, and only then it leaves the open jobs. Whoever dies between two
// of them leaves a job that is open still, which the reaper settles.
//
// From then on callbacksKey has it, until it was delivered or has failed: a
// sorted set in the index's slot, scored by when the reaper is to look whether
// anybody still has it. Each attempt moves that on.
const callbacksKey = "cellblock:{index}:callbacks"

// callbackSlack is how long after the time at which something should have
// happened to a callback the reaper looks for it.
const callbackSlack = 3 * time.Second

// Callbacks is a queue for the callbacks of jobs that have ended.
type Callbacks interface {
	// EnqueueCallback has a job's callback delivered; twice is once.
	EnqueueCallback(ctx context.Context, id string) error
}

// WithCallbacks gives the store with a queue for callbacks. Without one, jobs that
// have a callback stay open after their end, until the reaper of a store that has
// one finds them.
func (s *Store) WithCallbacks(queue Callbacks) *Store {
	with := *s
	with.callbacks = queue
	return &with
}

func (s *Store) queueCallback(ctx context.Context, id string) error {
	if s.callbacks == nil {
		return errors.New("there is no queue for its callback")
	}
	if err := s.WatchCallback(ctx, id, callbackSlack); err != nil {
		return err
	}
	return s.callbacks.EnqueueCallback(ctx, id)
}

// watchScript plans the reaper's look at a callback, never for sooner than it
// was planned.
//
//	KEYS[1]  callbacks
//	ARGV     id, microseconds from now
var watchScript = redis.NewScript(`
local time = redis.call("TIME")
return redis.call("ZADD", KEYS[1], "GT", string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[2]), ARGV[1])`)

// WatchCallback has the reaper look at a job's callback after a time, or
// when it was to look anyway, whichever is later.
func (s *Store) WatchCallback(ctx context.Context, id string, after time.Duration) error {
	if err := watchScript.Run(ctx, s.client, []string{callbacksKey}, id, after.Microseconds()).Err(); err != nil {
		return fmt.Errorf("watch the callback of job %s: %w", id, err)
	}
	return nil
}

// DueCallbacks gives at most n jobs whose callback is not over and which nobody
// has had in hand in time. Those that are over it forgets.
func (s *Store) DueCallbacks(ctx context.Context, n int) ([]string, error) {
	ids, err := dueScript.Run(ctx, s.client, []string{callbacksKey}, n).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the callbacks: %w", err)
	}
	ids = ids[1:]
	if len(ids) == 0 {
		return nil, nil
	}
	pipeline := s.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), "callback", "callback_state")
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %d callbacks: %w", len(ids), err)
	}
	var due []string
	var over []any
	for i, id := range ids {
		url, _ := replies[i].Val()[0].(string)
		state, _ := replies[i].Val()[1].(string)
		callback := decodeCallback(url, state, jobs.StateSucceeded)
		if callback == nil || callback.Status.Over() {
			over = append(over, id)
		} else {
			due = append(due, id)
		}
	}
	if len(over) > 0 {
		if err := s.client.ZRem(ctx, callbacksKey, over...).Err(); err != nil {
			return nil, fmt.Errorf("forget %d callbacks: %w", len(over), err)
		}
	}
	return due, nil
}

// PeekCallback gives how a job's callback stands, without the rest of its record.
// It is for jobs that have ended. CodeNotFound, also for a job without one.
func (s *Store) PeekCallback(ctx context.Context, id string) (jobs.Callback, error) {
	values, err := s.client.HMGet(ctx, jobKey(id), "callback", "callback_state").Result()
	if err != nil {
		return jobs.Callback{}, fmt.Errorf("read the callback of job %s: %w", id, err)
	}
	url, _ := values[0].(string)
	state, _ := values[1].(string)
	callback := decodeCallback(url, state, jobs.StateSucceeded)
	if callback == nil {
		return jobs.Callback{}, fmt.Errorf("read the callback of job %s: %w", id, notFound())
	}
	return *callback, nil
}

// How a callback stands is one field: status, attempts, times of the last and of
// the next one (microseconds since 1970, 0 for none), status of the answer (0 for
// none), and what was wrong ("-" for nothing).
var callbackState = regexp.MustCompile(`^([a-z]+) (\d+) (\d+) (\d+) (\d+) (\S+)$`)

// beginScript notes that an attempt begins, unless the callback is over.
//
//	KEYS[1]  the job's hash
//	returns  the URL and how it then stands; nil if there is no such job, or
//	         nobody to be told
var beginScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "callback", "callback_state")
if not job[1] then
	return nil
end
local status, attempts = string.match(job[2] or "", "^(%a+) (%d+)")
if status == "delivered" or status == "failed" then
	return {job[1], job[2]}
end
local time = redis.call("TIME")
local state = string.format("pending %d %.0f 0 0 -", (attempts or 0) + 1, time[1] * 1000000 + time[2])
redis.call("HSET", KEYS[1], "callback_state", state)
return {job[1], state}`)

// BeginCallback notes that a job's callback is being sent, which may take the
// given time, and gives how it stands with that. One that is over is given as it
// is. CodeNotFound.
func (s *Store) BeginCallback(ctx context.Context, id string, within time.Duration) (jobs.Callback, error) {
	// First: if we die right after, it is looked for.
	if err := s.WatchCallback(ctx, id, within+callbackSlack); err != nil {
		return jobs.Callback{}, err
	}
	reply, err := beginScript.Run(ctx, s.client, []string{jobKey(id)}).StringSlice()
	if errors.Is(err, redis.Nil) {
		err = notFound()
	}
	if err != nil {
		return jobs.Callback{}, fmt.Errorf("begin the callback of job %s: %w", id, err)
	}
	return *decodeCallback(reply[0], reply[1], jobs.StateSucceeded), nil
}

// callbackSpare is for how long after its next attempt a callback's record is kept
// at least, for what may come between: another's timeout, a sender that dies.
const callbackSpare = 2 * time.Minute

// endAttemptScript notes what came of an attempt. What is over stays as it is, and
// so does what a later attempt has begun: a late word does not matter then, but for
// the one that it was delivered after all. The record stays until the next attempt,
// which a receiver may have put off for longer than was reckoned with.
//
//	KEYS[1]  the job's hash
//	ARGV     status, attempts, time of this attempt, microseconds until the next
//	         one (0 for none), status of the answer, what was wrong, for how many
//	         milliseconds after the next one the record is kept at least
//	returns  1 if it was noted, else 0
var endAttemptScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "callback", "callback_state")
local status, attempts = string.match(job[2] or "", "^(%a+) (%d+)")
if not job[1] or status == "delivered" then
	return 0
end
if ARGV[1] ~= "delivered" and (status == "failed" or tonumber(attempts or 0) > tonumber(ARGV[2])) then
	return 0
end
local next = "0"
if ARGV[4] ~= "0" then
	local time = redis.call("TIME")
	next = string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[4])
	local left, need = redis.call("PTTL", KEYS[1]), math.ceil(ARGV[4] / 1000) + ARGV[7]
	if left >= 0 and left < need then
		redis.call("PEXPIRE", KEYS[1], string.format("%.0f", need))
	end -- of too little left
end
redis.call("HSET", KEYS[1], "callback_state", table.concat({ARGV[1], ARGV[2], ARGV[3], next, ARGV[5], ARGV[6]}, " "))
return 1`)

// EndCallback notes what came of the attempt that BeginCallback gave. pause is how
// long until the next one, if callback.Status is CallbackPending.
func (s *Store) EndCallback(ctx context.Context, id string, callback jobs.Callback, pause time.Duration) error {
	wrong := callback.Error
	if wrong == "" {
		wrong = "-"
	}
	if callback.Status.Over() {
		pause = 0
	}
	noted, err := endAttemptScript.Run(ctx, s.client, []string{jobKey(id)}, string(callback.Status), callback.Attempts,
		callback.LastAttemptAt.UnixMicro(), pause.Microseconds(), callback.ResponseStatus, wrong, callbackSpare.Milliseconds()).Bool()
	switch {
	case err != nil:
	case !noted: // whoever noted something else sees to the rest
	case callback.Status.Over():
		err = s.client.ZRem(ctx, callbacksKey, id).Err()
	default:
		err = s.WatchCallback(ctx, id, pause+callbackSlack)
	}
	if err != nil {
		return fmt.Errorf("end the attempt at the callback of job %s: %w", id, err)
	}
	return nil
}

// decodeCallback gives nil for a job without one.
func decodeCallback(url, state string, of jobs.State) *jobs.Callback {
	if url == "" {
		return nil
	}
	callback := &jobs.Callback{URL: url, Status: jobs.CallbackWaiting}
	if of.Ended() {
		callback.Status = jobs.CallbackPending
	}
	parts := callbackState.FindStringSubmatch(state)
	if parts == nil {
		return callback
	}
	callback.Status = jobs.CallbackStatus(parts[1])
	callback.Attempts, _ = strconv.Atoi(parts[2])
	callback.LastAttemptAt, callback.NextAttemptAt = timeOrNone(parts[3]), timeOrNone(parts[4])
	callback.ResponseStatus, _ = strconv.Atoi(parts[5])
	if parts[6] != "-" {
		callback.Error = parts[6]
	}
	return callback
}

func timeOrNone(us string) time.Time {
	if us == "0" {
		return time.Time{}
	}
	return parseTime(us)
}
