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

// BatchOptions change how a batch is handed in.
type BatchOptions struct {
	// IdempotencyKey makes a batch that is handed in again the same batch, as
	// Request.IdempotencyKey does; "" is a new batch each time.
	IdempotencyKey string
}

// SubmitBatch hands in 1 to 1,000 jobs at once. Their IdempotencyKey and
// InlineFiles have no meaning here. A request that the service refuses is no
// error: Members says what became of each.
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

// SubmitLines is SubmitBatch for requests that are NDJSON already, a job a line.
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

// GetBatch reads a batch as it stands. Of the options, only Hold has a meaning.
func (c *Client) GetBatch(ctx context.Context, id string, options ...GetOption) (*Batch, error) {
	query := url.Values{}
	for _, option := range options {
		option(query)
	}
	return c.batch(ctx, call{method: http.MethodGet, path: []string{"batches", id}, query: query})
}

// CancelBatch cancels those jobs of a batch that have not ended. The batch may
// still be running when it returns, while some are being killed.
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

// BatchEnded tells whether each job of a batch has ended.
func BatchEnded(batch *Batch) bool { return batch.Status == "ended" }

// WaitBatch waits until each job of a batch has ended, well or not. If ctx ends
// first, the batch is as it was last seen, or nil.
func (c *Client) WaitBatch(ctx context.Context, id string) (*Batch, error) {
	var batch *Batch
	for {
		began := time.Now()
		now, err := c.patient().GetBatch(ctx, id, Hold(hold))
		if err != nil {
			return batch, err
		}
		batch = now
		if BatchEnded(batch) {
			return batch, nil
		}
		if err := paced(ctx, began); err != nil {
			return batch, err
		}
	}
}

// ResultsOptions say which results to read.
type ResultsOptions struct {
	// After is how many to leave out, those that came first.
	After int
	// NoFollow leaves out those of jobs that have not ended, instead of waiting.
	NoFollow bool
}

// BatchResults gives what the jobs of a batch gave, in the order in which they
// end. A connection that is lost is made again, and nothing is lost or comes
// twice. An error is the last that it gives; a job that failed is none.
func (c *Client) BatchResults(ctx context.Context, id string, options ResultsOptions) iter.Seq2[BatchResult, error] {
	return func(yield func(BatchResult, error) bool) {
		if err := c.follow(ctx, &results{client: c, id: id, yield: yield, options: options}); err != nil {
			yield(BatchResult{}, err)
		}
	}
}

// results is one BatchResults. Its options say what is still to be read.
type results struct {
	client  *Client
	id      string
	yield   func(BatchResult, error) bool
	options ResultsOptions
}

func (r *results) progress() any        { return r.options.After }
func (r *results) asked() time.Duration { return 0 }

// connect gives the lines of one connection, and why there are no more.
func (r *results) connect(ctx context.Context) error {
	query := url.Values{"after": {strconv.Itoa(r.options.After)}}
	if r.options.NoFollow {
		query.Set("follow", "false")
	}
	response, err := r.client.send(ctx, call{method: http.MethodGet, path: []string{"batches", r.id, "results"}, query: query})
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
		if err := r.give(bytes.TrimSpace(line)); err != nil {
			return err
		}
	}
}

// give hands one line to the caller. Empty ones only keep the connection.
func (r *results) give(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	var result BatchResult
	if err := decode(line, &result); err != nil {
		return badAnswer(err)
	}
	r.options.After++
	if !r.yield(result, nil) {
		return errDone
	}
	return nil
}
