// Package store keeps the jobs' records in Redis: one hash for each job, and one sorted set of the live workers.
//
// Every change of state is one atomic Lua script, and every time is read from Redis's clock (TIME, in microseconds
// since 1970), so that machines need not agree on theirs. A script may be sent again after a lost reply: the second
// run changes nothing and returns what the first did.
//
// A job's hash has these fields:
//
//	state       queued, running, succeeded, failed, cancelled
//	async       1 or 0
//	request_id  of the request that created the job
//	reply_to    Pub/Sub channel to which the id is published at the end
//	script      until the end
//	inputs      1 if the job has any; they are stored under another key (inputsKey)
//	            until the end
//	created_at  when it was accepted
//	priority    which queue it waits in
//	start_by    the start deadline; missing for none
//	webhook    URL to which the end is reported; missing for none
//	webhook_state  status of that, from the first attempt on; see webhook.go
//	limits      the job's limits, as storedLimits; missing in records of an earlier version
//	ttl         for how many milliseconds the record is kept after the end; likewise
//	idempotency key of the idempotency record, if there is one
//	batch       id of its batch and its line in that, separated by a space;
//	            missing for a single job
//	shared      1 once a second request was answered with the job
//	taken_by    the worker that took it last, fenced or not
//	withdrawn   1 once the job was withdrawn without having run
//	cancel      1 once a client asked to cancel it while it ran
//	watched     1 once a client watches it: its worker then publishes the output
//	token       which delivery was allowed to start it: the fence
//	owner       the worker of that delivery
//	started_at  when the fence was set
//	deadline    started_at plus the wall limit
//	finished_at
//	outcome     jobs.Outcome as JSON, without the result of main() and the files
//	result      the result of main(), byte for byte
//	files       the files as JSON; missing for none
//
// The hash has no TTL until the job has ended.
package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
	"cellblock/internal/redisconn"
)

// Settings are the lifetimes of records.
type Settings struct {
	ResultTTL     time.Duration `name:"result-ttl" env:"RESULT_TTL" default:"1h" help:"How long (duration) the record of an asynchronous job is kept after its end, at least 1s."`
	SyncResultTTL time.Duration `name:"sync-result-ttl" env:"SYNC_RESULT_TTL" default:"10m" help:"How long (duration) the record of a synchronous job is kept after its end, at least 1s."`
}

// Validate returns an error if a lifetime is too short for a client to read a result.
func (s Settings) Validate() error {
	if s.ResultTTL < time.Second || s.SyncResultTTL < time.Second {
		return errors.New("RESULT_TTL and SYNC_RESULT_TTL must be at least 1s")
	}
	return nil
}

// Store reads and writes records. It is safe for concurrent use. Its methods return a *jobs.Error with CodeNotFound
// where their comments mention it, and otherwise the error of the Redis client.
type Store struct {
	client   redis.UniversalClient
	settings Settings
	webhooks Webhooks
	budget   *membudget.Budget
}

// New returns a store that uses client. The caller owns client and closes it.
func New(client redis.UniversalClient, settings Settings) *Store {
	return &Store{client: client, settings: settings, budget: membudget.New(recordBudget, budgetPatience)}
}

// TTL returns how long a job's record is kept after its end. With a webhook it is kept until that can be delivered.
func (s *Store) TTL(job jobs.Job) time.Duration {
	switch {
	case job.TTL > 0:
		return job.TTL
	case job.Async:
		return s.settings.ResultTTL
	case job.WebhookURL != "":
		return max(s.settings.ResultTTL, s.settings.SyncResultTTL)
	default:
		return s.settings.SyncResultTTL
	}
}

// jobKey returns the key of a job's hash. The id is its hash tag, so that all keys of a job share a slot in a cluster.
func jobKey(id string) string { return "cellblock:{" + id + "}:job" }

// inputsKey returns the key of a job's inputs, which are kept until its end.
func inputsKey(id string) string { return "cellblock:{" + id + "}:inputs" }

