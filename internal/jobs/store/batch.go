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

// createBatchScript creates a batch unless it exists.
//
//	KEYS[1]  cellblock:{batch}:batch
//	KEYS[2]  cellblock:{batch}:items
//	KEYS[3]  cellblock:{batch}:refused
//	KEYS[4]  cellblock:{batch}:ended
//	ARGV[1]  TTL in milliseconds until the end
//	ARGV[2]  key of the idempotency record, "" for none
//	ARGV[3]  TTL in milliseconds after the end
//	ARGV[4…] job ids, by index
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

// Batch returns a batch. It returns a *jobs.Error with CodeNotFound if there is none.
func (s *Store) Batch(ctx context.Context, id string) (BatchRecord, error) {
	keys := batchKeys(id)
	pipeline := s.client.TxPipeline() // one consistent snapshot
	fields := pipeline.HGetAll(ctx, keys[0])
	items := pipeline.LRange(ctx, keys[1], 0, -1)
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
	record := BatchRecord{JobIDs: items.Val(), Refused: map[int]*jobs.Error{}}
	record.ID, record.CreatedAt, record.FinishedAt = id, parseTime(f["created_at"]), parseTime(f["finished_at"])
	record.Age = now.Val().Sub(record.CreatedAt)
	record.Counts.Total = int(parseInt(f["total"]))
	for _, state := range jobs.States() {
		record.Counts.Count(state, int(parseInt(f[string(state)])))
	}
	record.Counts.Refused = int(parseInt(f[refusedState]))
	if n := len(record.JobIDs); n != record.Counts.Total {
		return BatchRecord{}, fmt.Errorf("read batch %s: Redis has %d of its %d items", id, n, record.Counts.Total)
	}
	record.Ended = parseIndexes(ended.Val())
	for index, encoded := range refused.Val() {
		why, err := decodeRefusal(encoded)
		if err != nil {
			return BatchRecord{}, fmt.Errorf("read batch %s: %w", id, err)
		}
		record.Refused[int(parseInt(index))] = why
	}
	return record, nil
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

// BatchEnded returns the ended items of a batch in the order in which they ended, without the first after ones.
func (s *Store) BatchEnded(ctx context.Context, id string, after int) ([]int, error) {
	indexes, err := s.client.ZRange(ctx, batchKeys(id)[3], int64(after), -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s: %w", id, err)
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

// BatchProgress returns how many items have ended, and whether all have. It returns a *jobs.Error with CodeNotFound if
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
