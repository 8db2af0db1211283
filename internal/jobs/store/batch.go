package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// The keys of a batch share one slot, which differs from the slots of its jobs:
//
//	batch    hash: created_at, finished_at, total, ttl, idempotency (the key of the
//	         idempotency record, if there is one), and the number of ended lines by state
//	members  list of the job ids, by line
//	refused  hash: the reason why a line was refused, by line
//	ended    sorted set of the ended lines, scored by the order in which they ended

func batchKeys(id string) []string {
	prefix := "cellblock:{" + id + "}:"
	return []string{prefix + "batch", prefix + "members", prefix + "refused", prefix + "ended"}
}

// BatchChannel returns the Pub/Sub channel on which a message is published whenever a line of a batch ends.
func BatchChannel(id string) string { return batchKeys(id)[3] }

// batchTTL is how long the keys of an unfinished batch are kept. It exceeds the start deadline of its jobs.
const batchTTL = 48 * time.Hour

func encodeItem(place jobs.BatchItem) string {
	if place.BatchID == "" {
		return ""
	}
	return place.BatchID + " " + strconv.Itoa(place.Index)
}

func decodeItem(text string) jobs.BatchItem {
	id, index, _ := strings.Cut(text, " ")
	return jobs.BatchItem{BatchID: id, Index: int(parseInt(index))}
}

// createBatchScript creates a batch unless it exists.
//
//	KEYS     as returned by batchKeys
//	ARGV     TTL in milliseconds, key of the idempotency record or "", TTL after the end in
//	         milliseconds, then the job ids, by line
//	returns  the job ids of the batch
var createBatchScript = redis.NewScript(`
if redis.call("EXISTS", KEYS[1]) == 0 then
	local time = redis.call("TIME")
	redis.call("HSET", KEYS[1], "created_at", string.format("%.0f", time[1] * 1000000 + time[2]), "total", #ARGV - 3,
		"idempotency", ARGV[2], "ttl", ARGV[3])
	redis.call("DEL", KEYS[2], KEYS[3], KEYS[4])
	for i = 4, #ARGV do
		redis.call("RPUSH", KEYS[2], ARGV[i])
	end
	redis.call("PEXPIRE", KEYS[1], ARGV[1])
	redis.call("PEXPIRE", KEYS[2], ARGV[1])
end
return redis.call("LRANGE", KEYS[2], 0, -1)`)

// CreateBatch creates a batch of jobs with these ids and returns its ids: other ones if the batch existed before. key
// is that of its idempotency record, "" for none; when the batch has ended, that record expires together with it.
func (s *Store) CreateBatch(ctx context.Context, id, key string, jobIDs []string) ([]string, error) {
	args := []any{batchTTL.Milliseconds(), key, s.settings.ResultTTL.Milliseconds()}
	for _, jobID := range jobIDs {
		args = append(args, jobID)
	}
	ids, err := createBatchScript.Run(ctx, s.client, batchKeys(id), args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("create batch %s: %w", id, err)
	}
	return ids, nil
}

// endItemScript records the end of a line, once.
//
//	KEYS     as returned by batchKeys
//	ARGV     line, the state to count it under, why it was refused or "", TTL in milliseconds
//	         of an ended batch whose record has none
//	returns  the key of the idempotency record if the batch has ended, else "", and the
//	         TTL of an ended batch in milliseconds
var endItemScript = redis.NewScript(ttlFunction + `
local batch = redis.call("HMGET", KEYS[1], "total", "idempotency", "ttl")
local total = batch[1]
if not total then
	return {"", "0"}
end
local kept = ttl_of(batch[3], ARGV[4])
local n = redis.call("ZCARD", KEYS[4])
if redis.call("ZADD", KEYS[4], "NX", n, ARGV[1]) == 0 then
	return {n == tonumber(total) and batch[2] or "", kept}
end
redis.call("HINCRBY", KEYS[1], ARGV[2], 1)
if ARGV[3] ~= "" then
	redis.call("HSET", KEYS[3], ARGV[1], ARGV[3])
end
local ttl = redis.call("PTTL", KEYS[1])
if n + 1 == tonumber(total) then
	local time = redis.call("TIME")
	redis.call("HSET", KEYS[1], "finished_at", string.format("%.0f", time[1] * 1000000 + time[2]))
	ttl = kept
end
for i = 1, #KEYS do
	redis.call("PEXPIRE", KEYS[i], ttl)
end
redis.call("PUBLISH", KEYS[4], "")
return {n + 1 == tonumber(total) and batch[2] or "", kept}`)

const refusedState = "refused"

func (s *Store) finalizeItem(ctx context.Context, place jobs.BatchItem, state jobs.State) error {
	if place.BatchID == "" {
		return nil
	}
	return s.endItem(ctx, place, string(state), "")
}

func (s *Store) endItem(ctx context.Context, place jobs.BatchItem, what, why string) error {
	reply, err := endItemScript.Run(ctx, s.client, batchKeys(place.BatchID), place.Index, what, why, s.settings.ResultTTL.Milliseconds()).StringSlice()
	if err == nil && reply[0] != "" {
		err = s.client.PExpire(ctx, reply[0], time.Duration(parseInt(reply[1]))*time.Millisecond).Err()
	}
	if err != nil {
		return fmt.Errorf("note the end of line %d of batch %s: %w", place.Index, place.BatchID, err)
	}
	return nil
}

