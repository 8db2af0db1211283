package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
)

// endScript ends a job that has not ended yet, and publishes that to the waiting processes. A job of which nothing else
// is to be done is removed from the open jobs; see FinalizeJob. A job of a tenant with a bound on its running jobs
// counts no more, and lets the tenant's next one in. A job that waits where no worker may take it for long is left to
// the reaper, which removes it from its flow: one of such a tenant, or with an environment.
//
//	KEYS[1]   cellblock:{id}:job
//	KEYS[2]   cellblock:{id}:inputs
//	KEYS[3]   cellblock:{id}:events
//	KEYS[4]   cellblock:{index}:open
//	KEYS[5]   cellblock:{index}:usage
//	ARGV[1]   id
//	ARGV[2]   final state
//	ARGV[3]   outcome
//	ARGV[4]   result, "" for none
//	ARGV[5]   TTL in milliseconds of an asynchronous job whose record has none
//	ARGV[6]   and of a synchronous one
//	ARGV[7]   additional condition; see condition
//	ARGV[8]   1 if the job is withdrawn, else 0
//	ARGV[9]   how many milliseconds the events are kept
//	ARGV[10]  files, "" for none
//	ARGV[11]  size in bytes from which a record is not published
//	ARGV[12]  code of the failure, "" for none
//	ARGV[13]  usage by the outcome; see usageOf
//	returns   whether this end stands (1 or 0); and if it does: key of the idempotency record, TTL that was set, batch
//	          item, webhook URL, "" for none of each; 1 if the caller need not finalize the job, else 0;
//	          tenant, "" for the operator
//
// A stored outcome that equals ARGV[3] byte for byte counts as this end: the reply to an earlier call was lost.
var endScript = redis.NewScript(lateFunction + ttlFunction + channelsFunctions + addFunction +
	memberFunctions + finalizeFunction + usageFunction + flows.Tokens + flows.Release + `
local job = redis.call("HMGET", KEYS[1],
	"state", "async", "reply_to", "outcome", "idempotency", "inputs", "watched", "batch", "webhook", "start_by",
	"shared", "ttl", "created_at", "started_at", "entry", "environment", "tenant", "labels", "bytes_in",
	"max_running", "taken_by", "usage_label")
local state = job[1]
local ttl = job[2] == "1" and ARGV[5] or ARGV[6]
if not state then
	return {0}
end
if job[9] and tonumber(ARGV[5]) > tonumber(ttl) then
	ttl = ARGV[5] -- until it can be delivered
end
ttl = ttl_of(job[12], ttl)
if state ~= "queued" and state ~= "running" then
	return {job[4] == ARGV[3] and 1 or 0, job[5] or "", ttl, job[8] or "", job[9] or "", 0, job[17] or ""}
end
local time = redis.call("TIME")
local unmet = ARGV[7] ~= "" and state ~= "queued"
	or ARGV[7] == "late" and not late(job[10], time[1] * 1000000 + time[2])
	or ARGV[7] == "unshared" and job[11]
if unmet then
	return {0}
end
local now = string.format("%.0f", time[1] * 1000000 + time[2])
local fields = {"state", ARGV[2], "outcome", ARGV[3], "finished_at", now}
add(fields, "result", ARGV[4], ARGV[4] ~= "")
add(fields, "files", ARGV[10], ARGV[10] ~= "")
add(fields, "code", ARGV[12], ARGV[12] ~= "")
add(fields, "withdrawn", "1", ARGV[8] == "1")
redis.call("HSET", KEYS[1], unpack(fields))
redis.call("HDEL", KEYS[1], "script")
count_usage(KEYS[5], job[17], time[1], job[19], ARGV[13] .. (job[22] and " " .. job[22] or ""))
if job[6] then
	redis.call("DEL", KEYS[2])
end
if job[20] then
	release(job[17] or "operator", ARGV[1])
end
redis.call("PEXPIRE", KEYS[1], ttl)
if job[7] then
	redis.call("PEXPIRE", KEYS[3], ARGV[9])
	publish(job[7], KEYS[3])
end
if job[3] and job[3] ~= "" then
	local message = ARGV[1]
	if job[2] ~= "1" and not job[9] and #ARGV[3] + #ARGV[4] + #ARGV[10] < tonumber(ARGV[11]) then
		message = table.concat({ARGV[1], ARGV[2], job[13] or "", job[14] or "", now, #ARGV[3], #ARGV[4],
			job[15] or "", job[16] or "", job[17] or job[18] and "" or nil, job[18] or nil}, " ") .. "\n" ..
			ARGV[3] .. ARGV[4] .. ARGV[10] -- what an earlier version does not know only if there is any
	end
	redis.call("PUBLISH", job[3], message)
end
if (job[5] or "") ~= "" or job[8] or job[9] then
	return {1, job[5] or "", ttl, job[8] or "", job[9] or "", 0, job[17] or ""}
end
if state == "queued" and not job[21] and (job[16] or job[20]) then
	redis.call("ZADD", KEYS[4], "XX", now, open_member(ARGV[1], job[17]))
	return {1, "", ttl, "", "", 1, ""}
end
finalize(KEYS[4], open_member(ARGV[1], job[17]))
return {1, "", ttl, "", "", 1, ""}`)

const (
	// largestPublished is the size in bytes from which a record is not published: a waiting process reads it.
	// It is below LargeRecord: a published record is held without memory of the budget.
	largestPublished = 32 << 10
)

