package tenantkeys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// keepEnded is for how long a key is listed after its end.
const keepEnded = 30 * 24 * time.Hour

// Store has the keys in Redis. It is safe for concurrent use. Errors of Redis have CodeUnavailable.
type Store struct {
	client redis.UniversalClient
	keep   time.Duration
}

// NewStore returns a store that uses client. The caller owns client and closes it.
func NewStore(client redis.UniversalClient) *Store { return &Store{client: client, keep: keepEnded} }

// unavailable returns the error for a request that Redis did not answer, or refused.
func unavailable(what string, err error) error {
	return jobs.Unavailable(what+": Redis cannot be reached or refuses writes", err)
}

// Create creates a key and returns it, for the only time, and its description. Errors: CodeInvalidRequest for a spec
// that is not valid, CodeUnavailable.
func (s *Store) Create(ctx context.Context, spec jobs.KeySpec) (secret string, key jobs.Key, err error) {
	if err := spec.Validate(); err != nil {
		return "", jobs.Key{}, err
	}
	var limits jsontext.Value
	if !spec.Limits.IsZero() {
		if limits, err = jobs.EncodeTenantLimits(spec.Limits); err != nil {
			return "", jobs.Key{}, fmt.Errorf("encode the limits of a key: %w", err)
		}
	}
	scopes := make([]string, len(spec.Scopes))
	for i, scope := range spec.Scopes {
		scopes[i] = string(scope)
	}
	for {
		secret = NewKey()
		answer, err := createScript.Run(ctx, s.client, []string{sumsKey, forgetKey},
			s.keep.Milliseconds(), Hash(secret).String(), newID(), string(spec.Tenant), strings.Join(scopes, " "),
			string(limits), spec.Name, spec.Lifetime.Milliseconds()).Slice()
		if errors.Is(err, redis.Nil) {
			continue // another key has the id
		}
		if err != nil {
			return "", jobs.Key{}, unavailable("the key could not be created", err)
		}
		key, _, err = parse(answer)
		return secret, key, err
	}
}

// listChunk is how many records are read at once.
const listChunk = 200

