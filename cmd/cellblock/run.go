package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"cellblock/client"
)

// runCommand is `cellblock run`.
type runCommand struct {
	Service serviceFlags `embed:""`
	Request requestFlags `embed:""`
	Code    bool         `name:"exit-code" help:"Exit with the script's own exit code, if it has one (--entry script)."`
	Watch   bool         `short:"w" xor:"how" help:"Show the script's output while the script runs."`
	JSON    bool         `name:"json" xor:"how" help:"Print only the whole job, as JSON."`
	Dir     string       `name:"output-dir" short:"o" placeholder:"DIR" complete:"dir" help:"Download the job's output files to this folder; it is created if missing."`
}

// Help is the text of `cellblock run --help`.
func (*runCommand) Help() string {
	return `The script's standard output and standard error are printed to the same streams. Then the return value of
main() is printed to standard output, unless it is None. Ctrl-C cancels the job. A file without main() is run as a
script, and - with --entry cell - as a cell of a notebook, which shows the value of its last expression.

    cellblock run examples/slow.py --watch
    cellblock run examples/query.py --file examples/sales.csv=data/sales.csv --arg region=south --arg least=90
    cellblock run examples/chart.py -f examples/sales.csv --output-dir charts
    echo 'def main(n): return n * n' | cellblock run - -a n=7 --limit wall=2s --json
    cellblock run examples/words.py -f README.md --exit-code -- README.md 5
    cellblock run examples/cell.py -f examples/sales.csv --entry cell

` + exitHelp
}

// Run submits the script and shows the ended job; with --watch, also its output while it runs.
func (c *runCommand) Run() error {
	request, err := c.Request.request()
	if err != nil {
		return err
	}
	if request.Priority == "" {
		request.Priority = "high" // a user waits for it
	}
	if c.Dir != "" {
		// Before the job starts, which is useless without a folder for its files.
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return usage(err)
		}
	}
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		submitted, err := service.Submit(ctx, request)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		job, err := c.await(ctx, service, submitted.JobID)
		if ctx.Err() != nil && !client.Ended(job.Status) {
			return cancelAfter(ctx, "job "+job.JobID, func(ctx context.Context) error {
				_, err := service.Cancel(ctx, job.JobID)
				return err
			})
		}
		if err != nil && !client.Ended(job.Status) {
			return withStatus(fmt.Errorf("job %s: %w", job.JobID, err))
		}
		return c.exit(job, showEnd(ctx, service, job, showOptions{json: c.JSON, dir: c.Dir}))
	})
}

// exit returns err, the program's exit for an ended job, with the script's own exit code if that was asked for.
func (c *runCommand) exit(job *client.Job, err error) error {
	var e *exit
	if c.Code && job.ExitCode != nil && *job.ExitCode != 0 && errors.As(err, &e) && e.status == statusFailed {
		e.status = *job.ExitCode
	}
	return err
}

// withStatusOrInterrupted is withStatus, except for the interruption by a signal.
func withStatusOrInterrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return &exit{status: interruptStatus(ctx)}
	}
	return withStatus(err)
}

// await waits for a job to end and shows its output. The returned job is never nil.
func (c *runCommand) await(ctx context.Context, service *client.Client, id string) (*client.Job, error) {
	if !c.JSON {
		if ready, err := service.Ready(ctx); err == nil && ready.Workers == 0 {
			fmt.Fprintln(os.Stderr, "cellblock: no worker is running; the job waits for one (Ctrl-C cancels it)")
		}
	}
	if c.Watch {
		return watch(ctx, service, id)
	}
	job, err := service.Wait(ctx, id)
	if client.Ended(job.Status) && !c.JSON {
		showOutput(job, "", "")
	}
	return job, err
}

// watch shows a job's output as it arrives, until the job ends.
func watch(ctx context.Context, service *client.Client, id string) (*client.Job, error) {
	var stdout, stderr strings.Builder
	job := &client.Job{JobID: id}
	for event, err := range service.Watch(ctx, id) {
		if err != nil {
			return job, err
		}
		switch event.Kind {
		case client.EventStdout:
			tee(standardOutput, event.Text, &stdout)
		case client.EventStderr:
			tee(os.Stderr, event.Text, &stderr)
		case client.EventEnd:
			showOutput(event.Job, stdout.String(), stderr.String())
			return event.Job, client.Failure(event.Job)
		case client.EventState:
		}
	}
	return job, io.ErrUnexpectedEOF // the stream ended without an end event
}

// tee writes output to file and appends it to copied.
func tee(file io.Writer, text string, copied *strings.Builder) {
	_, _ = io.WriteString(file, text)
	_, _ = copied.WriteString(text)
}
