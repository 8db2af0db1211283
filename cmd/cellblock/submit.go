package main

import (
	"context"
	"fmt"

	"cellblock/client"
)

// submitCommand is `cellblock submit`.
type submitCommand struct {
	Service serviceFlags `embed:""`
	Request requestFlags `embed:""`
	JSON    bool         `name:"json" help:"Print the id and the status as JSON."`
}

// Help is the text of `cellblock submit --help`.
func (*submitCommand) Help() string {
	return `Standard output has only the job's id. A file without main() is run as a script.

    id=$(cellblock submit report.py --file sales.csv --priority low)
    cellblock get "$id" --wait 30s`
}

// Run submits the script.
func (c *submitCommand) Run() error {
	request, err := c.Request.request()
	if err != nil {
		return err
	}
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		job, err := service.Submit(ctx, request)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.JSON {
			return printJSON(map[string]string{"job_id": job.JobID, "status": string(job.Status)})
		}
		fmt.Fprintln(standardOutput, job.JobID)
		return nil
	})
}
