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

// A job's callback begins in three steps: the job's end is stored, its id is queued for delivery, and only then the
// job leaves the open jobs. If a process dies between two of them, the job is still open and the reaper finishes the
// rest.
//
// From then on callbacksKey contains it until it has been delivered or has failed: a sorted set in the slot of the
// index, scored by the time at which the reaper checks whether the callback is still being worked on. Each attempt
// moves that time.
const callbacksKey = "cellblock:{index}:callbacks"

// callbackSlack is how long the reaper waits after an overdue event of a callback before it checks the callback.
const callbackSlack = 3 * time.Second

// Callbacks is the queue for the callbacks of ended jobs.
type Callbacks interface {
	// EnqueueCallback queues the delivery of a job's callback. It may be called twice for the same job.
	EnqueueCallback(ctx context.Context, id string) error
}

// WithCallbacks returns a copy of the store that uses a queue for callbacks. Without one, jobs with a callback stay
// open after their end until the reaper of a store with a queue finds them.
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

// watchScript schedules the reaper's check of a callback, never earlier than it was already scheduled.
//
//	KEYS[1]  callbacks
//	ARGV     id, microseconds from now
var watchScript = redis.NewScript(`
local time = redis.call("TIME")
return redis.call("ZADD", KEYS[1], "GT", string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[2]), ARGV[1])`)

// WatchCallback makes the reaper check a job's callback after the given time, or at the time already scheduled,
// whichever is later.
func (s *Store) WatchCallback(ctx context.Context, id string, after time.Duration) error {
	if err := watchScript.Run(ctx, s.client, []string{callbacksKey}, id, after.Microseconds()).Err(); err != nil {
		return fmt.Errorf("watch the callback of job %s: %w", id, err)
	}
	return nil
}

// DueCallbacks returns at most n jobs whose callback is unfinished and whose check is due. It removes finished
// callbacks from the index.
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

// PeekCallback returns the status of an ended job's callback without the rest of the record. It returns a *jobs.Error
// with CodeNotFound if there is no such job or it has no callback.
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

// callbackState matches the status of a callback, stored as one field: status, attempts, times of the last and of the
// next attempt (microseconds since 1970, 0 for none), HTTP status of the response (0 for none), and the error ("-" for
// none).
var callbackState = regexp.MustCompile(`^([a-z]+) (\d+) (\d+) (\d+) (\d+) (\S+)$`)

// beginScript records the start of an attempt, unless the callback is finished.
//
//	KEYS[1]  the job's hash
//	returns  the URL and the new status; nil if there is no such job, or it has
//	         no callback
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

// BeginCallback records the start of an attempt, which may take the time within, and returns the new status. The
// status of a finished callback is returned unchanged. It returns a *jobs.Error with CodeNotFound if there is no such
// job or callback.
func (s *Store) BeginCallback(ctx context.Context, id string, within time.Duration) (jobs.Callback, error) {
	// First, so that the reaper checks it if this process dies right after.
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

// callbackSpare is the minimum time for which a callback's record is kept after its next attempt. It covers another
// attempt's timeout, or a sender that dies.
const callbackSpare = 2 * time.Minute

// endAttemptScript records the outcome of an attempt. It changes neither a finished callback nor the state of a later
// attempt, except that a late report of a successful delivery always counts. The record is kept until the next
// attempt, which a receiver may have postponed beyond the record's TTL.
//
//	KEYS[1]  the job's hash
//	ARGV     status, attempts, time of this attempt, microseconds until the next
//	         one (0 for none), HTTP status of the response, error, minimum time in
//	         milliseconds for which the record is kept after the next attempt
//	returns  1 if it was recorded, else 0
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

// EndCallback records the outcome of an attempt begun with BeginCallback. pause is the time until the next attempt, if
// callback.Status is CallbackPending.
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
	case !noted: // the process that recorded another outcome does the rest
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

// decodeCallback returns nil for a job without a callback.
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
