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

// encodeItem returns the stored form of an item, "" for that of a single job.
func encodeItem(item jobs.BatchItem) string {
	if item.BatchID == "" {
		return ""
	}
	return item.BatchID + " " + strconv.Itoa(item.Index)
}

func decodeItem(text string) jobs.BatchItem {
	id, index, _ := strings.Cut(text, " ")
	return jobs.BatchItem{BatchID: id, Index: int(parseInt(index))}
}

// endItemScript records the end of an item, once.
//
//	KEYS[1]  cellblock:{batch}:batch
//	KEYS[2]  cellblock:{batch}:items
//	KEYS[3]  cellblock:{batch}:refused
//	KEYS[4]  cellblock:{batch}:ended
//	ARGV[1]  index
//	ARGV[2]  state to count it under
//	ARGV[3]  why it was refused, "" for a job
//	ARGV[4]  TTL in milliseconds of an ended batch whose record has none
//	returns  the key of the idempotency record if the batch has ended, else "", and the TTL of an ended batch in
//	         milliseconds
var endItemScript = redis.NewScript(ttlFunction + channelsFunctions + `
local batch = redis.call("HMGET", KEYS[1], "total", "idempotency", "ttl", "watched")
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
publish(batch[4], KEYS[4])
return {n + 1 == tonumber(total) and batch[2] or "", kept}`)

// watchBatchScript adds a channel to those that are notified of the ends of a batch's items.
//
//	KEYS[1]  cellblock:{batch}:batch
//	ARGV[1]  channel
//	ARGV[2]  viewer
//	returns  1; nil if there is no such batch, or the viewer does not see it
var watchBatchScript = redis.NewScript(seesFunction + channelsFunctions + `
local batch = redis.call("HMGET", KEYS[1], "total", "tenant")
if not batch[1] or not sees(ARGV[2], batch[2]) then
	return nil
end
add_channel(KEYS[1], ARGV[1])
return 1`)

// WatchBatch makes BatchKey be published on channel whenever an item of a batch ends. It returns a *jobs.Error with
// CodeNotFound if there is no such batch.
func (s *Store) WatchBatch(ctx context.Context, caller jobs.Caller, id, channel string) error {
	err := watchBatchScript.Run(ctx, s.of(id), batchKeys(id)[:1], channel, viewerOf(caller)).Err()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("batch")
	}
	if err != nil {
		return fmt.Errorf("watch batch %s: %w", id, err)
	}
	return nil
}

// refusedState is the state under which refused items are counted.
const refusedState = "refused"

func (s *Store) finalizeItem(ctx context.Context, item jobs.BatchItem, state jobs.State) error {
	if item.BatchID == "" {
		return nil
	}
	return s.endItem(ctx, item, string(state), "")
}

func (s *Store) endItem(ctx context.Context, item jobs.BatchItem, state, why string) error {
	reply, err := endItemScript.Run(ctx, s.of(item.BatchID), batchKeys(item.BatchID),
		item.Index, state, why, s.settings.ResultTTL.Milliseconds()).StringSlice()
	if err == nil && reply[0] != "" {
		err = s.of(reply[0]).PExpire(ctx, reply[0], time.Duration(parseInt(reply[1]))*time.Millisecond).Err()
	}
	if err != nil {
		return fmt.Errorf("record the end of item %d of batch %s: %w", item.Index, item.BatchID, err)
	}
	return nil
}

// refusal is the stored form of the reason why an item was refused.
type refusal struct {
	Code    jobs.Code `json:"code"`
	Message string    `json:"message"`
}

// RefuseItem records that an item of a batch, which a request has created or read, was refused and has no job.
func (s *Store) RefuseItem(ctx context.Context, item jobs.BatchItem, why error) error {
	known := jobs.AsError(why)
	encoded, err := json.Marshal(refusal{Code: known.Code, Message: known.Message})
	if err != nil {
		return fmt.Errorf("encode a refusal: %w", err)
	}
	return s.endItem(ctx, item, refusedState, string(encoded))
}

// ItemEnded reports whether an item of a batch, which a request has created or read, has ended.
func (s *Store) ItemEnded(ctx context.Context, item jobs.BatchItem) (bool, error) {
	err := s.of(item.BatchID).ZScore(ctx, batchKeys(item.BatchID)[3], strconv.Itoa(item.Index)).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("read batch %s: %w", item.BatchID, err)
	}
	return err == nil, nil
}

// Refusal returns why an item of a batch, which a request has read, was refused, or nil if it is a job.
func (s *Store) Refusal(ctx context.Context, item jobs.BatchItem) (*jobs.Error, error) {
	encoded, err := s.of(item.BatchID).HGet(ctx, batchKeys(item.BatchID)[2], strconv.Itoa(item.Index)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil //nolint:nilnil // it is a job
	case err != nil:
		return nil, fmt.Errorf("read batch %s: %w", item.BatchID, err)
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
