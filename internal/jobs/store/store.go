package store

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
	"cellblock/internal/redisparts"
)

// Settings are the lifetimes of records, and what is counted of them.
type Settings struct {
	ResultTTL     time.Duration `name:"result-ttl" env:"RESULT_TTL" default:"1h" help:"How long (duration) the record of an asynchronous job is kept after its end, at least 1s."`
	SyncResultTTL time.Duration `name:"sync-result-ttl" env:"SYNC_RESULT_TTL" default:"10m" help:"How long (duration) the record of a synchronous job is kept after its end, at least 1s."`
	UsageLabel    string        `name:"usage-label" env:"USAGE_LABEL" help:"Key of a label by whose values usage is counted too, for GET /usage?by=label, such as customer. It is applied to jobs accepted from then on. Empty (the default) means none."`
}

// Validate returns an error if a lifetime is too short for a client to read a result, or if no label can have the key
// UsageLabel.
func (s Settings) Validate() error {
	if s.ResultTTL < time.Second || s.SyncResultTTL < time.Second {
		return errors.New("RESULT_TTL and SYNC_RESULT_TTL must be at least 1s")
	}
	if s.UsageLabel != "" {
		if err := jobs.ValidateLabelKey(s.UsageLabel); err != nil {
			return fmt.Errorf("USAGE_LABEL: %w", err)
		}
	}
	return nil
}

// DefaultSettings returns the settings of a process that reads records and accepts no jobs.
func DefaultSettings() Settings {
	return Settings{ResultTTL: time.Hour, SyncResultTTL: 10 * time.Minute}
}

// Store reads and writes records. It is safe for concurrent use. Its methods return a *jobs.Error with CodeNotFound
// where their comments mention it, and otherwise the error of the Redis client.
type Store struct {
	parts    redisparts.Parts
	settings Settings
	webhooks Webhooks
	budget   *membudget.Budget
	// noted and open are shared by the copies of the store.
	noted *notedTenants
	open  *openCounts
}

// New returns a store of the one part of client. The caller owns client and closes it.
func New(client redis.UniversalClient, settings Settings) *Store {
	return NewOf(redisparts.Single(client), settings)
}

// NewOf returns a store of parts. The caller owns their client and closes it.
func NewOf(parts redisparts.Parts, settings Settings) *Store {
	return &Store{
		parts: parts, settings: settings, budget: membudget.New(recordBudget, budgetPatience),
		noted: &notedTenants{at: map[jobs.Tenant]time.Time{}}, open: &openCounts{},
	}
}

// Parts returns a store of each part: for the reapers.
func (s *Store) Parts() []*Store {
	stores := make([]*Store, s.parts.Len())
	for i := range stores {
		one := *s
		one.parts = s.parts.Only(i)
		stores[i] = &one
	}
	return stores
}

// of returns the client of the part of a job's or a batch's id, or of the key of an idempotency record.
func (s *Store) of(id string) redis.UniversalClient { return s.parts.Of(id) }

// only returns the client of a store of one part. The functions of the reaper use it.
func (s *Store) only() redis.UniversalClient { return s.parts.All()[0] }

// parseInt parses a whole number; it returns 0 for an invalid one.
func parseInt(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// parseTime parses microseconds since 1970; it returns the zero time for "" and for invalid text.
func parseTime(s string) time.Time {
	us, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
