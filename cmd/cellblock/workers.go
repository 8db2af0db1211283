package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"cellblock/client"
)

// workersCommand is `cellblock workers`.
type workersCommand struct {
	Service serviceFlags `embed:""`
	JSON    bool         `name:"json" help:"Print one line of JSON per worker."`
}

// Help is the text of 'cellblock workers --help'.
func (*workersCommand) Help() string {
	return `It needs the token of an administrator. BUSY is how many jobs the worker holds, of as many as it runs at
once. READY is how many sandboxes wait for a job, by environment, when the worker last reported them: up to half a
minute ago without a job. A hyphen is what a worker of an earlier version does not report.

    cellblock workers
    cellblock workers --json | jq -r 'select(.status == "draining") | .worker_id'`
}

// Run lists the workers.
func (c *workersCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		workers, err := service.Workers(ctx)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.JSON {
			for _, worker := range workers {
				if err := printJSON(worker); err != nil {
					return err
				}
			}
			return nil
		}
		return showWorkers(workers)
	})
}

// showWorkers prints a row for each worker.
func showWorkers(workers []client.Worker) error {
	table := tabwriter.NewWriter(standardOutput, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
	fmt.Fprintln(table, "HOST\tSTATUS\tBUSY\tREADY\tVERSION\tSTARTED\tWORKER")
	for _, w := range workers {
		version, started := "-", "-"
		if w.Version != nil {
			version = *w.Version
		}
		if w.StartedAt != nil {
			started = local(*w.StartedAt)
		}
		ready := make([]string, len(w.Environments))
		for i, e := range w.Environments {
			ready[i] = e.Name + " " + orHyphen(e.Ready)
		}
		fmt.Fprintf(table, "%s\t%s\t%d/%s\t%s\t%s\t%s\t%s\n", w.Host, w.Status, w.Busy, orHyphen(w.Places),
			cmp.Or(strings.Join(ready, ", "), "-"), version, started, w.WorkerID)
	}
	return table.Flush()
}

// orHyphen returns a number, and a hyphen for nil.
func orHyphen(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}
