package client

import (
	"context"
	"io"
	"net/http"
)

// Health asks whether the API lives.
func (c *Client) Health(ctx context.Context) error {
	_, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"healthz"}}, new(struct{}))
	return err
}

// Ready asks whether jobs can be accepted, and how many workers there are.
func (c *Client) Ready(ctx context.Context) (*Ready, error) {
	var ready Ready
	if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"readyz"}}, &ready); err != nil {
		return nil, err
	}
	return &ready, nil
}

// Metrics opens the API's metrics in Prometheus's text format. The caller closes
// them.
func (c *Client) Metrics(ctx context.Context) (io.ReadCloser, error) {
	response, err := c.stream(ctx, call{method: http.MethodGet, path: []string{"metrics"}})
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}
