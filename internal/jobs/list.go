package jobs

// ListQuery selects the jobs to list.
type ListQuery struct {
	// Tenant is whose jobs to list; "" means those of all tenants that the caller sees.
	Tenant Tenant
	// State is the state of the listed jobs; "" means all states.
	State State
	// Before is an id: the page begins with the next older job; "" means with the newest one.
	Before string
	// Limit is the maximum number of jobs of a page.
	Limit int
}

// Page is a part of the jobs, newest first.
type Page struct {
	// Jobs have no Outcome, whatever their state.
	Jobs []Record
	// Next is the ListQuery.Before of the next page; "" after the last job. A short or empty page may have one, since
	// the number of jobs scanned for a page is bounded.
	Next string
}
