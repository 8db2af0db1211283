package main

import (
	"context"
	"fmt"

	"cellblock/client"
)

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
			return concludeUnless(ctx, err)
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
			return concludeUnless(ctx, err)
		}
		return showBatch(batch, c.JSON)
	})
}

func showBatch(batch *client.Batch, asJSON bool) error {
	if asJSON {
		return printJSON(batch)
	}
	n := batch.Counts
	fmt.Fprintf(printed, "%s: %d jobs, %d queued, %d running, %d succeeded, %d failed, %d cancelled, %d refused\n",
		batch.Status, n.Total, n.Queued, n.Running, n.Succeeded, n.Failed, n.Cancelled, n.Refused)
	return nil
}

// batchResultsCommand is `cellblock batch results`.
type batchResultsCommand struct {
	Service serviceFlags `embed:""`
	ID      string       `arg:"" help:"The batch's id."`
	Output  string       `short:"o" placeholder:"FILE" complete:"file" help:"Write the results there, instead of to standard output."`
}

// Run writes the results and waits for those to come. Ctrl-C does not cancel the batch.
func (c *batchResultsCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		batch, err := service.GetBatch(ctx, c.ID)
		if err != nil {
			return concludeUnless(ctx, err)
		}
		err = writeResults(ctx, service, c.ID, batch.Counts.Total, c.Output)
		if ctx.Err() != nil && err != nil {
			return &exit{status: interruption(ctx)}
		}
		return err
	})
}
