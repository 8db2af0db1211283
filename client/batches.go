package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// BatchOptions are the options of SubmitBatch and SubmitLines.
type BatchOptions struct {
	// IdempotencyKey makes a repeated submission return the first batch, as Request.IdempotencyKey does for a job. ""
	// creates a new batch each time.
	IdempotencyKey string
}

// SubmitBatch submits 1 to 1,000 jobs in one request. It ignores their IdempotencyKey and InlineFiles. A job that the
// service refuses is no error: BatchAccepted.Members has the outcome of each.
func (c *Client) SubmitBatch(ctx context.Context, requests []Request, options BatchOptions) (*BatchAccepted, error) {
	var lines bytes.Buffer
	for i := range requests {
		line, err := requests[i].json(false)
		if err != nil {
			return nil, fmt.Errorf("request %d of the batch: %w", i, err)
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	return c.SubmitLines(ctx, lines.Bytes(), options)
}

// SubmitLines submits a batch whose requests are already encoded as NDJSON, one job per line.
func (c *Client) SubmitLines(ctx context.Context, ndjson []byte, options BatchOptions) (*BatchAccepted, error) {
	post := call{
		method: http.MethodPost, path: []string{"batches"}, body: ndjson,
		header: http.Header{"Content-Type": {"application/x-ndjson"}},
	}
	post.setKey(options.IdempotencyKey)
	var batch BatchAccepted
	if _, err := c.fetch(ctx, post, &batch); err != nil {
		return nil, err
	}
	return &batch, nil
}

// GetBatch returns the current state of a batch. The only option that has an effect is Hold.
func (c *Client) GetBatch(ctx context.Context, id string, options ...GetOption) (*Batch, error) {
	query := url.Values{}
	for _, option := range options {
		option(query)
	}
	return c.batch(ctx, call{method: http.MethodGet, path: []string{"batches", id}, query: query})
}

// CancelBatch cancels the jobs of a batch that have not ended. When it returns, running jobs may not have been killed
// yet.
func (c *Client) CancelBatch(ctx context.Context, id string) (*Batch, error) {
	return c.batch(ctx, call{method: http.MethodDelete, path: []string{"batches", id}})
}

func (c *Client) batch(ctx context.Context, call call) (*Batch, error) {
	var batch Batch
	if _, err := c.fetch(ctx, call, &batch); err != nil {
		return nil, err
	}
	return &batch, nil
}

// BatchEnded reports whether every job of a batch has ended.
func BatchEnded(batch *Batch) bool { return batch.Status == "ended" }

// WaitBatch blocks until every job of a batch has ended, successfully or not. On an error, and when ctx is done, it
// returns the last state that it read, or nil.
func (c *Client) WaitBatch(ctx context.Context, id string) (*Batch, error) {
	var batch *Batch
	for {
		began := time.Now()
		now, err := c.withMoreAttempts().GetBatch(ctx, id, Hold(hold))
		if err != nil {
			return batch, err
		}
		batch = now
		if BatchEnded(batch) {
			return batch, nil
		}
		if err := avoidBusyPolling(ctx, began); err != nil {
			return batch, err
		}
	}
}

// ResultsOptions select which results BatchResults returns.
type ResultsOptions struct {
	// After is the number of results to skip.
	After int
	// NoFollow ends after the results that are available now, instead of waiting for jobs that have not ended.
	NoFollow bool
}

// BatchResults returns the results of a batch's jobs in the order in which they end. It reconnects if the connection
// is lost, without losing or repeating a result. An error is the last item; a failed job is not an error.
func (c *Client) BatchResults(ctx context.Context, id string, options ResultsOptions) iter.Seq2[BatchResult, error] {
	return func(yield func(BatchResult, error) bool) {
		if err := c.follow(ctx, &results{client: c, id: id, yield: yield, options: options}); err != nil {
			yield(BatchResult{}, err)
		}
	}
}

// results is the state of one BatchResults call. It advances options.After by each result that it reads.
type results struct {
	client  *Client
	id      string
	yield   func(BatchResult, error) bool
	options ResultsOptions
}

func (r *results) progress() any             { return r.options.After }
func (r *results) retryAfter() time.Duration { return 0 }

// connect yields the results of one connection and returns the reason that it ended.
func (r *results) connect(ctx context.Context) error {
	query := url.Values{"after": {strconv.Itoa(r.options.After)}}
	if r.options.NoFollow {
		query.Set("follow", "false")
	}
	response, err := r.client.send(ctx,
		call{method: http.MethodGet, path: []string{"batches", r.id, "results"}, query: query})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return errDone
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF // broken off within a line
		case err != nil:
			return err
		}
		if err := r.yieldLine(bytes.TrimSpace(line)); err != nil {
			return err
		}
	}
}

// yieldLine decodes one line and yields the result. Empty lines only keep the connection alive.
func (r *results) yieldLine(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	var result BatchResult
	if err := decode(line, &result); err != nil {
		return badResponse(err)
	}
	r.options.After++
	if !r.yield(result, nil) {
		return errDone
	}
	return nil
}
