package jobs

import "time"

// DayFormat is the form of a day in requests, responses and Redis: a date of UTC.
const DayFormat = time.DateOnly

// OutcomeOK is the outcome of a job that succeeded, where outcomes are counted by their code.
const OutcomeOK = "ok"

// Bounds on one request for usage.
const (
	// MaxUsageDays is the longest range, a quarter of a year.
	MaxUsageDays = 92
	// MaxUsageRows bounds the number of tenants times the number of days.
	MaxUsageRows = 31_000
)

// UsageQuery selects the usage to read.
type UsageQuery struct {
	// From and To are the first and the last day, at midnight in UTC. A zero To means today by Redis's clock, and a
	// zero From the six days before To and To itself.
	From, To time.Time
	// Tenant is the tenant whose usage is read; "" means all tenants.
	Tenant Tenant
	// ByLabel splits the rows by the values of the label USAGE_LABEL.
	ByLabel bool
}

// UsageReport is the usage of a range of days.
type UsageReport struct {
	// From and To are the first and the last day, at midnight in UTC.
	From, To time.Time
	// Days has a row for each tenant and day on which one of its jobs ended, by tenant and then by day.
	// By label it has one for each value, after that of the jobs without the label.
	Days []DayUsage
}

// DayUsage is what the jobs of one tenant used that ended on one day, or the sum of several such.
type DayUsage struct {
	Tenant Tenant
	// Day is at midnight in UTC.
	Day time.Time
	// Label is the value of the label, for usage by label; nil for jobs without the label, or with an empty value, and
	// "" for all values beyond the bound on their number.
	Label *string
	// Jobs counts the ended jobs by outcome: OutcomeOK, or the code of the failure.
	Jobs map[string]int64
	// CPU is user and system time, and Wall the time for which jobs ran. A job whose CPU time is unknown counts for
	// none.
	CPU, Wall time.Duration
	// BytesIn counts scripts and inputs; BytesOut results, output, displays and files.
	BytesIn, BytesOut int64
}

// Add adds another sum to u. It leaves Tenant, Day and Label as they are.
func (u *DayUsage) Add(other DayUsage) {
	if u.Jobs == nil {
		u.Jobs = make(map[string]int64, len(other.Jobs))
	}
	for outcome, n := range other.Jobs {
		u.Jobs[outcome] += n
	}
	u.CPU, u.Wall = u.CPU+other.CPU, u.Wall+other.Wall
	u.BytesIn, u.BytesOut = u.BytesIn+other.BytesIn, u.BytesOut+other.BytesOut
}

// Subtract subtracts a part of u from it. No number becomes negative, and Jobs keeps no 0.
func (u *DayUsage) Subtract(part DayUsage) {
	for outcome, n := range part.Jobs {
		if u.Jobs[outcome] -= n; u.Jobs[outcome] <= 0 {
			delete(u.Jobs, outcome)
		}
	}
	u.CPU, u.Wall = max(0, u.CPU-part.CPU), max(0, u.Wall-part.Wall)
	u.BytesIn, u.BytesOut = max(0, u.BytesIn-part.BytesIn), max(0, u.BytesOut-part.BytesOut)
}

// Code returns the outcome for programs: OutcomeOK, or the code of the failure.
func (o Outcome) Code() string {
	if o.Failure != nil {
		return string(o.Failure.Code)
	}
	return OutcomeOK
}

// Size returns the number of bytes that the job produced: its result, output, displays and files.
func (o Outcome) Size() int64 {
	size := int64(len(o.Result) + len(o.Stdout) + len(o.Stderr) + DisplaysSize(o.Displays))
	for _, file := range o.Files {
		size += file.Size
	}
	return size
}
