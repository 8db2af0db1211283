package httpapi

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// timeLayout is RFC 3339 with milliseconds. Convert times to UTC before formatting.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// jobBody returns a job as all responses encode it: POST /execute, GET /jobs/{id}, the last event,
// a line of a batch, a callback.
func jobBody(record jobs.Record, files []api.OutputFile) api.Job {
	body := api.Job{
		JobID:      record.ID,
		Status:     api.JobStatus(record.State),
		CreatedAt:  record.CreatedAt.UTC().Format(timeLayout),
		StartedAt:  timeOrNull(record.StartedAt),
		FinishedAt: timeOrNull(record.FinishedAt),
		Callback:   callbackBody(record.Callback),
	}
	o := record.Outcome
	if o == nil {
		return body
	}
	usage, truncated := usageBody(o.Usage), api.Truncated(o.Truncated)
	body.Stdout, body.Stderr = &o.Stdout, &o.Stderr
	body.Usage, body.Truncated, body.Files = &usage, &truncated, files
	body.FilesOmitted, body.Notes = omittedBody(o), o.Notes
	if o.Failure != nil {
		return withFailure(body, o.Failure)
	}
	body.Result = resultOf(o)
	return body
}

// withFailure adds the details of a failure.
func withFailure(body api.Job, f *jobs.Failure) api.Job {
	body.Error, body.Code = f.Message, api.ErrorCode(f.Code)
	body.Limit, body.Detail, body.Hint = limitBody(f.Limit), f.Detail, f.Hint
	body.Line, body.Column, body.Text = f.Line, f.Column, f.Text
	body.ExitCode, body.Signal, body.Traceback = f.ExitCode, f.Signal, f.Traceback
	return body
}

// resultOf returns the return value of main(), or null if there is none, so that the field is
// always present.
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

// omittedBody describes the files that exceeded a limit.
func omittedBody(o *jobs.Outcome) []api.OmittedFile {
	bodies := make([]api.OmittedFile, 0, len(o.FilesOmitted))
	for _, file := range o.FilesOmitted {
		bodies = append(bodies, api.OmittedFile{Name: file.Name, Size: file.Size, Limit: *limitBody(&file.Limit)})
	}
	return bodies
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(timeLayout)
	return &s
}
