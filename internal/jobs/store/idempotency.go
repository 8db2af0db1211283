package store

import (
	"context"
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

// reserveKeyScript binds an idempotency record to a job unless it is bound already.
//
//	KEYS[1]  cellblock:{sum}:idempotency
//	ARGV[1]  job id and fingerprint, separated by a space
//	ARGV[2]  TTL in milliseconds
//	returns  the id and fingerprint to which it is bound
var reserveKeyScript = redis.NewScript(`
local bound = redis.call("GET", KEYS[1])
if not bound then
	redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
	return ARGV[1]
end
return bound`)

// The functions with an idempotency record's key need no caller: IdempotencyKey makes that of a tenant's.

// ReserveKey binds an idempotency record to a job unless it is bound already, and returns the id of the job to which it
// is bound. fingerprint identifies the request. It returns a *jobs.Error with CodeIdempotencyMismatch if the record is
// bound to another request.
func (s *Store) ReserveKey(ctx context.Context, key, id, fingerprint string) (string, error) {
	reply, err := reserveKeyScript.Run(ctx, s.of(key), []string{key}, id+" "+fingerprint,
		reservationTTL.Milliseconds()).Text()
	if err != nil {
		return "", fmt.Errorf("reserve an idempotency key: %w", err)
	}
	return holderOf(reply, fingerprint)
}

// holderOf returns the job of an idempotency record, or the error for another request than its own.
func holderOf(record, fingerprint string) (id string, err error) {
	id, own, _ := strings.Cut(record, " ")
	if own != fingerprint {
		return "", jobs.Errorf(jobs.CodeIdempotencyMismatch, "this Idempotency-Key was used with another request")
	}
	return id, nil
}

// KeyHolder returns the id of the job to which an idempotency record is bound; "" if there is none, or if that job was
// withdrawn. Its errors are those of ReserveKey.
func (s *Store) KeyHolder(ctx context.Context, key, fingerprint string) (string, error) {
	record, err := s.of(key).Get(ctx, key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read an idempotency key: %w", err)
	}
	id, err := holderOf(record, fingerprint)
	if err != nil {
		return "", err
	}
	if withdrawn, err := s.Withdrawn(ctx, id); err != nil || withdrawn {
		return "", err
	}
	return id, nil
}

// Withdrawn reports whether a job was withdrawn without having run; its idempotency record then no longer counts.
func (s *Store) Withdrawn(ctx context.Context, id string) (bool, error) {
	withdrawn, err := s.of(id).HGet(ctx, jobKey(id), "withdrawn").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("read job %s: %w", id, err)
	}
	return withdrawn == "1", nil
}

// ReleaseKey deletes the idempotency record of a job that never ran, so that the client's next attempt creates a new
// job.
func (s *Store) ReleaseKey(ctx context.Context, key, id string) error {
	if err := deleteOwnScript.Run(ctx, s.of(key), []string{key}, id).Err(); err != nil {
		return fmt.Errorf("release an idempotency key: %w", err)
	}
	return nil
}

// markSharedScript marks a queued job as the answer to several requests.
//
//	KEYS[1]  cellblock:{id}:job
//	returns  1
var markSharedScript = redis.NewScript(`
if redis.call("HGET", KEYS[1], "state") == "queued" then
	redis.call("HSET", KEYS[1], "shared", "1")
end
return 1`)

// MarkShared records that a second request is answered with a job. From then on WithdrawUnshared does nothing to it.
func (s *Store) MarkShared(ctx context.Context, id string) error {
	if err := markSharedScript.Run(ctx, s.of(id), []string{jobKey(id)}).Err(); err != nil {
		return fmt.Errorf("share job %s: %w", id, err)
	}
	return nil
}
