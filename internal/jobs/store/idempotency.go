package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// reservationTTL is how long an idempotency record lives whose job never ends, such as one left by a crash before the
// job was stored. The end of a job replaces it by the TTL of its record.
const reservationTTL = 48 * time.Hour

// IdempotencyKey returns the Redis key of the record for a client's key. It contains a hash of that key, so that it
// has a fixed length and clients cannot reach other Redis keys.
func IdempotencyKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "cellblock:{" + hex.EncodeToString(sum[:]) + "}:idempotency"
}

// reserveKeyScript binds an idempotency record to a job unless it is bound already.
//
//	KEYS[1]  the record
//	ARGV     id and fingerprint, TTL in milliseconds
//	returns  the id and fingerprint to which it is bound
var reserveKeyScript = redis.NewScript(`
local bound = redis.call("GET", KEYS[1])
if not bound then
	redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
	return ARGV[1]
end
return bound`)

// ReserveKey binds an idempotency record to a job unless it is bound already, and returns the id of the job to which it
// is bound. fingerprint identifies the request. It returns a *jobs.Error with CodeIdempotencyMismatch if the record is
// bound to another request.
func (s *Store) ReserveKey(ctx context.Context, key, id, fingerprint string) (string, error) {
	reply, err := reserveKeyScript.Run(ctx, s.client, []string{key}, id+" "+fingerprint,
		reservationTTL.Milliseconds()).Text()
	if err != nil {
		return "", fmt.Errorf("claim an idempotency key: %w", err)
	}
	bound, asked, _ := strings.Cut(reply, " ")
	if asked != fingerprint {
		return "", jobs.Errorf(jobs.CodeIdempotencyMismatch, "this Idempotency-Key was used with another request")
	}
	return bound, nil
}

// Withdrawn reports whether a job was withdrawn without having run; its idempotency record then no longer counts.
func (s *Store) Withdrawn(ctx context.Context, id string) (bool, error) {
	withdrawn, err := s.client.HGet(ctx, jobKey(id), "withdrawn").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("read job %s: %w", id, err)
	}
	return withdrawn == "1", nil
}

// releaseKeyScript deletes an idempotency record or a lease.
//
//	KEYS[1]  the record
//	ARGV     the job or token with which its value must begin
var releaseKeyScript = redis.NewScript(`
local bound = redis.call("GET", KEYS[1])
if bound and string.sub(bound, 1, #ARGV[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)

// ReleaseKey deletes the idempotency record of a job that never ran, so that the client's next attempt creates a new
// job.
func (s *Store) ReleaseKey(ctx context.Context, key, id string) error {
	if err := releaseKeyScript.Run(ctx, s.client, []string{key}, id).Err(); err != nil {
		return fmt.Errorf("release an idempotency key: %w", err)
	}
	return nil
}
