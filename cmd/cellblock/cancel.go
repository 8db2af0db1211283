package main

import (
	"context"
	"errors"
	"fmt"

	"cellblock/client"
)

// cancelCommand is `cellblock cancel`.
type cancelCommand struct {
	Service serviceFlags `embed:""`
	IDs     []string     `arg:"" name:"id" help:"The jobs' ids."`
}

// Help is the text of `cellblock cancel --help`.
func (*cancelCommand) Help() string {
	return `A running job is killed within moments, with every process that it started. The exit status is 2 if a job
had already ended by itself.

    cellblock cancel 01981f3e-7c1a-7000-8000-000000000001
    cellblock list --status queued --json | jq -r .job_id | xargs cellblock cancel`
}

// Run cancels each job, even if another cannot be cancelled.
func (c *cancelCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		var errs []error
		for _, id := range c.IDs {
			job, err := service.Cancel(ctx, id)
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("%s: %w", id, err))
			case client.Ended(job.Status):
				fmt.Fprintln(standardOutput, id, "cancelled")
			default:
				fmt.Fprintln(standardOutput, id, "is being killed")
			}
		}
		return withStatusOrInterrupted(ctx, errors.Join(errs...))
	})
}
