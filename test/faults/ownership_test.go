package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redistest"
)

// runThenWait posts a job asynchronously and, once it is accepted, again under the same key,
// synchronously. Every third of these requests hangs up. Then it polls the job to its end.
func (j *job) runThenWait(ctx context.Context, l *load) {
	key, deadline := j.key(), time.Now().Add(clientTimeout)
	for ; j.id == ""; time.Sleep(100 * time.Millisecond) {
		status, a := j.owner.call(ctx, http.MethodPost, l.url+"/execute", j.body(l.slow, true), key)
		if status == http.StatusAccepted {
			j.accept(a.JobID)
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			j.code = "never accepted"
			return
		}
	}
	waiting, cancel := context.WithTimeout(ctx, clientTimeout)
	if j.number%3 == 0 {
		cancel()
		waiting, cancel = context.WithTimeout(ctx, time.Duration(j.number%50)*time.Millisecond)
	}
	_, a := j.owner.call(waiting, http.MethodPost, l.url+"/execute", j.body(l.slow, false), key)
	cancel()
	if a.JobID != "" && a.JobID != j.id {
		j.code = "another job: " + a.JobID
		return
	}
	j.read(ctx, l, deadline)
}

// Requests join jobs that were promised to other requests, no worker is alive for longer than a
// synchronous request waits for one, and clients hang up: none of that ends a job.
func TestSameKeyAsyncThenSync(t *testing.T) {
	b := startFixture(t, 2, nil)
	l := startClients(t.Context(), b, 0.02, (*job).runThenWait)
	l.awaitEnded(t, 100)
	for _, worker := range b.Workers() {
		worker.Kill()
	}
	killed := time.Now()
	time.Sleep(6 * time.Second) // twice the grace without a worker
	b.startWorker(t, b.worker)
	b.startWorker(t, b.worker)
	l.verify(t, b.runs, killed, mayLoseNothing)
}

// runAndHangUp posts a job synchronously, without a key, and hangs up within some milliseconds.
// While no API listens it retries.
func (j *job) runAndHangUp(ctx context.Context, l *load) {
	deadline := time.Now().Add(clientTimeout)
	for errors.Is(j.postOnce(ctx, l), syscall.ECONNREFUSED) && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
}

func (j *job) postOnce(ctx context.Context, l *load) error {
	short, cancel := context.WithTimeout(ctx, time.Duration((j.number%20)*(j.number%20))*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(short, http.MethodPost, l.url+"/execute",
		strings.NewReader(j.body(l.slow, false)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", j.requestID())
	response, err := j.owner.client.Do(request)
	if err == nil {
		err = response.Body.Close()
	}
	return err
}

func (j *job) requestID() string { return fmt.Sprintf("hang-up-%d", j.number) }

// findEnds reads the ends of jobs whose clients know no ids; Redis has which request made which
// job.
func (l *load) findEnds(t *testing.T, redisURL string) {
	t.Helper()
	c := redistest.Client(t, redisURL)
	deadline := time.Now().Add(clientTimeout)
	for ; c.ZCard(t.Context(), "cellblock:{index}:open").Val() > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("jobs stay open")
		}
	}
	made := map[string][]string{}
	for _, index := range []string{"jobs", "jobs:acme", "jobs:beta"} {
		ids, err := c.ZRangeByLex(t.Context(), "cellblock:{index}:"+index, &redis.ZRangeBy{Min: "-", Max: "+"}).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			request := c.HGet(t.Context(), "cellblock:{"+id+"}:job", "request_id").Val()
			made[request] = append(made[request], id)
		}
	}
	for i := range l.jobs {
		l.jobs[i].findEnd(t, l, made[l.jobs[i].requestID()])
	}
}

func (j *job) findEnd(t *testing.T, l *load, made []string) {
	t.Helper()
	if len(made) > 1 {
		t.Errorf("job %d was made %d times", j.number, len(made))
	}
	if len(made) == 0 {
		j.end(notAccepted, "")
	} else {
		j.id = made[0]
		j.read(t.Context(), l, time.Now().Add(clientTimeout))
	}
	// unavailable: the client hung up while the job was being accepted.
	if j.code == "cancelled" || j.code == "unavailable" {
		j.code = withdrawn
	}
	j.accepted = j.known // no client waited for it
}

// A job whose client has gone runs once or is withdrawn, while a worker and the API die as well.
func TestClientsThatHangUp(t *testing.T) {
	b := startFixture(t, 2, nil)
	l := startClients(t.Context(), b, 0.02, (*job).runAndHangUp)
	l.awaitEnded(t, 150)
	b.Workers()[0].Kill()
	b.startWorker(t, b.worker)
	l.awaitEnded(t, 300)
	b.API.Kill()
	if err := b.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.all.Wait()
	l.findEnds(t, b.RedisURL)
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
	ends := map[string]int{}
	for _, j := range l.jobs {
		ends[j.code]++
	}
	t.Logf("ends: %v", ends)
	if ends[""] == 0 || ends[withdrawn] == 0 {
		t.Errorf("ends: %v; jobs that ran and jobs that were withdrawn are needed", ends)
	}
}
