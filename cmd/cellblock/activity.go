package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"cellblock/client"
)

// activityCommand is `cellblock activity`.
type activityCommand struct {
	Service serviceFlags `embed:""`
	Tenant  string       `placeholder:"NAME" help:"Only the jobs of this tenant; for administrators, who otherwise see those of all together."`
	JSON    bool         `name:"json" help:"Print the service's response."`
}

// Help is the text of 'cellblock activity --help'.
func (*activityCommand) Help() string {
	return `QUEUED jobs wait for a worker, the oldest of them for OLDEST, and workers have RUNNING ones. The next lines
are the minutes of the last hour in which jobs ended: OK are the jobs that succeeded, OTHERS the others by their code.
The last minute has not ended.

    cellblock activity --tenant acme
    cellblock activity --json | jq .queued`
}

// Run shows what happens now.
func (c *activityCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		activity, err := service.Activity(ctx, c.Tenant)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.JSON {
			return printJSON(activity)
		}
		return showActivity(activity)
	})
}

// showActivity prints what happens now, and a row for each minute in which a job ended, and one for their totals.
func showActivity(activity *client.Activity) error {
	oldest := "-"
	if seconds := activity.OldestWaitSeconds; seconds != nil {
		oldest = waited(*seconds)
	}
	table := tabwriter.NewWriter(standardOutput, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
	fmt.Fprintf(table, "QUEUED\tOLDEST\tRUNNING\n%d\t%s\t%d\n", activity.Queued, oldest, activity.Running)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(standardOutput)
	fmt.Fprintln(table, "MINUTE\tOK\tOTHERS")
	for _, minute := range activity.Minutes {
		if len(minute.Jobs) > 0 {
			fmt.Fprintf(table, "%s\t%d\t%s\n", local(minute.At), minute.Jobs["ok"], failures(minute.Jobs))
		}
	}
	fmt.Fprintf(table, "total\t%d\t%s\n", activity.Totals["ok"], failures(activity.Totals))
	return table.Flush()
}

// waited returns a number of seconds as a duration, such as 1m30s or 250ms.
func waited(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
