package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

// errNoTenant is the error for a job without an owner, who would have to be guessed.
var errNoTenant = errors.New("it has no tenant")

// encodeTenant returns the stored form of a tenant: "" for the operator, as in the records of earlier versions.
func encodeTenant(tenant jobs.Tenant) string {
	if tenant == jobs.Operator {
		return ""
	}
	return string(tenant)
}

// decodeTenant returns the tenant of a record.
func decodeTenant(stored string) jobs.Tenant { return cmp.Or(jobs.Tenant(stored), jobs.Operator) }

// tenantInterval is how often a process adds a tenant with new jobs to the tenants again: Redis may have lost them.
const tenantInterval = time.Minute

// notedTenants are the tenants that this process has added to the tenants, with the time. It is safe for concurrent
// use.
type notedTenants struct {
	mu sync.Mutex
	at map[jobs.Tenant]time.Time
}

// noteTenant adds a tenant to the tenants, before its first job and then at intervals. The operator is never added.
func (s *Store) noteTenant(ctx context.Context, tenant jobs.Tenant) error {
	if tenant == jobs.Operator {
		return nil
	}
	now := time.Now()
	s.noted.mu.Lock()
	last, known := s.noted.at[tenant]
	s.noted.mu.Unlock()
	if known && now.Sub(last) < tenantInterval {
		return nil
	}
	if err := s.parts.Home().SAdd(ctx, tenantsKey, string(tenant)).Err(); err != nil {
		return fmt.Errorf("note the tenant %s: %w", tenant, err)
	}
	s.noted.mu.Lock()
	s.noted.at[tenant] = now
	s.noted.mu.Unlock()
	return nil
}

// Tenants returns the tenants that have or had jobs: the operator, and then the others by name. It is for the reaper,
// and for callers who see all tenants.
func (s *Store) Tenants(ctx context.Context) ([]jobs.Tenant, error) {
	names, err := s.parts.Home().SMembers(ctx, tenantsKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list the tenants: %w", err)
	}
	slices.Sort(names)
	tenants := []jobs.Tenant{jobs.Operator}
	for _, name := range names {
		if jobs.IsTenantName(name) && name != string(jobs.Operator) {
			tenants = append(tenants, jobs.Tenant(name))
		}
	}
	return tenants, nil
}
