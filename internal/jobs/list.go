package jobs

// ListQuery says which jobs to list.
type ListQuery struct {
	// State is the only one to be listed; "" means all.
	State State
	// Before is the id before which the page begins; "" means with the newest.
	Before string
	// Limit is how many jobs a page has at most.
	Limit int
}

// Page is a part of the jobs, newest first.
type Page struct {
	// Jobs have no Outcome, whatever their state.
	Jobs []Record
	// Next is where the next page begins, as ListQuery.Before; "" after the last
	// job. A page may be short, even empty, and have one: the work for a page is
	// bounded.
	Next string
}
