package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// Load returns the fields of a job that a worker needs. An ended job has no script. It is for workers, and for jobs
// that a request has created or read. It returns a *jobs.Error with CodeNotFound if there is no such job.
func (s *Store) Load(ctx context.Context, id string) (jobs.Job, jobs.State, error) {
	f, err := fields(ctx, s.of(id), id, "state", "tenant", "script", "async", "request_id", "reply_to")
	if err != nil {
		return jobs.Job{}, "", fmt.Errorf("load job %s: %w", id, err)
	}
	job := jobs.Job{
		ID:        id,
		Tenant:    decodeTenant(f["tenant"]),
		Script:    f["script"],
		Async:     f["async"] == "1",
		RequestID: f["request_id"],
		ReplyTo:   f["reply_to"],
	}
	return job, jobs.State(f["state"]), nil
}

// recordFields are the fields of a record. readSmallScript needs the state and the tenant first, and last the files and
// the large ones.
var recordFields = []string{
	"state", "tenant", "created_at", "started_at", "finished_at", "entry", "environment", "labels", "webhook",
	"webhook_state", "limits", "files", "outcome", "result",
}

// Get returns a job's record, however large it is. It returns a *jobs.Error with CodeNotFound if there is none.
func (s *Store) Get(ctx context.Context, caller jobs.Caller, id string) (jobs.Record, error) {
	if _, err := s.State(ctx, caller, id); err != nil {
		return jobs.Record{}, err
	}
	return s.get(ctx, s.of(id), id)
}

// get reads a record that a caller sees.
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
		ID:          id,
		Tenant:      decodeTenant(f["tenant"]),
		State:       jobs.State(f["state"]),
		Entry:       jobs.Entry(f["entry"]),
		Environment: f["environment"],
		Labels:      decodeLabels(f["labels"]),
		CreatedAt:   parseTime(f["created_at"]),
		StartedAt:   parseTime(f["started_at"]),
		FinishedAt:  parseTime(f["finished_at"]),
		Webhook:     decodeWebhook(f["webhook"], f["webhook_state"], jobs.State(f["state"])),
		Limits:      decidedLimits(f["limits"]),
	}
}

// decidedLimits returns the limits of a record; zero if a worker is yet to decide them, or if they are damaged.
func decidedLimits(stored string) jobs.RequestedLimits {
	limits, open, err := decodeLimits(stored)
	if err != nil || open {
		return jobs.RequestedLimits{}
	}
	return limits
}

// decodeEnd decodes the outcome of a job that has ended.
func decodeEnd(record *jobs.Record, f map[string]string) (err error) {
	if record.State.Ended() {
		record.OutcomeBytes = len(f["outcome"]) + len(f["result"])
		record.Outcome, err = decodeOutcome(f["outcome"], f["result"], f["files"])
	}
	if err == nil && record.Outcome != nil && record.Outcome.Limits != (jobs.RequestedLimits{}) {
		record.Limits = record.Outcome.Limits // those that the worker decided
	}
	return err
}

// States returns the states of many jobs in one round trip. It leaves out unknown ids. It is for jobs that requests
// have created or read: those with waiters, and the jobs of a batch.
func (s *Store) States(ctx context.Context, ids []string) (map[string]jobs.State, error) {
	pipeline := s.parts.ByID().Pipeline()
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

// fields reads named fields of a job's hash. It returns a *jobs.Error with CodeNotFound if the first one is missing.
func fields(ctx context.Context, client redis.UniversalClient, id string, names ...string) (map[string]string, error) {
	values, err := client.HMGet(ctx, jobKey(id), names...).Result()
	if err != nil {
		return nil, err
	}
	return named(names, values)
}

// named maps names of fields to their values. It returns a *jobs.Error with CodeNotFound if the first one is missing.
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

func decodeOutcome(encoded, result, files string) (*jobs.Outcome, error) {
	var stored storedOutcome
	if err := json.Unmarshal([]byte(encoded), &stored); err != nil {
		return nil, fmt.Errorf("decode the outcome: %w", err)
	}
	outcome := stored.Outcome
	if limits, err := stored.Limits.decode(); err == nil {
		outcome.Limits = limits
	}
	if result != "" {
		outcome.Result = jsontext.Value(result)
	}
	var err error
	outcome.Files, err = decodeFiles(files)
	return &outcome, err
}

func decodeFiles(encoded string) (files []jobs.OutputFile, err error) {
	if encoded == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(encoded), &files); err != nil {
		return nil, fmt.Errorf("decode the outcome's files: %w", err)
	}
	return files, nil
}
