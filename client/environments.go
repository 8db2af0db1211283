package client

import (
	"context"
	"net/http"

	"cellblock/api"
)

// Environments returns the environments that scripts can run in, the default first.
func (c *Client) Environments(ctx context.Context) ([]Environment, error) {
	var list api.EnvironmentList
	if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"environments"}}, &list); err != nil {
		return nil, err
	}
	return list.Environments, nil
}
