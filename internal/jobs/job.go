package jobs

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Job is one accepted script on its way to a sandbox.
type Job struct {
	// ID is a UUID version 7 (RFC 9562).
	ID     string
	Script string
	// Inputs is what it is given beside the script; nil for nothing.
	Inputs *Inputs
	// Limits are what the job is held to, decided at its acceptance. 0 where they are the worker's own (records of
	// an earlier version).
	Limits AskedLimits
	// LimitsOpen tells that no worker's ceilings were known at acceptance: those of Limits that the request did not
	// ask for are the lower of Limits and the worker's ceilings.
	LimitsOpen bool
	// TTL is how long the record is kept after its end; 0 leaves it to the store's settings.
	TTL time.Duration
	// Async tells how long that is, and whether the request waited.
	Async bool
	// RequestID is the X-Request-Id of the request that made the job.
	RequestID string
	// Priority chooses the queue; "" counts as PriorityDefault.
	Priority Priority
	// StartWithin is the start deadline, from acceptance: a job that nobody has
	// started by then is dropped as CodeNotStarted. 0 means never.
	StartWithin time.Duration
	// IdempotencyKey is the store's name for the client's key; "" for none.
	IdempotencyKey string
	// Batch is the batch that the job is of, if any.
	Batch BatchPlace
	// CallbackURL is where its end is posted to; "" for nowhere.
	CallbackURL string
	// ReplyTo is the Pub/Sub channel of the API replica that accepted the job.
	ReplyTo string
}

// NewID makes a job id: a UUID version 7, so that ids sort by age.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// ParseID reads the id of a job or a batch, in capitals or not, and reports whether
// s could be one.
func ParseID(s string) (id string, ok bool) {
	return strings.ToLower(s), len(s) == 36 && uuid.Validate(s) == nil
}

// Record is what the store knows of a job.
type Record struct {
	ID    string
	State State
	// Times are Redis's, so they compare across machines. Zero until they apply.
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	// Outcome is nil until the job ended.
	Outcome *Outcome
	// Callback is nil where nobody is told of the end.
	Callback *Callback

	release func()
}

// Held gives the record with what gives back the room that it takes.
func (r Record) Held(release func()) Record {
	r.release = release
	return r
}

// Large reports whether the record takes room until Release.
func (r Record) Large() bool { return r.release != nil }

// Release gives back the room that a large record takes. Whoever was given a record
// to answer with calls it once that is done; more than once does no harm.
func (r Record) Release() {
	if r.release != nil {
		r.release()
	}
}
