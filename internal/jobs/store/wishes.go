package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// WishChannel is the Pub/Sub channel that tells workers what somebody wants of a
// running job: a Wish, a space and the id. The record says it too, since messages
// may be lost.
const WishChannel = "cellblock:wishes"

// Wish is what somebody wants of a job. Its text is the record's field for it.
type Wish string

// The wishes.
const (
	// WishCancel is for the job's end.
	WishCancel Wish = "cancel"
	// WishWatch is to be told what the job prints.
	WishWatch Wish = "watched"
)

// ParseWish reads a message of WishChannel.
func ParseWish(message string) (wish Wish, id string) {
	text, id, _ := strings.Cut(message, " ")
	return Wish(text), id
}

// wishScript notes a wish in the record of a job that has not ended, and tells the
// worker of one that runs.
//
//	KEYS[1]  the job's hash
//	ARGV     id, wish, channel, 1 to note it while the job is queued too, else 0
//	returns  the state; nil if there is no such job
var wishScript = redis.NewScript(`
local state = redis.call("HGET", KEYS[1], "state")
if state == "running" or state == "queued" and ARGV[4] == "1" then
	redis.call("HSET", KEYS[1], ARGV[2], "1")
end
if state == "running" then
	redis.call("PUBLISH", ARGV[3], ARGV[2] .. " " .. ARGV[1])
end
return state`)

func (s *Store) wish(ctx context.Context, id string, wish Wish, queuedToo int) (jobs.State, error) {
	state, err := wishScript.Run(ctx, s.client, []string{jobKey(id)}, id, string(wish), WishChannel, queuedToo).Text()
	if errors.Is(err, redis.Nil) {
		err = notFound()
	}
	return jobs.State(state), err
}

// Cancel ends a queued job as cancelled, asks for the end of a running one, and
// gives the state that the job has then. CodeNotFound.
func (s *Store) Cancel(ctx context.Context, id string) (jobs.State, error) {
	failure := &jobs.Failure{Code: jobs.CodeCancelled, Message: "the job was cancelled before it started"}
	if cancelled, err := s.Withdraw(ctx, id, jobs.Outcome{Failure: failure}); err != nil {
		return "", err
	} else if cancelled {
		return jobs.StateCancelled, nil
	}
	state, err := s.wish(ctx, id, WishCancel, 0)
	if err != nil {
		return "", fmt.Errorf("cancel job %s: %w", id, err)
	}
	return state, nil
}

// Watch asks for what a job prints, from its start or its worker's next look on,
// and gives the job's state. CodeNotFound.
func (s *Store) Watch(ctx context.Context, id string) (jobs.State, error) {
	state, err := s.wish(ctx, id, WishWatch, 1)
	if err != nil {
		return "", fmt.Errorf("watch job %s: %w", id, err)
	}
	return state, nil
}

// Wishes gives what somebody wants of the jobs, as messages of WishChannel have it.
func (s *Store) Wishes(ctx context.Context, ids []string) ([]string, error) {
	pipeline := s.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	all := []Wish{WishCancel, WishWatch}
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), string(WishCancel), string(WishWatch))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for what is wanted of %d jobs: %w", len(ids), err)
	}
	var wishes []string
	for i, reply := range replies {
		for j, asked := range reply.Val() {
			if asked == "1" {
				wishes = append(wishes, string(all[j])+" "+ids[i])
			}
		}
	}
	return wishes, nil
}
