package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

const (
	webhookURL   = "https://a.example/x?token=secret"
	openJobs     = "cellblock:{index}:open"
	openWebhooks = "cellblock:{index}:webhooks"
)

// webhookQueue is a queue that accepts everything, or nothing while err is set.
type webhookQueue struct {
	mu  sync.Mutex
	ids []string
	err error
}

func (r *webhookQueue) EnqueueWebhook(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.ids = append(r.ids, id)
	}
	return r.err
}

func newStoreWithWebhooks(t *testing.T) (*store.Store, redis.UniversalClient, *webhookQueue) {
	t.Helper()
	s, client := newStore(t)
	queue := &webhookQueue{}
	return s.WithWebhooks(queue), client, queue
}

func withWebhook(j *jobs.Job) { j.WebhookURL = webhookURL }

func isOpen(t *testing.T, client redis.UniversalClient, id string) bool {
	t.Helper()
	err := client.ZScore(t.Context(), openJobs, id).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return err == nil
}

// However a job ends, its webhook is queued before it leaves the open jobs.
func TestEveryEndQueuesTheWebhook(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*store.Store, string) error{
		"end": func(s *store.Store, id string) error {
			_, err := s.End(t.Context(), id, succeeded("1"))
			return err
		},
		"withdraw": func(s *store.Store, id string) error {
			_, err := s.Withdraw(t.Context(), id, failed(jobs.CodeUnavailable))
			return err
		},
		"cancel": func(s *store.Store, id string) error {
			_, err := s.Cancel(t.Context(), operator, id)
			return err
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s, client, queue := newStoreWithWebhooks(t)
			job := createJob(t, s, withWebhook)
			if got := getRecord(t, s, job.ID).Webhook; got == nil || got.URL != webhookURL ||
				got.Status != jobs.WebhookWaiting {
				t.Errorf("before: %+v", got)
			}
			queue.err = errors.New("away")
			if err := end(s, job.ID); err != nil {
				t.Fatal(err)
			}
			if !isOpen(t, client, job.ID) {
				t.Fatal("it has left the open jobs, and its webhook is nowhere")
			}
			queue.err = nil
			_, open, err := s.DueJobs(t.Context(), 10)
			deadline := time.Now().Add(3 * time.Second)
			for err == nil && len(open) == 0 && time.Now().Before(deadline) {
				time.Sleep(20 * time.Millisecond)
				_, open, err = s.DueJobs(t.Context(), 10)
			}
			if err != nil || len(open) != 1 || !open[0].Webhook || !open[0].State.Ended() {
				t.Fatalf("the reaper sees %+v, %v", open, err)
			}
			if err := s.FinalizeJob(t.Context(),
				store.EndedJob{
					ID: job.ID, Tenant: open[0].Tenant, State: open[0].State, TTL: open[0].TTL,
					Webhook: open[0].Webhook,
				}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(queue.ids, []string{job.ID}) || isOpen(t, client, job.ID) {
				t.Errorf("queued: %v, open: %t", queue.ids, isOpen(t, client, job.ID))
			}
			if got := getRecord(t, s, job.ID).Webhook; got.Status != jobs.WebhookPending || got.Attempts != 0 {
				t.Errorf("after: %+v", got)
			}
		})
	}
}

// Without a queue for webhooks, a job with a webhook stays open, and others do not.
func TestWebhookSurvivesWithoutAQueue(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	with, without := createJob(t, s, withWebhook), createJob(t, s)
	endJob(t, s, with.ID, succeeded("1"))
	endJob(t, s, without.ID, succeeded("1"))
	if !isOpen(t, client, with.ID) || isOpen(t, client, without.ID) {
		t.Error("not as it should be")
	}
}

// A job without a webhook costs no additional commands.
func TestJobsWithoutAWebhookPayNothing(t *testing.T) {
	t.Parallel()
	s, client, queue := newStoreWithWebhooks(t)
	job := createJob(t, s)
	before := commands(t, client)
	endJob(t, s, job.ID, succeeded("1"))
	after := commands(t, client)
	spent := map[string]int{}
	for name, n := range after {
		if n -= before[name]; n > 0 && name != "info" && name != "script|load" {
			spent[name] = n
		}
	}
	// The end and its settling, each once, or twice if Redis has not cached the script.
	delete(spent, "evalsha")
	delete(spent, "eval")
	want := map[string]int{
		"hmget": 1, "time": 1, "hset": 1, "hdel": 1, "pexpire": 1, "publish": 1,
		"zrem": 1, "incr": 1,
	}
	for name, n := range spent {
		if want[name] != n {
			t.Errorf("%s: %d times, want %d", name, n, want[name])
		}
	}
	if len(spent) != len(want) || len(queue.ids) != 0 || getRecord(t, s, job.ID).Webhook != nil {
		t.Errorf("spent %v, queued %v", spent, queue.ids)
	}
}

// commands counts the commands that Redis has executed, those of scripts included.
func commands(t *testing.T, client redis.UniversalClient) map[string]int {
	t.Helper()
	info, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(info) {
		name, values, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
		number, _, _ := strings.Cut(values, ",")
		for _, digit := range number {
			counts[name] = 10*counts[name] + int(digit-'0')
		}
		if !found {
			delete(counts, name)
		}
	}
	return counts
}

