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

// webhookBody returns a job's webhook as responses encode it; nil if it has none.
func webhookBody(webhook *jobs.Webhook) *api.Callback {
	if webhook == nil {
		return nil
	}
	body := &api.Callback{
		URL:           webhook.ShownURL(),
		Status:        string(webhook.Status),
		Attempts:      webhook.Attempts,
		LastAttemptAt: timestampOrNull(webhook.LastAttemptAt),
		NextAttemptAt: timestampOrNull(webhook.NextAttemptAt),
	}
	if webhook.ResponseStatus != 0 {
		body.ResponseStatus = &webhook.ResponseStatus
	}
	if webhook.Error != "" {
		body.Error = &webhook.Error
	}
	return body
}