// refusal is the stored form of the reason why a line was refused.
type refusal struct {
	Code    jobs.Code `json:"code"`
	Message string    `json:"message"`
}

// RefuseItem records that a line was refused and has no job.
func (s *Store) RefuseItem(ctx context.Context, place jobs.BatchItem, why error) error {
	known := jobs.AsError(why)
	encoded, err := json.Marshal(refusal{Code: known.Code, Message: known.Message})
	if err != nil {
		return fmt.Errorf("encode a refusal: %w", err)
	}
	return s.endItem(ctx, place, refusedState, string(encoded))
}

// BatchRecord is the stored state of a batch.
type BatchRecord struct {
	// Batch has no Members, and its Counts include only ended lines.
	jobs.Batch
	// JobIDs are the ids of the jobs, by line.
	JobIDs []string
	// Ended are the lines that have ended, in the order in which they ended.
	Ended []int
	// Refused holds the errors of the refused lines, by line.
	Refused map[int]*jobs.Error
	// Age is the time since the creation, by Redis's clock.
	Age time.Duration
}

// Batch returns a batch. It returns a *jobs.Error with CodeNotFound if there is none.
func (s *Store) Batch(ctx context.Context, id string) (BatchRecord, error) {
	keys := batchKeys(id)
	pipeline := s.client.TxPipeline() // one consistent snapshot
	fields := pipeline.HGetAll(ctx, keys[0])
	members := pipeline.LRange(ctx, keys[1], 0, -1)
	refused := pipeline.HGetAll(ctx, keys[2])
	ended := pipeline.ZRange(ctx, keys[3], 0, -1)
	now := pipeline.Time(ctx)
	if _, err := pipeline.Exec(ctx); err != nil {
		return BatchRecord{}, fmt.Errorf("read batch %s: %w", id, err)
	}
	f := fields.Val()
	if f["total"] == "" {
		return BatchRecord{}, fmt.Errorf("read batch %s: %w", id, jobs.NotFound("batch"))
	}
	record := BatchRecord{JobIDs: members.Val(), Refused: map[int]*jobs.Error{}}
	record.ID, record.CreatedAt, record.FinishedAt = id, parseTime(f["created_at"]), parseTime(f["finished_at"])
	record.Age = now.Val().Sub(record.CreatedAt)
	record.Counts.Total = int(parseInt(f["total"]))
	for _, state := range jobs.States() {
		record.Counts.Count(state, int(parseInt(f[string(state)])))
	}
	record.Counts.Refused = int(parseInt(f[refusedState]))
	record.Ended = parseIndexes(ended.Val())
	for line, encoded := range refused.Val() {
		why, err := decodeRefusal(encoded)
		if err != nil {
			return BatchRecord{}, fmt.Errorf("read batch %s: %w", id, err)
		}
		record.Refused[int(parseInt(line))] = why
	}
	return record, nil
}

// Open returns the lines that have not ended.
func (b BatchRecord) Open() []int {
	ended := make([]bool, len(b.JobIDs))
	for _, line := range b.Ended {
		ended[line] = true
	}
	var open []int
	for line, over := range ended {
		if !over {
			open = append(open, line)
		}
	}
	return open
}

// BatchEnded returns the ended lines of a batch in the order in which they ended, without the first after ones.
func (s *Store) BatchEnded(ctx context.Context, id string, after int) ([]int, error) {
	lines, err := s.client.ZRange(ctx, batchKeys(id)[3], int64(after), -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s: %w", id, err)
	}
	return parseIndexes(lines), nil
}

// ItemEnded reports whether a line of a batch has ended.
func (s *Store) ItemEnded(ctx context.Context, place jobs.BatchItem) (bool, error) {
	err := s.client.ZScore(ctx, batchKeys(place.BatchID)[3], strconv.Itoa(place.Index)).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("read batch %s: %w", place.BatchID, err)
	}
	return err == nil, nil
}

func parseIndexes(texts []string) []int {
	lines := make([]int, len(texts))
	for i, text := range texts {
		lines[i] = int(parseInt(text))
	}
	return lines
}

// Refusal returns why a line was refused, or nil if it is a job.
func (s *Store) Refusal(ctx context.Context, place jobs.BatchItem) (*jobs.Error, error) {
	encoded, err := s.client.HGet(ctx, batchKeys(place.BatchID)[2], strconv.Itoa(place.Index)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil //nolint:nilnil // it is a job
	case err != nil:
		return nil, fmt.Errorf("read batch %s: %w", place.BatchID, err)
	}
	return decodeRefusal(encoded)
}

func decodeRefusal(encoded string) (*jobs.Error, error) {
	var why refusal
	if err := json.Unmarshal([]byte(encoded), &why); err != nil {
		return nil, fmt.Errorf("decode a refusal: %w", err)
	}
	return jobs.Errorf(why.Code, "%s", why.Message), nil
}

// BatchProgress returns how many lines have ended, and whether all have. It returns a *jobs.Error with CodeNotFound if
// there is no such batch.
func (s *Store) BatchProgress(ctx context.Context, id string) (ended int, all bool, err error) {
	keys := batchKeys(id)
	pipeline := s.client.Pipeline()
	total := pipeline.HGet(ctx, keys[0], "total")
	count := pipeline.ZCard(ctx, keys[3])
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, false, fmt.Errorf("read batch %s: %w", id, err)
	}
	n, err := total.Int64()
	if err != nil {
		return 0, false, jobs.NotFound("batch")
	}
	return int(count.Val()), count.Val() >= n, nil
}
