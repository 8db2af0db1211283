package jobs

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Job is an accepted script.
type Job struct {
	// ID is a UUID version 7 (RFC 9562).
	ID string
	// Tenant is the owner.
	Tenant Tenant
	Script string
	// Entry is how the script is run.
	Entry Entry
	// Inputs are the job's inputs besides the script; nil for none.
	Inputs *Inputs
	// Limits are the job's limits, decided at its acceptance. A limit of 0 means the worker's own (in records of an
	// earlier version).
	Limits RequestedLimits
	// LimitsOpen means that no worker's maximum limits were known at acceptance: a limit that the request does not
	// contain is the lower one of Limits and the worker's maximum.
	LimitsOpen bool
	// TTL is how long the record is kept after the job's end; 0 means the store's setting.
	TTL time.Duration
	// Async means that the request did not wait. It selects the store's setting for a TTL of 0.
	Async bool
	// RequestID is the X-Request-Id of the request that created the job.
	RequestID string
	// Environment is the name of the Python that runs the script; "" means DefaultEnvironment.
	Environment string
	// Priority is that among the tenant's jobs; "" means PriorityDefault.
	Priority Priority
	// StartWithin is the start deadline, from acceptance: a job that was not started by then is withdrawn with
	// CodeNotStarted. 0 means no deadline.
	StartWithin time.Duration
	// IdempotencyKey is the store's key for the client's key; "" for none.
	IdempotencyKey string
	// BatchItem is the job's place in a batch; the zero value is that of a single job.
	BatchItem BatchItem
	// WebhookURL is the URL to which the job's end is posted; "" for none.
	WebhookURL string
	// ReplyTo is the Pub/Sub channel of the API replica that accepted the job.
	ReplyTo string
	// Labels are the client's, by key; nil for none.
	Labels map[string]string
	// Weight and MaxRunning are those of the tenant's limits at acceptance: the tenant's share of the workers, and how
	// many of its jobs may run at once. 0 for the default, and for no bound.
	Weight, MaxRunning int
	// Trace is the place in a trace to which the job belongs; the zero value for none.
	Trace TraceContext
	// Waited is how long the job had waited since its acceptance when a worker took it.
	Waited time.Duration
}

// NewID returns a new job id: a UUID version 7, so that ids sort by age.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// ParseID converts the id of a job or a batch to lower case, and reports whether s has the form of an id.
func ParseID(s string) (id string, ok bool) {
	return strings.ToLower(s), len(s) == 36 && uuid.Validate(s) == nil
}

// Record is the stored state of a job.
type Record struct {
	ID string
	// Tenant is the owner.
	Tenant Tenant
	State  State
	// Entry is how the job's script is run.
	Entry Entry
	// Environment is "" for the default.
	Environment string
	// Times are from Redis's clock, so they compare across machines. They are zero until they apply.
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	// Limits are those that the job has; zero if they are not known, or not decided yet.
	Limits RequestedLimits
	// Outcome is nil until the job has ended.
	Outcome *Outcome
	// Webhook is nil for a job without one.
	Webhook *Webhook
	// Labels are the client's, by key; nil for none.
	Labels map[string]string
	// Code is the code of the failure; "" if there is none. Only the records of a list have it: it is also in Outcome.
	Code Code
	// OutcomeBytes is the stored size of the outcome and its result, 0 for none.
	OutcomeBytes int
}
