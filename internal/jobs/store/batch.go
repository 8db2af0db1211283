package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// batchTTL is how long the keys of an unfinished batch are kept. It exceeds the start deadline of its jobs.
const batchTTL = 48 * time.Hour

// createBatchScript creates a batch unless it exists. One of another tenant counts as none, and stays as it is.
//
//	KEYS[1]  cellblock:{batch}:batch
//	KEYS[2]  cellblock:{batch}:items
//	KEYS[3]  cellblock:{batch}:refused
//	KEYS[4]  cellblock:{batch}:ended
//	ARGV[1]  TTL in milliseconds until the end
//	ARGV[2]  key of the idempotency record, "" for none
//	ARGV[3]  TTL in milliseconds after the end
//	ARGV[4]  tenant, "" for the operator
//	ARGV[5…] job ids, by index
//	returns  the job ids of the batch; nil for a batch of another tenant
var createBatchScript = redis.NewScript(`
local batch = redis.call("HMGET", KEYS[1], "total", "tenant")
if batch[1] and (batch[2] or "") ~= ARGV[4] then
	return nil
end
if not batch[1] then
	local time = redis.call("TIME")
	redis.call("HSET", KEYS[1], "created_at", string.format("%.0f", time[1] * 1000000 + time[2]), "total", #ARGV - 4,
		"idempotency", ARGV[2], "ttl", ARGV[3])
	if ARGV[4] ~= "" then
		redis.call("HSET", KEYS[1], "tenant", ARGV[4])
	end
	redis.call("DEL", KEYS[2], KEYS[3], KEYS[4])
	for i = 5, #ARGV do
		redis.call("RPUSH", KEYS[2], ARGV[i])
	end
	redis.call("PEXPIRE", KEYS[1], ARGV[1])
	redis.call("PEXPIRE", KEYS[2], ARGV[1])
end
return redis.call("LRANGE", KEYS[2], 0, -1)`)

// CreateBatch creates a batch of a tenant's jobs with these ids and returns its ids: other ones if the batch existed
// before. key is that of its idempotency record, "" for none; when the batch has ended, that record expires together
// with it.
func (s *Store) CreateBatch(
	ctx context.Context, tenant jobs.Tenant, id, key string, jobIDs []string,
) ([]string, error) {
	if tenant == "" {
		return nil, fmt.Errorf("create batch %s: %w", id, errNoTenant)
	}
	args := []any{batchTTL.Milliseconds(), key, s.settings.ResultTTL.Milliseconds(), encodeTenant(tenant)}
	for _, jobID := range jobIDs {
		args = append(args, jobID)
	}
	ids, err := createBatchScript.Run(ctx, s.of(id), batchKeys(id), args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("create batch %s: %w", id, err)
	}
	return ids, nil
}

// BatchRecord is the stored state of a batch.
type BatchRecord struct {
	// Batch has no Items, and its Counts include only ended items.
	jobs.Batch
	// JobIDs are the ids of the jobs, by index.
	JobIDs []string
	// Ended are the items that have ended, in the order in which they ended.
	Ended []int
	// Refused holds the errors of the refused items, by index.
	Refused map[int]*jobs.Error
	// Age is the time since the creation, by Redis's clock.
	Age time.Duration
}

// batchScript reads a batch.
//
//	KEYS[1]  cellblock:{batch}:batch
//	KEYS[2]  cellblock:{batch}:items
//	KEYS[3]  cellblock:{batch}:refused
//	KEYS[4]  cellblock:{batch}:ended
//	ARGV[1]  viewer
//	returns  the fields of the batch, the job ids, the refusals, the ended items, and the time in microseconds since
//	         1970; nil if there is no such batch, or the viewer does not see it
var batchScript = redis.NewScript(seesFunction + `
local batch = redis.call("HMGET", KEYS[1], "total", "tenant")
if not batch[1] or not sees(ARGV[1], batch[2]) then
	return nil
end
local time = redis.call("TIME")
return {redis.call("HGETALL", KEYS[1]), redis.call("LRANGE", KEYS[2], 0, -1), redis.call("HGETALL", KEYS[3]),
	redis.call("ZRANGE", KEYS[4], 0, -1), {string.format("%.0f", time[1] * 1000000 + time[2])}}`)

