package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"
)

const (
	// findTimeout is how long to look for the job of a client that hung up; a job not found by
	// then was not accepted.
	findTimeout = time.Second
	// searchedJobs is how many jobs of the list are searched for it.
	searchedJobs = 300
)

// abandon posts without a key and hangs up within some milliseconds. An accepted job has an end,
// which abandon reads: the job ran, or it was withdrawn (cancelled; unavailable if it was still being
// accepted).
func (j *job) abandon(ctx context.Context, l *load) {
	requestID := fmt.Sprintf("soak-leave-%d", j.number)
	short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(20))*time.Millisecond)
	defer cancel()
	j.postOnce(short, l.url, requestID)
	deadline := time.Now().Add(findTimeout)
	for ; j.id == "" && time.Now().Before(deadline); pause(ctx, 50*time.Millisecond) {
		j.id = jobOf(ctx, l.redis, requestID)
	}
	if j.id != "" {
		j.read(ctx, l.url)
	}
}

// postOnce posts the job without a key and ignores the response.
func (j *job) postOnce(ctx context.Context, url, requestID string) {
	body, err := json.Marshal(request{Script: j.kind.body(j.number)})
	if err != nil {
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/execute", bytes.NewReader(body))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", requestID)
	if response, err := httpClient.Do(r); err == nil {
		_ = response.Body.Close()
	}
}

// jobOf returns the id of the job that a request made, read from Redis itself; "" if there is none.
// Ids are ordered by time.
func jobOf(ctx context.Context, client redis.UniversalClient, requestID string) string {
	ids, err := client.ZRevRangeByLex(ctx, "cellblock:{index}:jobs",
		&redis.ZRangeBy{Min: "-", Max: "+", Count: searchedJobs}).Result()
	if err != nil {
		return ""
	}
	pipeline := client.Pipeline()
	replies := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HGet(ctx, "cellblock:{"+id+"}:job", "request_id")
	}
	_, _ = pipeline.Exec(ctx) // fails if one of the records has expired
	for i, id := range ids {
		if replies[i].Val() == requestID {
			return id
		}
	}
	return ""
}

// postAgainAndWait posts the accepted job again under its key and waits for the response; one time in two
// it hangs up. Neither may end the job.
func (j *job) postAgainAndWait(ctx context.Context, url string) {
	if rand.IntN(2) == 0 {
		short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(20))*time.Millisecond)
		defer cancel()
		ctx = short
	}
	_, a := execute(ctx, url, fmt.Sprintf("soak-%d", j.number), request{Script: j.kind.body(j.number)})
	if a.JobID != "" && a.JobID != j.id {
		j.problem = fmt.Sprintf("its key, used by a request that waits, has the job %q, not %q", a.JobID, j.id)
	}
}
