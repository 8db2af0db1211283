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
	// maxHeld bounds the total size, in bytes, of the large records held at the same time to answer clients. Each is
	// in memory up to three times: as received from Redis, decoded, and encoded.
	maxHeld = 64 << 20
	// largeRecord is the size in bytes from which a record counts as large.
	largeRecord = 64 << 10
	// heldPatience is how long a record waits until others are released.
	heldPatience = 5 * time.Second
)

// lookScript returns a record without its large fields if the record is large.
//
//	KEYS     the job's hash
//	ARGV     size in bytes from which a record is large, and the names of its fields:
//	         outcome and result are the last
//	returns  the size in bytes of these two, and the fields, without the two if
//	         the record is large
var lookScript = redis.NewScript(`
local size = redis.call("HSTRLEN", KEYS[1], "outcome") + redis.call("HSTRLEN", KEYS[1], "result")
local last = size < tonumber(ARGV[1]) and #ARGV or #ARGV - 2
return {size, redis.call("HMGET", KEYS[1], unpack(ARGV, 2, last))}`)

// WithRoom returns a copy of the store that takes the memory for the records of Hold from another room.
func (s *Store) WithRoom(room *jobs.Room) *Store {
	other := *s
	other.held = room
	return &other
}

// Hold returns a job's record for an answer to a client. It reads a large record only after taking room for it, which
// the record keeps until Release. A read from Redis takes at most patience, and longer for a large record. It returns
// a *jobs.Error with CodeNotFound if there is no such job, and one with CodeUnavailable that wraps jobs.ErrNoRoom,
// together with the record without its outcome, if there was no room in time.
func (s *Store) Hold(ctx context.Context, id string, patience time.Duration) (jobs.Record, error) {
	record, size, err := s.look(ctx, id, patience, largeRecord)
	if err != nil || size < largeRecord {
		return record, err
	}
	record.Outcome = nil // it is incomplete
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

// Describe returns a job's record without the fields that may be large, so it needs no room: the outcome of an ended
// job has only the files. A read from Redis takes at most patience. It returns a *jobs.Error with CodeNotFound if
// there is no such job.
func (s *Store) Describe(ctx context.Context, id string, patience time.Duration) (jobs.Record, error) {
	record, _, err := s.look(ctx, id, patience, 0)
	return record, err
}

// look returns a record and the size in bytes of its outcome and result. If that is at least large, the record has
// neither; the outcome of an ended job then has only the files.
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
