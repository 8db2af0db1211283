package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/redisconn"
)

const (
	// maxHeld bounds the large records that are held at once to answer clients, in
	// bytes. Each is there up to three times: as Redis gave it, decoded, and encoded.
	maxHeld = 64 << 20
	// largeRecord is from when on a record counts.
	largeRecord = 64 << 10
	// heldPatience is how long a record waits for others to be gone.
	heldPatience = 5 * time.Second
)

// lookScript gives a record unless it is large.
//
//	KEYS     the job's hash
//	ARGV     from how many bytes on it is, and the names of its fields: outcome and
//	         result are the last
//	returns  how many bytes these two have, and the fields, without the two if
//	         the record is large
var lookScript = redis.NewScript(`
local size = redis.call("HSTRLEN", KEYS[1], "outcome") + redis.call("HSTRLEN", KEYS[1], "result")
local last = size < tonumber(ARGV[1]) and #ARGV or #ARGV - 2
return {size, redis.call("HMGET", KEYS[1], unpack(ARGV, 2, last))}`)

// WithRoom gives the store with another room for the records that Hold gives.
func (s *Store) WithRoom(room *jobs.Room) *Store {
	other := *s
	other.held = room
	return &other
}

// Hold gives a job's record for an answer to a client. A large one is read only
// once there is room for it, and keeps it until Release. A look at Redis takes
// patience at most, and longer for what is large. CodeNotFound; CodeUnavailable with
// jobs.ErrNoRoom, and then the record without what is large.
func (s *Store) Hold(ctx context.Context, id string, patience time.Duration) (jobs.Record, error) {
	record, size, err := s.look(ctx, id, patience, largeRecord)
	if err != nil || size < largeRecord {
		return record, err
	}
	record.Outcome = nil // it is not whole
	release, ok := s.held.Take(ctx, size)
	if !ok {
		if err := ctx.Err(); err != nil {
			return record, err
		}
		return record, &jobs.Error{Code: jobs.CodeUnavailable, Message: "too many large results are being read at once; read this one a little later", Cause: jobs.ErrNoRoom}
	}
	bounded, cancel := context.WithTimeout(ctx, patience+redisconn.TransferTime(int(size)))
	defer cancel()
	if record, err = s.get(bounded, redisconn.ForBytes(s.client, int(size)), id); err != nil {
		release()
		return record, err
	}
	return record.Held(release), nil
}

// Describe returns a job's record without what may be large, and so needs no room for
// it: of the outcome of a job that has ended, there are only the files. A look at Redis
// takes patience at most. CodeNotFound.
func (s *Store) Describe(ctx context.Context, id string, patience time.Duration) (jobs.Record, error) {
	record, _, err := s.look(ctx, id, patience, 0)
	return record, err
}

// look gives a record, and how many bytes its outcome and its result have. If that is
// large or more, the record has neither: of its outcome, there are only the files.
func (s *Store) look(ctx context.Context, id string, patience time.Duration, large int64) (record jobs.Record, size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := []any{large}
	for _, name := range recordFields {
		args = append(args, name)
	}
	reply, err := lookScript.Run(ctx, s.client, []string{jobKey(id)}, args...).Slice()
	if err != nil {
		return record, 0, fmt.Errorf("read job %s: %w", id, err)
	}
	size, _ = reply[0].(int64)
	values, _ := reply[1].([]any)
	f, err := named(recordFields, values)
	if err == nil {
		record = decodeRecord(id, f)
		if size < large {
			err = decodeEnd(&record, f)
		} else if record.State.Ended() {
			record.Outcome = &jobs.Outcome{}
			record.Outcome.Files, err = decodeFiles(f["files"])
		}
	}
	if err != nil {
		return jobs.Record{}, size, fmt.Errorf("read job %s: %w", id, err)
	}
	return record, size, nil
}
