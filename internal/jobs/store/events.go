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
	// maxPieces bounds the stream of a job's output in pieces. A worker tells at
	// most 50 a second, and no more text than the job's outputs may have.
	maxPieces = 100_000
	// eventsGrace is how long the stream is kept after the job's end, for those who
	// are reading it: what the record says of a job that was killed may be less.
	eventsGrace = 10 * time.Second
)

// EventsKey is the stream of what a watched job printed, and the Pub/Sub channel
// that is told whenever there is more in it or the job's state has changed.
func EventsKey(id string) string { return "cellblock:{" + id + "}:events" }

// appendScript adds pieces to a job's stream.
//
//	KEYS[1]  the stream
//	ARGV     TTL in milliseconds, how many pieces it may have, then for each piece:
//	         which output, where it begins, text
var appendScript = redis.NewScript(`
for i = 3, #ARGV, 3 do
	redis.call("XADD", KEYS[1], "MAXLEN", "~", ARGV[2], "*", "s", ARGV[i], "a", ARGV[i + 1], "t", ARGV[i + 2])
end
redis.call("PEXPIRE", KEYS[1], ARGV[1])
redis.call("PUBLISH", KEYS[1], "")
return 1`)

// Append tells those who watch a job what it printed, and keeps it for ttl. After a
// lost reply a piece may be there twice.
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

// Tail gives a job's state, and at most n pieces of its stream after the place
// cursor (at first ""), with the place of each. If the state is a final one, there
// are no later pieces than those that were there. CodeNotFound.
func (s *Store) Tail(ctx context.Context, id, cursor string, n int) (state jobs.State, pieces []Piece, err error) {
	low := "-"
	if cursor != "" {
		low = "(" + cursor
	}
	pipeline := s.client.Pipeline()
	stands := pipeline.HGet(ctx, jobKey(id), "state") // first: what it says is then true of the stream
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

// Piece is one of a stream's.
type Piece struct {
	// Cursor is its place in the stream.
	Cursor string
	jobs.Printed
}
