// Package flows has the order in which waiting jobs get their turn: its keys in Redis, and Lua functions for the
// scripts that change it. docs/adr/0013-fair-shares.md has the reasons.
//
// A flow is the single jobs of one tenant and one priority, or the jobs of one batch, that wait in one environment:
//
//	cellblock:{flows}:ENV              sorted set of tenants, by virtual time
//	cellblock:{flows}:ENV:TENANT       sorted set of the tenant's flows, by virtual time; its first member may be the
//	                                   tenant's terms, with the score -inf
//	cellblock:{flows}:ENV:TENANT:FLOW  list of ids; the last one is taken next
//	cellblock:{running}:TENANT         set of the jobs that were taken and have not ended, of a tenant with a bound on
//	                                   its running jobs
//	cellblock:{running}:TENANT:held    set of the environments of whose order the tenant was taken out because it had
//	                                   reached that bound
//	cellblock:{running}                set of the tenants with such jobs
//
// ENV is the name of an environment. Flows without jobs stay in the order until it reaches them: what they have had
// counts until others have had as much.
package flows

import (
	"cmp"
	"fmt"

	"cellblock/internal/jobs"
)

const (
	// maxTokens is the number of tokens that a list is cut to once it has twice as many. It exceeds the number of
	// workers of any deployment.
	maxTokens = "1024"
	// environmentPrefix is before the name of an environment in the name of a list of tokens.
	environmentPrefix = ":env:"
	// tokensTTL is how long the tokens of an environment are kept, in seconds: it may be removed for good.
	tokensTTL = "86400"

	wakeKey  = "cellblock:wake"
	wakeSlot = "{" + wakeKey + "}"

	// RunningTenants is the key of the set of tenants with jobs that count against a bound.
	RunningTenants = "cellblock:{running}"
)

// WakeList returns the list of tokens that wakes a worker of an environment: cellblock:wake, or
// {cellblock:wake}:env:NAME.
func WakeList(environment string) string {
	if environment == jobs.DefaultEnvironment {
		return wakeKey
	}
	return wakeSlot + environmentPrefix + environment
}

// SpillList returns the list of tokens of jobs behind which others of their flow wait already.
func SpillList(environment string) string {
	if environment == jobs.DefaultEnvironment {
		return wakeSlot + ":spill"
	}
	return WakeList(environment) + ":spill"
}

// TenantsKey returns the key of the sorted set of an environment's tenants.
func TenantsKey(environment string) string { return "cellblock:{flows}:" + environment }

// Args returns what the Lua functions take of a route: environment, tenant, flow and terms.
func Args(route jobs.Route) []any {
	return []any{
		cmp.Or(route.Environment, jobs.DefaultEnvironment), string(cmp.Or(route.Tenant, jobs.Operator)), flowOf(route),
		termsOf(route),
	}
}

// flowOf is flow_of of Functions.
func flowOf(route jobs.Route) string {
	if route.BatchID != "" {
		return "b:" + route.BatchID
	}
	return string(cmp.Or(route.Priority, jobs.PriorityDefault))
}

// termsOf is terms_of of Functions.
func termsOf(route jobs.Route) string {
	if route.Weight <= 1 && route.MaxRunning <= 0 {
		return ""
	}
	return fmt.Sprintf("=%d %d", max(1, route.Weight), max(0, route.MaxRunning))
}
