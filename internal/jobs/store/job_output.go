package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

const (
	// maxEntries bounds the number of entries in the stream of a job's output. A worker sends at most 50 a second, and
	// no more text than the job's output limit.
	maxEntries = 100_000
	// eventsGrace is how long the stream is kept after the job's end for clients that are still reading it: the record
	// of a killed job may contain less of the output.
	eventsGrace = 10 * time.Second
)

// appendScript adds entries to a job's stream.
//
//	KEYS[1]  cellblock:{id}:events
//	KEYS[2]  cellblock:{id}:job
//	ARGV[1]  TTL in milliseconds
//	ARGV[2]  maximum number of entries in the stream
//	ARGV[3…] for each chunk: name of the output stream, offset, text
//	returns  1
var appendScript = redis.NewScript(channelsFunctions + `
for i = 3, #ARGV, 3 do
	redis.call("XADD", KEYS[1], "MAXLEN", "~", ARGV[2], "*", "s", ARGV[i], "a", ARGV[i + 1], "t", ARGV[i + 2])
end
redis.call("PEXPIRE", KEYS[1], ARGV[1])
publish(redis.call("HGET", KEYS[2], "watched"), KEYS[1])
return 1`)

// AppendOutput adds output to a job's stream, notifies the watching replicas, and keeps the stream for ttl. If a reply
// was lost, a chunk may be there twice.
func (s *Store) AppendOutput(ctx context.Context, id string, chunks []jobs.OutputChunk, ttl time.Duration) error {
	args := []any{ttl.Milliseconds(), maxEntries}
	for _, chunk := range chunks {
		args = append(args, string(chunk.Stream), chunk.Offset, chunk.Text)
	}
	if err := appendScript.Run(ctx, s.of(id), []string{EventsKey(id), jobKey(id)}, args...).Err(); err != nil {
		return fmt.Errorf("append the output of job %s: %w", id, err)
	}
	return nil
}

// Tail returns a job's state and at most n entries of its stream after cursor ("" for the start). If the state is
// final, no entries will be added after those in the stream. It returns a *jobs.Error with CodeNotFound if there is no
// such job. Ask Watch or State first whether the caller sees the job: Tail reads the entries before it knows.
func (s *Store) Tail(
	ctx context.Context, caller jobs.Caller, id, cursor string, n int,
) (state jobs.State, entries []StreamEntry, err error) {
	low := "-"
	if cursor != "" {
		low = "(" + cursor
	}
	pipeline := s.of(id).Pipeline()
	// First, so that the stream is at least as new as the state.
	stands := pipeline.HMGet(ctx, jobKey(id), "state", "tenant")
	stream := pipeline.XRangeN(ctx, EventsKey(id), low, "+", int64(n))
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return "", nil, fmt.Errorf("read the output of job %s: %w", id, err)
	}
	job := texts(stands.Val())
	if job[0] == "" || !caller.Sees(decodeTenant(job[1])) {
		return "", nil, jobs.NotFound("job")
	}
	for _, message := range stream.Val() {
		text := func(name string) string { s, _ := message.Values[name].(string); return s }
		at, err := strconv.Atoi(text("a"))
		if err != nil {
			return "", nil, fmt.Errorf("read the output of job %s: %w", id, err)
		}
		entries = append(entries, StreamEntry{
			Cursor:      message.ID,
			OutputChunk: jobs.OutputChunk{Stream: jobs.Stream(text("s")), Offset: at, Text: text("t")},
		})
	}
	return jobs.State(job[0]), entries, nil
}

// StreamEntry is an entry of a job's output stream.
type StreamEntry struct {
	// Cursor is the entry's position in the stream.
	Cursor string
	jobs.OutputChunk
}
