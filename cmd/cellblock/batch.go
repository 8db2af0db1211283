package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/schollz/progressbar/v3"

	"cellblock/client"
)

// batchCommands are `cellblock batch` and its subcommands.
type batchCommands struct {
	Run     batchRunCommand     `cmd:"" default:"withargs" help:"Submit a file of jobs and print the result of each (the default)."`
	Get     batchGetCommand     `cmd:"" help:"Show the counts of a batch's jobs by status."`
	Results batchResultsCommand `cmd:"" help:"Print the results of a batch's jobs."`
	Cancel  batchCancelCommand  `cmd:"" help:"Cancel the jobs of a batch that have not ended."`
}

// Help is the text of `cellblock batch --help`.
func (batchCommands) Help() string {
	return `Each line of the file is a job, as in the body of POST /execute:

    {"script": "def main(n): return n", "args": {"n": 1}}

Each line of the output is the result of one job, written when the job ends:

    {"index": 0, "job": {…}}

The index is the line of the file, counted from 0 without empty lines. The exit status is 1 if a job failed or was
refused. Ctrl-C cancels the batch.

    cellblock batch jobs.ndjson --output results.ndjson
    jq -nc 'range(100) | {script: "def main(n): return n * n", args: {n: .}}' | cellblock batch - | jq .job.result
    id=$(cellblock batch jobs.ndjson --no-wait); cellblock batch get "$id"; cellblock batch results "$id"`
}

// batchRunCommand is `cellblock batch FILE`.
type batchRunCommand struct {
	Service     serviceFlags `embed:""`
	File        string       `arg:"" complete:"file" help:"File with one job per line; - reads standard input."`
	Output      string       `short:"o" placeholder:"FILE" complete:"file" help:"Write the results to this file instead of standard output."`
	NoWait      bool         `help:"Print the batch's id and exit."`
	Entry       *string      `enum:"main,script,cell" placeholder:"ENTRY" help:"How the scripts of lines without an entry are run: main, script or cell."`
	Environment string       `placeholder:"NAME" help:"Environment of the lines without one; see 'cellblock environments'."`
	Label       []string     `sep:"none" placeholder:"KEY=VALUE" help:"Label of the jobs of lines without labels. Can be repeated."`
	Key         string       `placeholder:"KEY" help:"Idempotency key: the same key and file return the same batch."`
}

// Run submits the batch and writes its results.
func (c *batchRunCommand) Run() error {
	lines, err := readFile(c.File)
	if err != nil {
		return err
	}
	if c.Entry != nil {
		lines = withField(lines, "entry", *c.Entry)
	}
	if c.Environment != "" {
		lines = withField(lines, "environment", c.Environment)
	}
	labels, err := pairs("--label", c.Label)
	if err != nil {
		return err
	}
	if len(labels) > 0 {
		lines = withField(lines, "labels", labels)
	}
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		batch, err := service.SubmitLines(ctx, lines, client.BatchOptions{IdempotencyKey: c.Key})
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.NoWait {
			fmt.Fprintln(standardOutput, batch.BatchID)
			return nil
		}
		note("batch %s", batch.BatchID)
		err = writeResults(ctx, service, batch.BatchID, batch.Counts.Total, c.Output)
		if ctx.Err() != nil && err != nil {
			return cancelAfter(ctx, "batch "+batch.BatchID, func(ctx context.Context) error {
				_, err := service.CancelBatch(ctx, batch.BatchID)
				return err
			})
		}
		return err
	})
}

// withField adds a field to the lines that do not have it. A line that is no JSON object stays for the service to
// refuse.
func withField(lines []byte, name string, value any) []byte {
	encoded, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return lines // no string or map of strings
	}
	var all bytes.Buffer
	for line := range bytes.Lines(lines) {
		var fields map[string]jsontext.Value
		object := bytes.TrimLeft(bytes.TrimPrefix(line, []byte("\ufeff")), " \t\r\n")
		isObject := json.Unmarshal(object, &fields) == nil && len(fields) > 0
		if _, has := fields[name]; has || !isObject {
			all.Write(line)
			continue
		}
		fmt.Fprintf(&all, `{%q:%s,`, name, encoded)
		all.Write(object[1:])
	}
	return all.Bytes()
}

