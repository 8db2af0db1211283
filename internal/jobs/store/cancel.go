package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// CancelChannel is the Pub/Sub channel that tells workers of jobs to be
// cancelled. The record says it too, since messages may be lost.
const CancelChannel = "cellblock:cancel"

// cancelScript marks a running job to be cancelled.
//
//	KEYS[1]  the job's hash
//	ARGV     id, channel
//	returns  the state; nil if there is no such job
var cancelScript = redis.NewScript(`
local state = redis.call("HGET", KEYS[1], "state")
if state == "running" then
	redis.call("HSET", KEYS[1], "cancel", "1")
	redis.call("PUBLISH", ARGV[2], ARGV[1])
end
return state`)

// Cancel ends a queued job as cancelled, asks for the end of a running one, and
// gives the state that the job has then. CodeNotFound.
func (s *Store) Cancel(ctx context.Context, id string) (jobs.State, error) {
	failure := &jobs.Failure{Code: jobs.CodeCancelled, Message: "the job was cancelled before it started"}
	if cancelled, err := s.Withdraw(ctx, id, jobs.Outcome{Failure: failure}); err != nil {
		return "", err
	} else if cancelled {
		return jobs.StateCancelled, nil
	}
	state, err := cancelScript.Run(ctx, s.client, []string{jobKey(id)}, id, CancelChannel).Text()
	if errors.Is(err, redis.Nil) {
		err = notFound()
	}
	if err != nil {
		return "", fmt.Errorf("cancel job %s: %w", id, err)
	}
	return jobs.State(state), nil
}

// CancelAsked gives those of the jobs that somebody wants cancelled.
func (s *Store) CancelAsked(ctx context.Context, ids []string) ([]string, error) {
	pipeline := s.client.Pipeline()
	replies := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HGet(ctx, jobKey(id), "cancel")
	}
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("look for cancelled jobs: %w", err)
	}
	var asked []string
	for i, reply := range replies {
		if reply.Val() == "1" {
			asked = append(asked, ids[i])
		}
	}
	return asked, nil
}
