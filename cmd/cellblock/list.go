package main

import (
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
	Service serviceFlags `embed:""`
	Status  *string      `enum:"queued,running,succeeded,failed,cancelled" placeholder:"STATUS" help:"List only jobs with this status: queued, running, succeeded, failed or cancelled."`
	Tenant  string       `placeholder:"TENANT" help:"List only jobs of this tenant; an admin's token lists those of all without it."`
	Limit   int          `default:"20" help:"List at most this many jobs; 0 lists all."`
	JSON    bool         `name:"json" help:"Print one line of JSON per job."`
}

// Help is the text of `cellblock list --help`.
func (*listCommand) Help() string {
	return `Times are in this machine's time zone.

    cellblock list --status failed --limit 5
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
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		options := client.ListOptions{PageSize: maxPage, Tenant: c.Tenant}
		if c.Status != nil {
			options.Status = api.JobStatus(*c.Status)
		}
		if c.Limit > 0 {
			options.PageSize = min(c.Limit, maxPage)
		}
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

func (c *listCommand) show(job client.JobSummary, first bool) error {
	if c.JSON {
		return printJSON(job)
	}
	const columns = "%-36s  %s  %-19s  %s\n"
	if first {
		fmt.Fprintf(standardOutput, columns, "JOB", fmt.Sprintf("%-9s", "STATUS"), "CREATED", "RAN")
	}
	status := colorize(os.Stdout, statusColor(job.Status), fmt.Sprintf("%-9s", job.Status))
	fmt.Fprintf(standardOutput, columns, job.JobID, status, local(job.CreatedAt), runTime(job))
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