// createScript creates a queued job.
//
//	KEYS     the job's hash, its inputs
//	ARGV     script, async (1 or 0), request id, reply channel, priority,
//	         start deadline in microseconds from now or 0, idempotency key,
//	         inputs or "", batch or "", webhook URL or "", limits or "", TTL in milliseconds
//	returns  1 if it was created, 0 if it exists already
var createScript = redis.NewScript(`
if redis.call("EXISTS", KEYS[1]) == 1 then
	return 0
end
local time = redis.call("TIME")
redis.call("HSET", KEYS[1],
	"state", "queued",
	"script", ARGV[1],
	"async", ARGV[2],
	"request_id", ARGV[3],
	"reply_to", ARGV[4],
	"priority", ARGV[5],
	"idempotency", ARGV[7],
	"created_at", string.format("%.0f", time[1] * 1000000 + time[2]))
if ARGV[6] ~= "0" then
	redis.call("HSET", KEYS[1], "start_by", string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[6]))
end
if ARGV[9] ~= "" then
	redis.call("HSET", KEYS[1], "batch", ARGV[9])
end
if ARGV[8] ~= "" then
	redis.call("SET", KEYS[2], ARGV[8])
	redis.call("HSET", KEYS[1], "inputs", "1")
end
if ARGV[11] ~= "" then
	redis.call("HSET", KEYS[1], "limits", ARGV[11])
end
redis.call("HSET", KEYS[1], "ttl", ARGV[12])
if ARGV[10] ~= "" then
	redis.call("HSET", KEYS[1], "webhook", ARGV[10])
end
return 1`)

// Create stores a job as queued, regardless of the number of open jobs.
func (s *Store) Create(ctx context.Context, job jobs.Job) error {
	_, err := s.Accept(ctx, job, 0)
	return err
}