// Batch returns a batch. It returns a *jobs.Error with CodeNotFound if there is none.
func (s *Store) Batch(ctx context.Context, caller jobs.Caller, id string) (BatchRecord, error) {
	reply, err := batchScript.Run(ctx, s.of(id), batchKeys(id), viewerOf(caller)).Slice()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("batch")
	}
	if err != nil {
		return BatchRecord{}, fmt.Errorf("read batch %s: %w", id, err)
	}
	record, err := decodeBatch(id, reply)
	if err != nil {
		return BatchRecord{}, fmt.Errorf("read batch %s: %w", id, err)
	}
	return record, nil
}

// decodeBatch decodes what batchScript returns.
func decodeBatch(id string, reply []any) (BatchRecord, error) {
	f, refused, now := pairs(reply[0]), pairs(reply[2]), texts(reply[4])[0]
	record := BatchRecord{JobIDs: texts(reply[1]), Refused: map[int]*jobs.Error{}}
	record.ID, record.CreatedAt, record.FinishedAt = id, parseTime(f["created_at"]), parseTime(f["finished_at"])
	record.Age = parseTime(now).Sub(record.CreatedAt)
	record.Counts.Total = int(parseInt(f["total"]))
	for _, state := range jobs.States() {
		record.Counts.Count(state, int(parseInt(f[string(state)])))
	}
	record.Counts.Refused = int(parseInt(f[refusedState]))
	if n := len(record.JobIDs); n != record.Counts.Total {
		return BatchRecord{}, fmt.Errorf("there are %d of its %d items", n, record.Counts.Total)
	}
	record.Ended = parseIndexes(texts(reply[3]))
	for index, encoded := range refused {
		why, err := decodeRefusal(encoded)
		if err != nil {
			return BatchRecord{}, err
		}
		record.Refused[int(parseInt(index))] = why
	}
	return record, nil
}

// texts returns the strings of a list in a script's reply.
func texts(reply any) []string {
	values, _ := reply.([]any)
	strings := make([]string, len(values))
	for i, value := range values {
		strings[i], _ = value.(string)
	}
	return strings
}

// pairs returns the fields of a hash in a script's reply.
func pairs(reply any) map[string]string {
	all := texts(reply)
	fields := make(map[string]string, len(all)/2)
	for i := 0; i+1 < len(all); i += 2 {
		fields[all[i]] = all[i+1]
	}
	return fields
}

// Open returns the items that have not ended.
func (b BatchRecord) Open() []int {
	ended := make([]bool, len(b.JobIDs))
	for _, index := range b.Ended {
		ended[index] = true
	}
	var open []int
	for index, over := range ended {
		if !over {
			open = append(open, index)
		}
	}
	return open
}

// BatchEnded returns the ended items of a batch that was read, in the order in which they ended, without the first
// after ones.
func (s *Store) BatchEnded(ctx context.Context, batch BatchRecord, after int) ([]int, error) {
	indexes, err := s.of(batch.ID).ZRange(ctx, batchKeys(batch.ID)[3], int64(after), -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s: %w", batch.ID, err)
	}
	return parseIndexes(indexes), nil
}

func parseIndexes(texts []string) []int {
	indexes := make([]int, len(texts))
	for i, text := range texts {
		indexes[i] = int(parseInt(text))
	}
	return indexes
}

// progressScript reads how far a batch is.
//
//	KEYS[1]  cellblock:{batch}:batch
//	KEYS[2]  cellblock:{batch}:ended
//	ARGV[1]  viewer
//	returns  how many items it has, and how many have ended; nil if there is no such batch, or the viewer does not
//	         see it
var progressScript = redis.NewScript(seesFunction + `
local batch = redis.call("HMGET", KEYS[1], "total", "tenant")
if not batch[1] or not sees(ARGV[1], batch[2]) then
	return nil
end
return {tonumber(batch[1]), redis.call("ZCARD", KEYS[2])}`)

// BatchProgress returns how many items have ended, and whether all have. It returns a *jobs.Error with CodeNotFound if
// there is no such batch.
func (s *Store) BatchProgress(ctx context.Context, caller jobs.Caller, id string) (ended int, all bool, err error) {
	keys := batchKeys(id)
	counts, err := progressScript.Run(ctx, s.of(id), []string{keys[0], keys[3]}, viewerOf(caller)).Int64Slice()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("batch")
	}
	if err != nil {
		return 0, false, fmt.Errorf("read batch %s: %w", id, err)
	}
	return int(counts[1]), counts[1] >= counts[0], nil
}