// ParseEnd decodes what endScript publishes: the id of an ended job, and its record if the job is synchronous and the
// record is small. It returns other messages as they are.
func ParseEnd(message string) (id string, record *jobs.Record) {
	header, body, found := strings.Cut(message, "\n")
	fields := strings.Split(header, " ")
	const earliest, count = 7, 11 // as in endScript; those after it were added one by one, the last only if needed
	for found && len(fields) >= earliest && len(fields) < count {
		fields = append(fields, "") // of a worker of an earlier version
	}
	if !found || len(fields) != count {
		return message, nil
	}
	id = fields[0]
	outcome, result := int(parseInt(fields[5])), int(parseInt(fields[6]))
	if outcome < 0 || outcome > len(body) || result < 0 || result > len(body)-outcome {
		return id, nil
	}
	record = &jobs.Record{
		ID: id, State: jobs.State(fields[1]), Entry: jobs.Entry(fields[7]), Environment: fields[8],
		Tenant: decodeTenant(fields[9]), Labels: decodeLabels(fields[10]),
		CreatedAt: parseTime(fields[2]), StartedAt: parseTime(fields[3]), FinishedAt: parseTime(fields[4]),
		OutcomeBytes: outcome + result,
	}
	var err error
	record.Outcome, err = decodeOutcome(body[:outcome], body[outcome:outcome+result], body[outcome+result:])
	if err != nil {
		return id, nil
	}
	record.Limits = record.Outcome.Limits
	return id, record
}

// End ends a job with an outcome and reports whether that outcome stands: the first one does. It starts the record's
// lifetime, deletes the script and notifies the replica that accepted the job. It is for workers and the reaper.
func (s *Store) End(ctx context.Context, id string, outcome jobs.Outcome) (bool, error) {
	return s.end(ctx, id, outcome, whileOpen)
}

// Withdraw is End for a job that has not been started. It does nothing to a running job. It is for workers, and for a
// caller who sees the job; see Cancel.
func (s *Store) Withdraw(ctx context.Context, id string, outcome jobs.Outcome) (bool, error) {
	return s.end(ctx, id, outcome, whileQueued)
}

// WithdrawUnshared is Withdraw for a job that is the answer to one request only; see MarkShared. It is for the request
// that created the job.
func (s *Store) WithdrawUnshared(ctx context.Context, id string, outcome jobs.Outcome) (bool, error) {
	return s.end(ctx, id, outcome, whileUnshared)
}

// condition is an additional condition for an end to stand, besides that the job has not ended.
type condition string

const (
	whileOpen     condition = ""
	whileQueued   condition = "queued"
	whileUnshared condition = "unshared" // queued, and the answer to one request only
	whenLate      condition = "late"     // queued, and its start deadline has passed
)

func (s *Store) end(ctx context.Context, id string, outcome jobs.Outcome, when condition) (bool, error) {
	encoded, files, err := encodeOutcome(outcome)
	if err != nil {
		return false, fmt.Errorf("end job %s: %w", id, err)
	}
	withdrawn, code := 0, ""
	if outcome.Failure != nil {
		code = string(outcome.Failure.Code)
		if outcome.Failure.Withdrawn() {
			withdrawn = 1
		}
	}
	client, err := s.clientFor(ctx, id, endScript, len(encoded)+len(outcome.Result))
	if err != nil {
		return false, fmt.Errorf("end job %s: %w", id, err)
	}
	reply, err := endScript.Run(ctx, client, []string{jobKey(id), inputsKey(id), EventsKey(id), openKey, usageKey},
		id, string(outcome.State()), encoded, []byte(outcome.Result), s.settings.ResultTTL.Milliseconds(),
		s.settings.SyncResultTTL.Milliseconds(), string(when), withdrawn, eventsGrace.Milliseconds(), files,
		largestPublished, code, usageOf(outcome)).Slice()
	if err != nil {
		return false, fmt.Errorf("end job %s: %w", id, err)
	}
	if stands, _ := reply[0].(int64); stands != 1 {
		return false, nil
	}
	if finalized, _ := reply[5].(int64); finalized == 1 {
		return true, nil
	}
	text := func(i int) string { s, _ := reply[i].(string); return s }
	ended := EndedJob{
		ID: id, Tenant: decodeTenant(text(6)), State: outcome.State(), IdempotencyKey: text(1),
		BatchItem: decodeItem(text(3)), Webhook: text(4) != "",
	}
	if withdrawn == 0 {
		ended.TTL = time.Duration(parseInt(text(2))) * time.Millisecond
	}
	_ = s.FinalizeJob(ctx, ended) // if it fails, the reaper does it again
	return true, nil
}

// storedOutcome is the stored form of an outcome. An earlier version neither stores nor reads its limits.
type storedOutcome struct {
	jobs.Outcome

	Limits storedLimits `json:"limits,omitzero"`
}

// encodeOutcome returns the JSON of an outcome without its result and files, and the JSON of the files, nil for none.
// The result is stored apart so that it stays byte for byte the same, and the files so that a download reads only
// them. Text that is not UTF-8 must not prevent a job from ending; the invalid bytes become U+FFFD.
func encodeOutcome(outcome jobs.Outcome) (encoded, files []byte, err error) {
	if len(outcome.Files) > 0 {
		files, err = json.Marshal(outcome.Files, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return nil, nil, fmt.Errorf("encode the outcome's files: %w", err)
		}
	}
	outcome.Result, outcome.Files = nil, nil
	encoded, err = json.Marshal(storedOutcome{outcome, toStoredLimits(outcome.Limits, false)},
		jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, nil, fmt.Errorf("encode the outcome: %w", err)
	}
	return encoded, files, nil
}
