package jobs

import (
	"context"
	"slices"
	"time"
)

// Scope is what a key may be used for.
type Scope string

// The scopes. ScopeAdmin includes all others, for the jobs of all tenants.
const (
	// ScopeRun is for new jobs, batches and files.
	ScopeRun Scope = "run"
	// ScopeRead is for reading them, and usage.
	ScopeRead Scope = "read"
	// ScopeCancel is for cancelling jobs and batches, and deleting files.
	ScopeCancel Scope = "cancel"
	// ScopeAdmin is for keys, and for what belongs to any tenant.
	ScopeAdmin Scope = "admin"
	// ScopeMetrics is for /metrics.
	ScopeMetrics Scope = "metrics"
)

// Scopes returns all scopes.
func Scopes() []Scope { return []Scope{ScopeRun, ScopeRead, ScopeCancel, ScopeAdmin, ScopeMetrics} }

// TenantLimits bound what one tenant may use. A zero field is no bound of its own: that of the settings applies; see
// Over. A negative number is no bound at all; keys do not have any.
type TenantLimits struct {
	// Weight is the tenant's share beside others whose jobs wait, 1 to 100; 0 is 1.
	Weight int
	// RequestsPerSecond bounds the requests, and Burst how many may come at once.
	RequestsPerSecond float64
	Burst             int
	// OpenJobs bounds the jobs that are queued or running, and RunningJobs those that run.
	OpenJobs, RunningJobs int
	// Largest are the largest limits that a request may ask for; they also lower the limits of requests that ask for
	// none.
	Largest RequestedLimits
	// CPUPerDay bounds the processor time of the jobs that end in one day (UTC).
	CPUPerDay time.Duration
	// Environments are the names of those that jobs may have; none means all.
	Environments []string
}

// Caller is who makes a request. The zero value may do nothing and sees nothing, so that a path that forgets the caller
// is closed and not open.
type Caller struct {
	Tenant Tenant
	// KeyID names the key for people and in logs; it is no secret. "" for API_TOKEN and for requests without a key.
	KeyID  string
	Scopes []Scope
	Limits TenantLimits
}

// OperatorCaller returns the caller of a request with API_TOKEN, or where no key is needed.
func OperatorCaller() Caller { return Caller{Tenant: Operator, Scopes: Scopes()} }

// May reports whether the caller has a scope.
func (c Caller) May(scope Scope) bool {
	return slices.Contains(c.Scopes, scope) || slices.Contains(c.Scopes, ScopeAdmin)
}

// Sees reports whether what belongs to a tenant exists for the caller.
func (c Caller) Sees(owner Tenant) bool { return c.Tenant != "" && c.Tenant == owner || c.SeesAll() }

// SeesAll reports whether what belongs to any tenant exists for the caller.
func (c Caller) SeesAll() bool { return c.Tenant != "" && c.May(ScopeAdmin) }

type callerKey struct{}

// WithCaller returns a context with the caller of the request.
func WithCaller(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerOf returns the caller of the request; the zero value, which sees nothing, if ctx has none.
func CallerOf(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey{}).(Caller)
	return caller
}
