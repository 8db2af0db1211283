package httpapi

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// timeLayout is RFC 3339 with milliseconds; times are put in UTC first.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func resultBody(record jobs.Record, files []api.OutputFile) api.ExecuteResult {
	o := record.Outcome
	return api.ExecuteResult{
		Result:    resultOf(o),
		Stdout:    o.Stdout,
		Stderr:    o.Stderr,
		JobID:     record.ID,
		Usage:     usageBody(o.Usage),
		Truncated: api.Truncated(o.Truncated),
		Files:     files,
	}
}

// failureBody has what is known of a failed job.
func failureBody(record jobs.Record, files []api.OutputFile) api.Error {
	f, usage, truncated := record.Outcome.Failure, usageBody(record.Outcome.Usage), api.Truncated(record.Outcome.Truncated)
	return api.Error{
		Error:     f.Message,
		Code:      api.ErrorCode(f.Code),
		Limit:     limitBody(f.Limit),
		Detail:    f.Detail,
		Hint:      f.Hint,
		Line:      f.Line,
		Column:    f.Column,
		Text:      f.Text,
		ExitCode:  f.ExitCode,
		Signal:    f.Signal,
		Traceback: f.Traceback,
		Stdout:    &record.Outcome.Stdout,
		Stderr:    &record.Outcome.Stderr,
		JobID:     record.ID,
		Usage:     &usage,
		Truncated: &truncated,
		Files:     files,
	}
}

func jobBody(record jobs.Record, files []api.OutputFile) api.Job {
	body := api.Job{
		JobID:      record.ID,
		Status:     api.JobStatus(record.State),
		CreatedAt:  record.CreatedAt.UTC().Format(timeLayout),
		StartedAt:  timeOrNull(record.StartedAt),
		FinishedAt: timeOrNull(record.FinishedAt),
		Callback:   callbackBody(record.Callback),
	}
	if record.Outcome == nil {
		return body
	}
	if record.Outcome.Failure != nil {
		return withFailure(body, failureBody(record, files))
	}
	usage, truncated := usageBody(record.Outcome.Usage), api.Truncated(record.Outcome.Truncated)
	body.Result = resultOf(record.Outcome)
	body.Stdout, body.Stderr = &record.Outcome.Stdout, &record.Outcome.Stderr
	body.Usage, body.Truncated, body.Files = &usage, &truncated, files
	return body
}

// withFailure fills in what a failed job has in common with an error.
func withFailure(body api.Job, f api.Error) api.Job {
	body.Error, body.Code = f.Error, f.Code
	body.Limit, body.Detail, body.Hint = f.Limit, f.Detail, f.Hint
	body.Line, body.Column, body.Text = f.Line, f.Column, f.Text
	body.ExitCode, body.Signal, body.Traceback = f.ExitCode, f.Signal, f.Traceback
	body.Stdout, body.Stderr = f.Stdout, f.Stderr
	body.Usage, body.Truncated, body.Files = f.Usage, f.Truncated, f.Files
	return body
}

// resultOf gives what main() returned, and null for nothing, so that the field
// is always there.
func resultOf(o *jobs.Outcome) jsontext.Value {
	if len(o.Result) == 0 {
		return jsontext.Value("null")
	}
	return o.Result
}

func usageBody(u jobs.Usage) api.Usage {
	return api.Usage{QueuedMs: u.QueuedMS, PrepareMs: u.PrepareMS, RunMs: u.RunMS, CPUMs: u.CPUMS, MemoryPeakBytes: u.MemoryPeakBytes}
}

func limitBody(l *jobs.LimitHit) *api.Limit {
	if l == nil {
		return nil
	}
	return &api.Limit{Name: l.Name, Value: l.Value, Unit: l.Unit}
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(timeLayout)
	return &s
}
