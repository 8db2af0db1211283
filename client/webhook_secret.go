package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// WebhookSecret returns the signing secret of a tenant's webhooks: of a generation, or the current one for 0. It is for
// administrators.
func (c *Client) WebhookSecret(ctx context.Context, tenant string, generation int) (*WebhookSecret, error) {
	get := call{method: http.MethodGet, path: []string{"admin", "tenants", tenant, "webhook-secret"}}
	if generation != 0 {
		get.query = url.Values{"generation": {strconv.Itoa(generation)}}
	}
	var secret WebhookSecret
	if _, err := c.fetch(ctx, get, &secret); err != nil {
		return nil, err
	}
	return &secret, nil
}
