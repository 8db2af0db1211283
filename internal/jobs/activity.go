package jobs

import "time"

// ActivityMinutes is the number of minutes of an Activity.
const ActivityMinutes = 60

// Activity is what happens now, and how many jobs ended lately, of one tenant or of all together.
type Activity struct {
	// At is Redis's time at which it was read.
	At time.Time
	// Queued counts the jobs that wait for a worker, and Running those that workers have taken and that have not ended.
	Queued, Running int
	// OldestWait is for how long the oldest queued job has waited; nil if none waits.
	OldestWait *time.Duration
	// Minutes are the last ActivityMinutes minutes, the oldest first. The last one has not ended.
	Minutes []ActivityMinute
}

// ActivityMinute counts the jobs that ended in one minute.
type ActivityMinute struct {
	// At is when it begins.
	At time.Time
	// Jobs counts the ended jobs by outcome: OutcomeOK, or the code of the failure. It is never nil.
	Jobs map[string]int64
}

// Totals returns the sums of the minutes by outcome.
func (a Activity) Totals() map[string]int64 {
	totals := map[string]int64{}
	for _, minute := range a.Minutes {
		for outcome, n := range minute.Jobs {
			totals[outcome] += n
		}
	}
	return totals
}
