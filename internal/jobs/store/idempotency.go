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

// claimTTL is how long an idempotency record lives whose job never ends; a
// crash before the job was stored leaves one. A job's end sets its own time.
const claimTTL = 48 * time.Hour

// IdempotencyKey is where the record of a client's key is kept: by its sum, so
// that what clients make up is of one length and cannot reach other keys.
func IdempotencyKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "cellblock:{" + hex.EncodeToString(sum[:]) + "}:idempotency"
}

// claimScript binds an idempotency record.
//
//	KEYS[1]  the record
//	ARGV     id and fingerprint, TTL in milliseconds
//	returns  what it is bound to
var claimScript = redis.NewScript(`
local bound = redis.call("GET", KEYS[1])
if not bound then
	redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
	return ARGV[1]
end
return bound`)

// Claim binds an idempotency record to a job, unless it is bound already, and
// gives the job that it is bound to. fingerprint stands for what was asked.
// CodeIdempotencyMismatch if the record is bound to something else.
func (s *Store) Claim(ctx context.Context, key, id, fingerprint string) (string, error) {
	reply, err := claimScript.Run(ctx, s.client, []string{key}, id+" "+fingerprint, claimTTL.Milliseconds()).Text()
	if err != nil {
		return "", fmt.Errorf("claim an idempotency key: %w", err)
	}
	bound, asked, _ := strings.Cut(reply, " ")
	if asked != fingerprint {
		return "", jobs.Errorf(jobs.CodeIdempotencyMismatch, "this Idempotency-Key was used with another request")
	}
	return bound, nil
}

// Void reports whether a job was taken back without having run; its idempotency
// record then binds nobody.
func (s *Store) Void(ctx context.Context, id string) (bool, error) {
	void, err := s.client.HGet(ctx, jobKey(id), "void").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("read job %s: %w", id, err)
	}
	return void == "1", nil
}

// releaseScript unbinds an idempotency record.
//
//	KEYS[1]  the record
//	ARGV     the job that it must be bound to
var releaseScript = redis.NewScript(`
local bound = redis.call("GET", KEYS[1])
if bound and string.sub(bound, 1, #ARGV[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)

// Release unbinds an idempotency record from a job that never ran, so that the
// client's next attempt is a new one.
func (s *Store) Release(ctx context.Context, key, id string) error {
	if err := releaseScript.Run(ctx, s.client, []string{key}, id).Err(); err != nil {
		return fmt.Errorf("release an idempotency key: %w", err)
	}
	return nil
}
