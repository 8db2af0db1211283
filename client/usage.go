package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// UsageOptions select the usage to read.
type UsageOptions struct {
	// From and To are the first and the last day, of which only the date counts. A zero To means today in UTC, and a
	// zero From the six days before To and To itself. To is at most 91 days after From.
	From, To time.Time
	// Tenant is the tenant whose usage is read. "" means that of the token, or all for an administrator's.
	Tenant string
	// ByLabel splits days by the values of the label that the service's setting USAGE_LABEL names; a service without it
	// refuses that with CodeInvalidRequest.
	ByLabel bool
}

// Usage returns what jobs have used on each day of a range, in UTC.
func (c *Client) Usage(ctx context.Context, options UsageOptions) (*UsageReport, error) {
	query := url.Values{}
	for name, day := range map[string]time.Time{"from": options.From, "to": options.To} {
		if !day.IsZero() {
			query.Set(name, day.Format(time.DateOnly))
		}
	}
	if options.Tenant != "" {
		query.Set("tenant", options.Tenant)
	}
	if options.ByLabel {
		query.Set("by", "label")
	}
	var report UsageReport
	get := call{method: http.MethodGet, path: []string{"usage"}, query: query}
	if _, err := c.fetch(ctx, get, &report); err != nil {
		return nil, err
	}
	return &report, nil
}
