package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
	"cellblock/internal/redisconn"
)

const (
	// recordBudget bounds the total size, in bytes, of the large records held at the same time to answer clients. Each
	// is in memory up to three times: as received from Redis, decoded, and encoded.
	recordBudget = 64 << 20
	// LargeRecord is the number of OutcomeBytes from which a record counts against the budget.
	LargeRecord = 64 << 10
	// budgetPatience is how long the read of a large record waits until others are released.
	budgetPatience = 5 * time.Second
)

// readSmallScript returns a record without its large fields if the record is large. It reads nothing of which a job may
// have much before it knows that the viewer sees the job: the time would show that there is one.
//
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  size in bytes from which a record is large
//	ARGV[2]  viewer
//	ARGV[3…] names of its fields: state and tenant first; files, outcome and result last
//	returns  the size in bytes of the last two, and the values of the fields, without the two if the record is large,
//	         and without the three if the job has not ended; nil if there is no such job, or the viewer does not see
//	         it
var readSmallScript = redis.NewScript(seesFunction + `
local values = redis.call("HMGET", KEYS[1], unpack(ARGV, 3, #ARGV - 3))
if not values[1] or not sees(ARGV[2], values[2]) then
	return nil
end
if values[1] == "queued" or values[1] == "running" then
	return {0, values}
end
local size = redis.call("HSTRLEN", KEYS[1], "outcome") + redis.call("HSTRLEN", KEYS[1], "result")
local last = size < tonumber(ARGV[1]) and #ARGV or #ARGV - 2
for _, value in ipairs(redis.call("HMGET", KEYS[1], unpack(ARGV, #ARGV - 2, last))) do
	table.insert(values, value)
end
return {size, values}`)

// WithBudget returns a copy of the store that takes the memory for the records of ReadBudgeted from another budget.
func (s *Store) WithBudget(budget *membudget.Budget) *Store {
	other := *s
	other.budget = budget
	return &other
}

// Budget returns the budget of ReadBudgeted.
func (s *Store) Budget() *membudget.Budget { return s.budget }

// ReadBudgeted returns a job's record for an answer to a client. It reads a large record only after acquiring memory
// for it, which the caller frees with release; further calls, and those after an error, do nothing. A read from Redis
// takes at most patience, and longer for a large record. It returns a *jobs.Error with CodeNotFound if there is no such
// job, and one with CodeUnavailable that wraps membudget.ErrExhausted, together with the record without its outcome, if
// there was no memory in time.
func (s *Store) ReadBudgeted(
	ctx context.Context, caller jobs.Caller, id string, patience time.Duration,
) (record jobs.Record, release func(), err error) {
	record, err = s.readSmall(ctx, caller, id, patience, LargeRecord)
	size := record.OutcomeBytes
	if err != nil || size < LargeRecord {
		return record, func() {}, err
	}
	record.Outcome = nil // it is incomplete
	release, ok := s.budget.Acquire(ctx, int64(size))
	if !ok {
		if err := ctx.Err(); err != nil {
			return record, release, err
		}
		return record, release, &jobs.Error{
			Code:    jobs.CodeUnavailable,
			Message: "too many large results are being read at once; read this one a little later",
			Cause:   membudget.ErrExhausted,
		}
	}
	bounded, cancel := context.WithTimeout(ctx, patience+redisconn.TransferTime(size))
	defer cancel()
	if record, err = s.get(bounded, redisconn.ForBytes(s.of(id), size), id); err != nil {
		release()
	}
	return record, release, err
}

// Describe returns a job's record without the fields that may be large, so it needs no memory of the budget: the
// outcome of an ended job has only the files. A read from Redis takes at most patience. It returns a *jobs.Error with
// CodeNotFound if there is no such job.
func (s *Store) Describe(
	ctx context.Context, caller jobs.Caller, id string, patience time.Duration,
) (jobs.Record, error) {
	return s.readSmall(ctx, caller, id, patience, 0)
}

// readSmall returns a record. If its OutcomeBytes are at least large, the outcome of an ended job has only the files.
func (s *Store) readSmall(
	ctx context.Context, caller jobs.Caller, id string, patience time.Duration, large int,
) (jobs.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := []any{large, viewerOf(caller)}
	for _, name := range recordFields {
		args = append(args, name)
	}
	reply, err := readSmallScript.Run(ctx, s.of(id), []string{jobKey(id)}, args...).Slice()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("job")
	}
	if err != nil {
		return jobs.Record{}, fmt.Errorf("read job %s: %w", id, err)
	}
	size, _ := reply[0].(int64)
	values, _ := reply[1].([]any)
	f, err := named(recordFields, values)
	record := decodeRecord(id, f)
	record.OutcomeBytes = int(size)
	switch {
	case err != nil:
	case record.OutcomeBytes < large:
		err = decodeEnd(&record, f)
	case record.State.Ended():
		record.Outcome = &jobs.Outcome{}
		record.Outcome.Files, err = decodeFiles(f["files"])
	}
	if err != nil {
		return jobs.Record{}, fmt.Errorf("read job %s: %w", id, err)
	}
	return record, nil
}