// A record is kept for as long as the delivery of its webhook may take.
func TestRecordsWithAWebhookAreKept(t *testing.T) {
	t.Parallel()
	s, client, _ := newStoreWithWebhooks(t)
	for name, c := range map[string]struct {
		change func(*jobs.Job)
		want   time.Duration
	}{
		"sync":               {func(*jobs.Job) {}, settings.SyncResultTTL},
		"sync with webhook":  {withWebhook, settings.ResultTTL},
		"async with webhook": {func(j *jobs.Job) { withWebhook(j); j.Async = true }, settings.ResultTTL},
	} {
		job := createJob(t, s, c.change)
		taken, _, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
		if err != nil || taken.WebhookURL != job.WebhookURL || s.TTL(taken) != c.want {
			t.Errorf("%s: taken as %+v, %v", name, taken, err)
		}
		endJob(t, s, job.ID, succeeded("1"))
		if ttl := client.PTTL(t.Context(), "cellblock:{"+job.ID+"}:job").Val(); ttl > c.want ||
			ttl < c.want-time.Minute {
			t.Errorf("%s: kept for %s, want %s", name, ttl, c.want)
		}
	}
}

func beginWebhook(t *testing.T, s *store.Store, id string) jobs.Webhook {
	t.Helper()
	webhook, err := s.BeginWebhook(t.Context(), id, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return webhook
}

func TestAttemptsAreRecorded(t *testing.T) {
	t.Parallel()
	s, client, _ := newStoreWithWebhooks(t)
	job := createJob(t, s, withWebhook)
	endJob(t, s, job.ID, succeeded("1"))
	first := beginWebhook(t, s, job.ID)
	if first.URL != webhookURL || first.Status != jobs.WebhookPending || first.Attempts != 1 ||
		time.Since(first.LastAttemptAt).Abs() > 5*time.Second {
		t.Errorf("begun: %+v", first)
	}
	first.ResponseStatus, first.Error = 500, "status"
	if err := s.EndWebhook(t.Context(), job.ID, first, time.Minute); err != nil {
		t.Fatal(err)
	}
	got := *getRecord(t, s, job.ID).Webhook
	if wait := got.NextAttemptAt.Sub(got.LastAttemptAt); wait < time.Minute || wait > 70*time.Second {
		t.Errorf("the next one is after %s", wait)
	}
	got.NextAttemptAt = time.Time{}
	if got != first {
		t.Errorf("noted as %+v, want %+v", got, first)
	}
	second := beginWebhook(t, s, job.ID)
	if second.Attempts != 2 || second.ResponseStatus != 0 || second.Error != "" {
		t.Errorf("begun again: %+v", second)
	}
	second.Status, second.ResponseStatus = jobs.WebhookDelivered, 204
	if err := s.EndWebhook(t.Context(), job.ID, second, 0); err != nil {
		t.Fatal(err)
	}
	// A late report of another attempt, and a second delivery by the queue.
	if err := s.EndWebhook(t.Context(), job.ID, first, time.Minute); err != nil {
		t.Fatal(err)
	}
	if again := beginWebhook(t, s, job.ID); again != second || *getRecord(t, s, job.ID).Webhook != second {
		t.Errorf("what was delivered is %+v", again)
	}
	ttl := client.PTTL(t.Context(), "cellblock:{"+job.ID+"}:job").Val()
	if ttl <= 0 || ttl > settings.ResultTTL {
		t.Errorf("the record is kept for %s", ttl)
	}
}

// Recording an attempt does not recreate an expired record.
func TestAttemptsForAnExpiredJob(t *testing.T) {
	t.Parallel()
	s, client, _ := newStoreWithWebhooks(t)
	id, plain := jobs.NewID(), createJob(t, s)
	for _, id := range []string{id, plain.ID} {
		if _, err := s.BeginWebhook(t.Context(), id, time.Second); !isNotFound(err) {
			t.Errorf("got %v", err)
		}
	}
	if err := s.EndWebhook(t.Context(), id, jobs.Webhook{Status: jobs.WebhookFailed, Attempts: 1}, 0); err != nil {
		t.Error(err)
	}
	if n := client.Exists(t.Context(), "cellblock:{"+id+"}:job").Val(); n != 0 {
		t.Error("it is there")
	}
}

func TestDueWebhooks(t *testing.T) {
	t.Parallel()
	s, client, _ := newStoreWithWebhooks(t)
	due := func() []string {
		t.Helper()
		// Make every check due.
		ids := client.ZRange(t.Context(), openWebhooks, 0, -1).Val()
		for _, id := range ids {
			client.ZAdd(t.Context(), openWebhooks, redis.Z{Score: 1, Member: id})
		}
		ids, err := s.DueWebhooks(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	job := createJob(t, s, withWebhook)
	endJob(t, s, job.ID, succeeded("1"))
	if ids, err := s.DueWebhooks(t.Context(), 10); err != nil || len(ids) != 0 {
		t.Errorf("due at once: %v, %v", ids, err)
	}
	if ids := due(); !slices.Equal(ids, []string{job.ID}) {
		t.Errorf("due: %v", ids)
	}
	webhook := beginWebhook(t, s, job.ID)
	if ids, err := s.DueWebhooks(t.Context(), 10); err != nil || len(ids) != 0 {
		t.Errorf("due while it is sent: %v, %v", ids, err)
	}
	webhook.Status = jobs.WebhookFailed
	if err := s.EndWebhook(t.Context(), job.ID, webhook, 0); err != nil {
		t.Fatal(err)
	}
	if n := client.ZCard(t.Context(), openWebhooks).Val(); n != 0 {
		t.Errorf("%d webhooks are open", n)
	}
	// A job that a slow process settles once more, and one whose record has expired.
	for _, id := range []string{job.ID, jobs.NewID()} {
		if err := s.WatchWebhook(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
	}
	if ids := due(); len(ids) != 0 || client.ZCard(t.Context(), openWebhooks).Val() != 0 {
		t.Errorf("due: %v", ids)
	}
}
