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
	// maxPieces bounds the number of pieces in the stream of a job's output. A worker sends at most 50 a second, and
	// no more text than the job's output limit.
	maxPieces = 100_000
	// eventsGrace is how long the stream is kept after the job's end for clients that are still reading it: the record
	// of a killed job may contain less of the output.
	eventsGrace = 10 * time.Second
)

// EventsKey returns the key of the stream of a watched job's output. It is also the Pub/Sub channel on which a message
// is published when the stream has grown or the job's state has changed.
func EventsKey(id string) string { return "cellblock:{" + id + "}:events" }

// appendScript adds pieces to a job's stream.
//
//	KEYS[1]  the stream
//	ARGV     TTL in milliseconds, maximum number of pieces in the stream, then for
//	         each piece: the output's name, the offset, the text
var appendScript = redis.NewScript(`
for i = 3, #ARGV, 3 do
	redis.call("XADD", KEYS[1], "MAXLEN", "~", ARGV[2], "*", "s", ARGV[i], "a", ARGV[i + 1], "t", ARGV[i + 2])
end
redis.call("PEXPIRE", KEYS[1], ARGV[1])
redis.call("PUBLISH", KEYS[1], "")
return 1`)

// Append adds output to a job's stream, notifies its readers, and keeps the stream for ttl. If a reply was lost, a
// piece may be there twice.
func (s *Store) Append(ctx context.Context, id string, printed []jobs.Printed, ttl time.Duration) error {
	args := []any{ttl.Milliseconds(), maxPieces}
	for _, piece := range printed {
		args = append(args, string(piece.Stream), piece.At, piece.Text)
	}
	if err := appendScript.Run(ctx, s.client, []string{EventsKey(id)}, args...).Err(); err != nil {
		return fmt.Errorf("tell what job %s printed: %w", id, err)
	}
	return nil
}

// Tail returns a job's state and at most n pieces of its stream after cursor ("" for the start). If the state is
// final, no pieces will be added after those in the stream. It returns a *jobs.Error with CodeNotFound if there is no
// such job.
func (s *Store) Tail(ctx context.Context, id, cursor string, n int) (state jobs.State, pieces []Piece, err error) {
	low := "-"
	if cursor != "" {
		low = "(" + cursor
	}
	pipeline := s.client.Pipeline()
	stands := pipeline.HGet(ctx, jobKey(id), "state") // first, so that the stream is at least as new as the state
	stream := pipeline.XRangeN(ctx, EventsKey(id), low, "+", int64(n))
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return "", nil, fmt.Errorf("read what job %s printed: %w", id, err)
	}
	if stands.Val() == "" {
		return "", nil, notFound()
	}
	for _, message := range stream.Val() {
		text := func(name string) string { s, _ := message.Values[name].(string); return s }
		at, err := strconv.Atoi(text("a"))
		if err != nil {
			return "", nil, fmt.Errorf("read what job %s printed: %w", id, err)
		}
		pieces = append(pieces, Piece{
			Cursor:  message.ID,
			Printed: jobs.Printed{Stream: jobs.Stream(text("s")), At: at, Text: text("t")},
		})
	}
	return jobs.State(stands.Val()), pieces, nil
}

// Piece is an entry of a job's output stream.
type Piece struct {
	// Cursor is the entry's position in the stream.
	Cursor string
	jobs.Printed
}