// Accept stores a job as queued, unless limit jobs or more are open (0: no limit), and reports whether it is new. It
// returns a *jobs.Error with CodeQueueFull at the limit.
//
// The index is written first: it may contain jobs that do not exist, which the reaper removes, but never lacks one
// that does.
func (s *Store) Accept(ctx context.Context, job jobs.Job, limit int) (bool, error) {
	size := job.Inputs.Size()
	client, err := s.clientFor(ctx, createScript, size)
	if err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	if err := s.admit(ctx, job.ID, limit, firstCheck+redisconn.TransferTime(size)); err != nil {
		return false, fmt.Errorf("admit job %s: %w", job.ID, err)
	}
	async := 0
	if job.Async {
		async = 1
	}
	if job.Priority == "" {
		job.Priority = jobs.PriorityDefault
	}
	inputs, err := encodeInputs(job.Inputs)
	limits, limitsErr := encodeLimits(job.Limits, job.LimitsOpen)
	if err = errors.Join(err, limitsErr); err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	created, err := createScript.Run(ctx, client, []string{jobKey(job.ID), inputsKey(job.ID)}, job.Script, async, job.RequestID, job.ReplyTo,
		string(job.Priority), job.StartWithin.Microseconds(), job.IdempotencyKey, inputs, encodeItem(job.BatchItem), job.WebhookURL,
		limits, s.TTL(job).Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	return created, nil
}

// clientFor returns the client on which to run a script with size bytes of arguments. If these are large, it first
// loads the script, since Redis would answer NOSCRIPT to one that it has not cached, and the arguments were sent twice.
func (s *Store) clientFor(ctx context.Context, script *redis.Script, size int) (redis.UniversalClient, error) {
	if size < LargeRecord {
		return s.client, nil
	}
	return redisconn.ForBytes(s.client, size), script.Load(ctx, s.client).Err()
}

// Load returns the fields of a job that a worker needs. An ended job has no script. It returns a *jobs.Error with
// CodeNotFound if there is no such job.
func (s *Store) Load(ctx context.Context, id string) (jobs.Job, jobs.State, error) {
	f, err := fields(ctx, s.client, id, "state", "script", "async", "request_id", "reply_to")
	if err != nil {
		return jobs.Job{}, "", fmt.Errorf("load job %s: %w", id, err)
	}
	job := jobs.Job{
		ID:        id,
		Script:    f["script"],
		Async:     f["async"] == "1",
		RequestID: f["request_id"],
		ReplyTo:   f["reply_to"],
	}
	return job, jobs.State(f["state"]), nil
}

// recordFields are the fields of a record. The large ones are last.
var recordFields = []string{"state", "created_at", "started_at", "finished_at", "webhook", "webhook_state", "files", "outcome", "result"}

// Get returns a job's record. It returns a *jobs.Error with CodeNotFound if there is none.
func (s *Store) Get(ctx context.Context, id string) (jobs.Record, error) {
	return s.get(ctx, s.client, id)
}

func (s *Store) get(ctx context.Context, client redis.UniversalClient, id string) (jobs.Record, error) {
	f, err := fields(ctx, client, id, recordFields...)
	if err != nil {
		return jobs.Record{}, fmt.Errorf("read job %s: %w", id, err)
	}
	record := decodeRecord(id, f)
	if err := decodeEnd(&record, f); err != nil {
		return jobs.Record{}, fmt.Errorf("read job %s: %w", id, err)
	}
	return record, nil
}

// decodeRecord decodes a record's fields except for the outcome.
func decodeRecord(id string, f map[string]string) jobs.Record {
	return jobs.Record{
		ID:         id,
		State:      jobs.State(f["state"]),
		CreatedAt:  parseTime(f["created_at"]),
		StartedAt:  parseTime(f["started_at"]),
		FinishedAt: parseTime(f["finished_at"]),
		Webhook:    decodeWebhook(f["webhook"], f["webhook_state"], jobs.State(f["state"])),
	}
}

// decodeEnd decodes the outcome of a job that has ended.
func decodeEnd(record *jobs.Record, f map[string]string) (err error) {
	if record.State.Ended() {
		record.OutcomeBytes = len(f["outcome"]) + len(f["result"])
		record.Outcome, err = decodeOutcome(f["outcome"], f["result"], f["files"])
	}
	return err
}

// States returns the states of many jobs in one round trip. It leaves out unknown ids.
func (s *Store) States(ctx context.Context, ids []string) (map[string]jobs.State, error) {
	pipeline := s.client.Pipeline()
	replies := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HGet(ctx, jobKey(id), "state")
	}
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the states of %d jobs: %w", len(ids), err)
	}
	states := make(map[string]jobs.State, len(ids))
	for i, id := range ids {
		state, err := replies[i].Result()
		switch {
		case err == nil:
			states[id] = jobs.State(state)
		case !errors.Is(err, redis.Nil):
			return nil, fmt.Errorf("read the state of job %s: %w", id, err)
		}
	}
	return states, nil
}

// fields reads fields of a job's hash. It returns a *jobs.Error with CodeNotFound if the first one is missing.
func fields(ctx context.Context, client redis.UniversalClient, id string, names ...string) (map[string]string, error) {
	values, err := client.HMGet(ctx, jobKey(id), names...).Result()
	if err != nil {
		return nil, err
	}
	return named(names, values)
}

// named returns values by the names of their fields, or a *jobs.Error with CodeNotFound if the first one is missing.
func named(names []string, values []any) (map[string]string, error) {
	if values[0] == nil {
		return nil, jobs.NotFound("job")
	}
	fields := make(map[string]string, len(names))
	for i, value := range values {
		if text, ok := value.(string); ok {
			fields[names[i]] = text
		}
	}
	return fields, nil
}

// parseInt parses a whole number; it returns 0 for an invalid one.
func parseInt(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// parseTime parses microseconds since 1970; it returns the zero time for "" and for invalid text.
func parseTime(s string) time.Time {
	us, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
