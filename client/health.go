package client

import (
	"context"
	"io"
	"net/http"
)

// Health returns nil if the API is alive.
func (c *Client) Health(ctx context.Context) error {
	_, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"healthz"}}, new(struct{}))
	return err
}

// Ready returns the number of workers. It fails if the service cannot accept jobs.
func (c *Client) Ready(ctx context.Context) (*Ready, error) {
	var ready Ready
	if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"readyz"}}, &ready); err != nil {
		return nil, err
	}
	return &ready, nil
}

// Metrics opens the API's metrics in the Prometheus text format. The caller closes them.
func (c *Client) Metrics(ctx context.Context) (io.ReadCloser, error) {
	response, err := c.stream(ctx, call{method: http.MethodGet, path: []string{"metrics"}})
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}
