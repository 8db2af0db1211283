package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"cellblock/api"
	"cellblock/client"
)

// maxPage is the service's maximum page size.
const maxPage = 200

// listCommand is `cellblock list`.
type listCommand struct {
	Service     serviceFlags `embed:""`
	Status      *string      `enum:"queued,running,succeeded,failed,cancelled" placeholder:"STATUS" help:"List only jobs with this status: queued, running, succeeded, failed or cancelled."`
	Tenant      string       `placeholder:"TENANT" help:"List only jobs of this tenant; an admin's token lists those of all without it."`
	Label       []string     `sep:"none" placeholder:"KEY=VALUE" help:"List only jobs with this label; repeated, with all of them."`
	Code        string       `placeholder:"CODE" help:"List only jobs that failed with this code, such as timeout."`
	Environment string       `placeholder:"NAME" help:"List only jobs with this environment."`
	Since       string       `placeholder:"TIME" help:"List only jobs accepted at this time or later: 30s, 15m or 24h ago, or 2026-01-02T03:04:05Z."`
	Until       string       `placeholder:"TIME" help:"List only jobs accepted before this time, which is given like that of --since."`
	Limit       int          `default:"20" help:"List at most this many jobs; 0 lists all."`
	JSON        bool         `name:"json" help:"Print one line of JSON per job."`
}

// Help is the text of `cellblock list --help`.
func (*listCommand) Help() string {
	return `Times are in this machine's time zone.

    cellblock list --status failed --limit 5
    cellblock list --label customer=42 --code timeout --since 24h
    cellblock list --limit 0 --json | jq -r 'select(.status == "queued") | .job_id'`
}

// Validate is called by kong.
func (c *listCommand) Validate() error {
	if c.Limit < 0 {
		return fmt.Errorf("--limit is %d; it must be 0 or more", c.Limit)
	}
	return nil
}

// Run lists the jobs.
func (c *listCommand) Run() error {
	options, err := c.options(time.Now())
	if err != nil {
		return err
	}
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		listed := 0
		for job, err := range service.List(ctx, options) {
			if err != nil {
				return withStatusOrInterrupted(ctx, err)
			}
			if err := c.show(job, listed == 0); err != nil {
				return err
			}
			if listed++; listed == c.Limit {
				break
			}
		}
		return nil
	})
}

// options returns what the flags select at the time now.
func (c *listCommand) options(now time.Time) (options client.ListOptions, err error) {
	options = client.ListOptions{
		PageSize: maxPage, Tenant: c.Tenant, Code: client.Code(c.Code), Environment: c.Environment,
	}
	if c.Status != nil {
		options.Status = api.JobStatus(*c.Status)
	}
	if c.Limit > 0 {
		options.PageSize = min(c.Limit, maxPage)
	}
	if options.Labels, err = pairs("--label", c.Label); err != nil {
		return options, err
	}
	if options.Since, err = timeOrAgo("--since", c.Since, now); err != nil {
		return options, err
	}
	options.Until, err = timeOrAgo("--until", c.Until, now)
	return options, err
}

// timeOrAgo parses the value of a flag: a time, or a duration back from now; the zero time for "".
func timeOrAgo(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := duration(text)
	if err != nil {
		return time.Time{}, usagef("%s %s: it must be a time such as 2026-01-02T03:04:05Z, or how long ago, such as "+
			"15m", flag, text)
	}
	return now.Add(-ago), nil
}

func (c *listCommand) show(job client.JobSummary, first bool) error {
	if c.JSON {
		return printJSON(job)
	}
	const columns = "%-36s  %s  %-19s  %-9s  %s\n"
	if first {
		fmt.Fprintf(standardOutput, columns, "JOB", fmt.Sprintf("%-9s", "STATUS"), "CREATED", "RAN", "TENANT")
	}
	status := colorize(os.Stdout, statusColor(job.Status), fmt.Sprintf("%-9s", job.Status))
	fmt.Fprintf(standardOutput, columns, job.JobID, status, local(job.CreatedAt), runTime(job),
		cmp.Or(job.Tenant, "operator"))
	return nil
}

func statusColor(status client.JobStatus) int {
	switch status {
	case api.JobStatusSucceeded:
		return green
	case api.JobStatusFailed:
		return red
	case api.JobStatusQueued, api.JobStatusRunning:
		return yellow
	default:
		return dim
	}
}

// local converts a time of the service to this machine's time zone.
func local(text string) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return at.Local().Format(time.DateTime)
}

// runTime returns how long a job ran; "-" if it did not run or has not ended.
func runTime(job client.JobSummary) string {
	if job.StartedAt == nil || job.FinishedAt == nil {
		return "-"
	}
	started, err := time.Parse(time.RFC3339, *job.StartedAt)
	if err != nil {
		return "-"
	}
	finished, err := time.Parse(time.RFC3339, *job.FinishedAt)
	if err != nil {
		return "-"
	}
	return finished.Sub(started).String()
}