// List returns the keys of a tenant, or all if tenant is "": ordered by tenant, then by age. Errors: CodeUnavailable.
func (s *Store) List(ctx context.Context, tenant jobs.Tenant) ([]jobs.Key, error) {
	answer, err := sumsScript.Run(ctx, s.client, []string{sumsKey, forgetKey}, string(tenant)).Slice()
	if err != nil {
		return nil, unavailable("the keys could not be listed", err)
	}
	now, sums := answer[0], answer[1].([]any) //nolint:errcheck // the script's own answer
	keys := make([]jobs.Key, 0, len(sums))
	for chunk := range slices.Chunk(sums, listChunk) {
		if keys, err = s.appendKeys(ctx, keys, now, chunk); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, func(a, b jobs.Key) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return keys, nil
}

// appendKeys reads the keys with these sums, without those that are gone meanwhile. now is Redis's time.
func (s *Store) appendKeys(ctx context.Context, keys []jobs.Key, now any, sums []any) ([]jobs.Key, error) {
	pipeline := s.client.Pipeline()
	records := make([]*redis.SliceCmd, len(sums))
	for i, sum := range sums {
		records[i] = pipeline.HMGet(ctx, recordPrefix+fmt.Sprint(sum), fields...)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, unavailable("the keys could not be listed", err)
	}
	for _, record := range records {
		key, _, err := parse([]any{now, record.Val()})
		if err != nil {
			return nil, err
		}
		if key.ID != "" {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Revoke ends a key at once, and returns its description; a key that is revoked already stays as it is. Errors:
// CodeNotFound, CodeUnavailable.
func (s *Store) Revoke(ctx context.Context, id string) (jobs.Key, error) {
	id, ok := jobs.ParseKeyID(id)
	if !ok {
		return jobs.Key{}, notFound()
	}
	answer, err := revokeScript.Run(ctx, s.client, []string{sumsKey, forgetKey}, s.keep.Milliseconds(), id).Slice()
	switch {
	case errors.Is(err, redis.Nil):
		return jobs.Key{}, notFound()
	case err != nil:
		return jobs.Key{}, unavailable("the key could not be revoked", err)
	}
	key, _, err := parse(answer)
	return key, err
}

// Rotate creates a key with the tenant, name, scopes, limits and lifetime of another, which can be used for grace yet,
// or for less if it ends before. It returns the new one, for the only time, and its description. Errors: CodeNotFound,
// CodeInvalidRequest if the other has ended, CodeUnavailable.
func (s *Store) Rotate(
	ctx context.Context, id string, grace time.Duration,
) (secret string, key jobs.Key, err error) {
	id, ok := jobs.ParseKeyID(id)
	if !ok {
		return "", jobs.Key{}, notFound()
	}
	for {
		secret = NewKey()
		answer, err := rotateScript.Run(ctx, s.client, []string{sumsKey, forgetKey}, s.keep.Milliseconds(), id,
			grace.Milliseconds(), Hash(secret).String(), newID()).Result()
		switch {
		case errors.Is(err, redis.Nil):
			return "", jobs.Key{}, notFound()
		case err != nil:
			return "", jobs.Key{}, unavailable("the key could not be rotated", err)
		case answer == "ended":
			return "", jobs.Key{}, jobs.Errorf(jobs.CodeInvalidRequest,
				"the key has expired or is revoked, so it cannot be rotated; create a new one")
		case answer == "taken":
			continue
		}
		key, _, err = parse(answer.([]any)) //nolint:errcheck // the script's own answer
		return secret, key, err
	}
}

func notFound() error { return jobs.NotFound("key") }

// find returns the key with a sum, and Redis's time; the zero Key if there is none.
func (s *Store) find(ctx context.Context, sum Sum) (key jobs.Key, now time.Time, err error) {
	answer, err := findScript.Run(ctx, s.client, []string{recordPrefix + sum.String()}, sum.String()).Slice()
	if err != nil {
		return jobs.Key{}, time.Time{}, jobs.Unavailable("the key cannot be checked: Redis cannot be reached", err)
	}
	return parse(answer)
}

// fields are those of a record, in the order of the scripts' answers.
var fields = []string{"id", "tenant", "scopes", "limits", "name", "created", "expires", "revoked", "lifetime"}

// parse parses the answer of a script: the time, and the fields of a record. It returns the zero Key if there is no
// record, and an error for one that is damaged.
func parse(answer []any) (key jobs.Key, now time.Time, err error) {
	values := answer[1].([]any) //nolint:errcheck // the scripts' own answer
	record := make(map[string]string, len(fields))
	for i, name := range fields {
		record[name], _ = values[i].(string)
	}
	if now = parseTime(fmt.Sprint(answer[0])); record["id"] == "" {
		return jobs.Key{}, now, nil
	}
	key = jobs.Key{
		ID: record["id"], Tenant: jobs.Tenant(record["tenant"]), Name: record["name"],
		CreatedAt: parseTime(record["created"]), ExpiresAt: parseTime(record["expires"]),
		RevokedAt: parseTime(record["revoked"]), State: jobs.KeyActive,
	}
	for scope := range strings.FieldsSeq(record["scopes"]) {
		key.Scopes = append(key.Scopes, jobs.Scope(scope))
	}
	if limits := record["limits"]; limits != "" {
		key.Limits, err = jobs.DecodeTenantLimits("limits", jsontext.Value(limits))
	}
	if err == nil && (key.Tenant == "" || record["expires"] == "" || record["revoked"] == "") {
		err = errors.New("fields are missing")
	}
	if err != nil {
		return jobs.Key{}, now, fmt.Errorf("the record of the key %s is damaged: %s", key.ID, err.Error())
	}
	switch {
	case !key.RevokedAt.IsZero():
		key.State = jobs.KeyRevoked
	case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):
		key.State = jobs.KeyExpired
	}
	return key, now, nil
}

// parseTime parses milliseconds since 1970; it returns the zero time for "0" and for what is no number.
func parseTime(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
