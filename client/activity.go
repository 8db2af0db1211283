package client

import (
	"context"
	"net/http"
	"net/url"

	"cellblock/api"
)

// Activity returns how many jobs wait and run now, and how many ended in each minute of the last hour: those of the
// tenant; "" means that of the token, or all together for an administrator's.
func (c *Client) Activity(ctx context.Context, tenant string) (*Activity, error) {
	query := url.Values{}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	var activity Activity
	get := call{method: http.MethodGet, path: []string{"activity"}, query: query}
	if _, err := c.fetch(ctx, get, &activity); err != nil {
		return nil, err
	}
	return &activity, nil
}

// Workers returns the live workers, ordered by host and id. It is for administrators.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	var list api.WorkerList
	if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"workers"}}, &list); err != nil {
		return nil, err
	}
	return list.Workers, nil
}
