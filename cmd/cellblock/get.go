package main

import (
	"context"
	"fmt"
	"time"

	"cellblock/client"
)

// maxHold is the longest time for which the service holds a response.
const maxHold = 30 * time.Second

// getCommand is `cellblock get`.
type getCommand struct {
	Service serviceFlags  `embed:""`
	ID      string        `arg:"" help:"The job's id."`
	Wait    time.Duration `placeholder:"TIME" help:"Wait at most this long (10s, 5m) for the job to end."`
	JSON    bool          `name:"json" help:"Print only the whole job, as JSON."`
	Dir     string        `name:"output-dir" short:"o" placeholder:"DIR" complete:"dir" help:"Download the job's output files to this folder; it is created if missing."`
	Status  bool          `name:"exit-status" help:"Exit with the status of run: 1 if the script failed, and so on."`
}

// Help is the text of `cellblock get --help`.
func (*getCommand) Help() string {
	return `The exit status is 0 for every job that can be read, unless --exit-status is set.

    cellblock get 01981f3e-7c1a-7000-8000-000000000001
    cellblock get "$id" --wait 1m --exit-status --json | jq .result`
}

// Run shows the job.
func (c *getCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		job, err := c.read(ctx, service)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if !client.Ended(job.Status) && !c.JSON {
			fmt.Fprintln(standardOutput, job.Status)
			return nil
		}
		if !c.JSON {
			showOutput(job, "", "")
		}
		err = showEnd(ctx, service, job, showOptions{json: c.JSON, dir: c.Dir})
		if failure := client.Failure(job); failure != nil && !c.Status {
			// The failure is shown, but get itself succeeded.
			if status := exitStatus(err); status != statusOf(failure) {
				return &exit{status: status}
			}
			return nil
		}
		return err
	})
}

// read waits for c.Wait at most, which may be longer than the service holds one response.
func (c *getCommand) read(ctx context.Context, service *client.Client) (*client.Job, error) {
	until := time.Now().Add(c.Wait)
	for {
		left := max(0, time.Until(until))
		began := time.Now()
		job, err := service.Get(ctx, c.ID, client.Hold(min(left, maxHold)))
		// A service that shuts down does not hold its responses.
		early := left > time.Second && time.Since(began) < time.Second
		if err != nil || client.Ended(job.Status) || left == 0 {
			return job, err
		}
		if early {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}