// outcomeCounts counts the outcomes of a batch's jobs.
type outcomeCounts struct{ succeeded, failed, cancelled, refused int }

func (t *outcomeCounts) add(result client.BatchResult) {
	switch {
	case result.Job == nil:
		t.refused++
	case result.Job.Code == client.CodeCancelled:
		t.cancelled++
	case result.Job.Code != "":
		t.failed++
	default:
		t.succeeded++
	}
}

func (t *outcomeCounts) String() string {
	return fmt.Sprintf("%d succeeded, %d failed, %d cancelled, %d refused or expired", t.succeeded, t.failed,
		t.cancelled, t.refused)
}

// writeResults writes one line for each job of a batch as it ends, to the file at path or to standard output. It
// returns an exit with statusFailed unless all succeeded.
func writeResults(ctx context.Context, service *client.Client, id string, total int, path string) (err error) {
	out := os.Stdout
	if path != "" {
		if out, err = os.Create(path); err != nil {
			return usage(err)
		}
		defer func() { err = errors.Join(err, usage(out.Close())) }()
	}
	bar := progress(total, out)
	defer func() { _ = bar.Exit() }()
	var counts outcomeCounts
	for result, err := range service.BatchResults(ctx, id, client.ResultsOptions{}) {
		if err != nil {
			return withStatus(fmt.Errorf("batch %s: %w", id, err))
		}
		if err := writeLine(out, result); err != nil {
			return usage(err)
		}
		counts.add(result)
		bar.Describe(counts.String())
		_ = bar.Add(1) // its writer is a terminal, or discards
	}
	if counts.failed+counts.cancelled+counts.refused > 0 {
		return &exit{status: statusFailed, err: fmt.Errorf("batch %s: %s", id, &counts)}
	}
	return nil
}

// writeLine writes without a buffer, since a reader may wait for the line.
func writeLine(out io.Writer, result client.BatchResult) error {
	line, err := json.Marshal(result, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

// progress is a bar on standard error. It is silent if standard error is no terminal, or if the results are printed to
// one.
func progress(total int, out *os.File) *progressbar.ProgressBar {
	if !isTerminal(os.Stderr) || isTerminal(out) {
		return progressbar.DefaultSilent(int64(total))
	}
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionShowCount(),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionSetWidth(20),
	)
}

// batchGetCommand is `cellblock batch get`.
type batchGetCommand struct {
	Service serviceFlags `embed:""`
	ID      string       `arg:"" help:"The batch's id."`
	JSON    bool         `name:"json" help:"Print the batch as JSON."`
}

// Run shows the batch.
func (c *batchGetCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		batch, err := service.GetBatch(ctx, c.ID)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		return showBatch(batch, c.JSON)
	})
}

// batchCancelCommand is `cellblock batch cancel`.
type batchCancelCommand struct {
	Service serviceFlags `embed:""`
	ID      string       `arg:"" help:"The batch's id."`
	JSON    bool         `name:"json" help:"Print the batch as JSON."`
}

// Run cancels the batch.
func (c *batchCancelCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		batch, err := service.CancelBatch(ctx, c.ID)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		return showBatch(batch, c.JSON)
	})
}

func showBatch(batch *client.Batch, asJSON bool) error {
	if asJSON {
		return printJSON(batch)
	}
	n := batch.Counts
	fmt.Fprintf(standardOutput,
		"%s: %d jobs, %d queued, %d running, %d succeeded, %d failed, %d cancelled, %d refused\n",
		batch.Status, n.Total, n.Queued, n.Running, n.Succeeded, n.Failed, n.Cancelled, n.Refused)
	return nil
}

// batchResultsCommand is `cellblock batch results`.
type batchResultsCommand struct {
	Service serviceFlags `embed:""`
	ID      string       `arg:"" help:"The batch's id."`
	Output  string       `short:"o" placeholder:"FILE" complete:"file" help:"Write the results to this file instead of standard output."`
}

// Run writes the results, and waits for jobs that have not ended. Ctrl-C does not cancel the batch.
func (c *batchResultsCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		batch, err := service.GetBatch(ctx, c.ID)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		err = writeResults(ctx, service, c.ID, batch.Counts.Total, c.Output)
		if ctx.Err() != nil && err != nil {
			return &exit{status: interruptStatus(ctx)}
		}
		return err
	})
}
