package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"cellblock/api"
)

// KeyRequest is what a new key is for.
type KeyRequest struct {
	// Tenant is to whom the jobs of requests with the key belong.
	Tenant string
	// Scopes are some of run, read and cancel; for the tenant operator also admin and metrics.
	Scopes []string
	// Name is a note for people; it may be empty.
	Name string
	// ExpiresIn is for how long the key can be used; 0 for no end.
	ExpiresIn time.Duration
	Limits    TenantLimits
}

// TenantLimits are limits of a tenant; 0 and nil keep the service's. RequestsPerSecond, OpenJobs, RunningJobs and
// CPUPerDay may be NoBound.
type TenantLimits struct {
	// Weight is the tenant's share of the workers while others wait too, 1 to 100.
	Weight int
	// RequestsPerSecond bounds the requests, and Burst how many may come at once.
	RequestsPerSecond float64
	Burst             int
	// OpenJobs bounds the jobs that are queued or running, and RunningJobs those that run.
	OpenJobs, RunningJobs int
	// Largest are the largest limits of a job.
	Largest Limits
	// CPUPerDay bounds the processor time of the jobs that end in one day (UTC).
	CPUPerDay time.Duration
	// Environments are those that jobs may have.
	Environments []string
}

// NoBound is a limit of a tenant without a bound, whatever the service's is.
const NoBound = -1

func (l TenantLimits) wire() *api.TenantLimits {
	wire := &api.TenantLimits{
		Weight: l.Weight, RequestsPerSecond: l.RequestsPerSecond, Burst: l.Burst, OpenJobs: l.OpenJobs,
		RunningJobs: l.RunningJobs, Largest: l.Largest.wire(), CPUSecondsPerDay: l.CPUPerDay.Seconds(),
		Environments: l.Environments,
	}
	if l.CPUPerDay == NoBound {
		wire.CPUSecondsPerDay = NoBound
	}
	if l.Weight == 0 && l.RequestsPerSecond == 0 && l.Burst == 0 && l.OpenJobs == 0 && l.RunningJobs == 0 &&
		wire.Largest == nil && l.CPUPerDay == 0 && len(l.Environments) == 0 {
		return nil
	}
	return wire
}

// once returns a copy of the client that sends a call once: a key whose response is lost could not be known to anyone,
// and a second attempt would create another beside it.
func (c *Client) once() *Client {
	once := *c
	once.attempts = 1
	return &once
}

// CreateKey creates a key for a tenant. NewKey.Key is the key itself, which no later response has. The client's own
// token needs the scope admin, as it does for the other methods for keys.
func (c *Client) CreateKey(ctx context.Context, request KeyRequest) (*NewKey, error) {
	body, err := encode(api.KeyRequest{
		Tenant: request.Tenant, Scopes: request.Scopes, Name: request.Name,
		ExpiresInSeconds: request.ExpiresIn.Seconds(), Limits: request.Limits.wire(),
	})
	if err != nil {
		return nil, err
	}
	var key NewKey
	if _, err := c.once().fetch(ctx, postKeys(body), &key); err != nil {
		return nil, err
	}
	return &key, nil
}

// postKeys returns a call with a body to a path below that of keys.
func postKeys(body []byte, path ...string) call {
	return call{
		method: http.MethodPost, path: append([]string{"admin", "keys"}, path...), body: body,
		header: http.Header{"Content-Type": {jsonType}},
	}
}

// Keys returns the keys of a tenant, or all if tenant is "". Those that have expired or were revoked are among them for
// 30 days.
func (c *Client) Keys(ctx context.Context, tenant string) ([]Key, error) {
	get := call{method: http.MethodGet, path: []string{"admin", "keys"}}
	if tenant != "" {
		get.query = url.Values{"tenant": {tenant}}
	}
	var list api.KeyList
	if _, err := c.fetch(ctx, get, &list); err != nil {
		return nil, err
	}
	return list.Keys, nil
}

// RevokeKey revokes a key: every server refuses it within a second. It fails with CodeNotFound if there is none with
// this id.
func (c *Client) RevokeKey(ctx context.Context, id string) (*Key, error) {
	var key Key
	_, err := c.fetch(ctx, call{method: http.MethodDelete, path: []string{"admin", "keys", id}}, &key)
	if err != nil {
		return nil, err
	}
	return &key, nil
}

// RotateKey creates a key with the properties of another, which can be used for grace yet; with 0 it is revoked at
// once.
func (c *Client) RotateKey(ctx context.Context, id string, grace time.Duration) (*NewKey, error) {
	seconds := grace.Seconds()
	body, err := encode(api.RotateRequest{GraceSeconds: &seconds})
	if err != nil {
		return nil, err
	}
	var key NewKey
	if _, err := c.once().fetch(ctx, postKeys(body, id, "rotate"), &key); err != nil {
		return nil, err
	}
	return &key, nil
}
