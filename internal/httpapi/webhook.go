package httpapi

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// WebhookMessage encodes the message about a job's end: the job as in GET /jobs/{id}, with the message's type and
// time.
func (h *Handler) WebhookMessage(ctx context.Context, record jobs.Record) ([]byte, error) {
	message, err := json.Marshal(api.CallbackMessage{
		Type:      "job.ended",
		Timestamp: timestamp(record.FinishedAt),
		Data:      jobBody(record, h.filesBody(ctx, record, nil)),
	}, encoding)
	if err != nil {
		return nil, fmt.Errorf("encode the message about job %s: %w", record.ID, err)
	}
	return message, nil
}

func webhookBody(c *jobs.Webhook) *api.Callback {
	if c == nil {
		return nil
	}
	body := &api.Callback{
		URL:           c.ShownURL(),
		Status:        string(c.Status),
		Attempts:      c.Attempts,
		LastAttemptAt: timestampOrNull(c.LastAttemptAt),
		NextAttemptAt: timestampOrNull(c.NextAttemptAt),
	}
	if c.ResponseStatus != 0 {
		body.ResponseStatus = &c.ResponseStatus
	}
	if c.Error != "" {
		body.Error = &c.Error
	}
	return body
}
