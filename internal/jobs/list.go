package jobs

import (
	"cmp"
	"time"
)

// ListQuery selects the jobs to list: those that match all of its fields.
type ListQuery struct {
	// Tenant is whose jobs to list; "" means those of all tenants that the caller sees.
	Tenant Tenant
	// State is the state of the listed jobs; "" means all states.
	State State
	// Code is the code of their failure; "" means all jobs. Jobs that ended under a version without this filter have
	// none.
	Code Code
	// Environment is the name of their environment; "" means all.
	Environment string
	// Labels are labels that they have, perhaps besides others; none means all jobs.
	Labels map[string]string
	// They were accepted at Since or later, and before Until, in milliseconds; zero for no bound.
	Since, Until time.Time
	// Before is an id: the page begins with the next older job; "" means with the newest one.
	Before string
	// Limit is the maximum number of jobs of a page.
	Limit int
}

// Matches reports whether a listed job matches the query.
func (q ListQuery) Matches(record Record) bool {
	for key, value := range q.Labels {
		if got, there := record.Labels[key]; !there || got != value {
			return false
		}
	}
	accepted := record.CreatedAt.Truncate(time.Millisecond) // as clients see it
	return (q.Tenant == "" || record.Tenant == q.Tenant) &&
		(q.State == "" || record.State == q.State) &&
		(q.Code == "" || record.Code == q.Code) &&
		(q.Environment == "" || cmp.Or(record.Environment, DefaultEnvironment) == q.Environment) &&
		(q.Since.IsZero() || !accepted.Before(q.Since)) &&
		(q.Until.IsZero() || accepted.Before(q.Until))
}

// Page is a part of the jobs, newest first.
type Page struct {
	// Jobs have no Outcome, whatever their state.
	Jobs []Record
	// Next is the ListQuery.Before of the next page; "" after the last job. A short or empty page may have one, since
	// the number of jobs scanned for a page is bounded.
	Next string
}
