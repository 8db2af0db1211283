package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// WebhookSecrets are the signing secrets of tenants.
type WebhookSecrets interface {
	// TenantSecrets returns the secrets of a tenant and their generation, the current one for 0. Errors:
	// CodeInvalidRequest for the operator, for what is no tenant's name, and for a generation out of range.
	TenantSecrets(tenant jobs.Tenant, generation int) (secrets []string, of int, err error)
}

// GetWebhookSecret handles GET /admin/tenants/{tenant}/webhook-secret.
func (h *Handler) GetWebhookSecret(
	w http.ResponseWriter, r *http.Request, tenant string, params api.GetWebhookSecretParams,
) {
	secret, err := h.webhookSecret(r.Context(), tenant, params.Generation)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.writeJSON(w, r, http.StatusOK, secret)
}

func (h *Handler) webhookSecret(
	ctx context.Context, tenant string, text *string,
) (secret api.WebhookSecret, err error) {
	switch {
	case !jobs.CallerOf(ctx).May(jobs.ScopeAdmin):
		return secret, jobs.Errorf(jobs.CodeNotFound, "there is no such tenant, or the key may not read its secret")
	case h.webhookSecrets == nil:
		return secret, jobs.Errorf(jobs.CodeNotFound, "no webhooks are signed here: CALLBACK_SECRET is not set")
	}
	generation := 0
	if text != nil {
		if generation, err = strconv.Atoi(*text); err != nil || generation == 0 {
			generation = -1 // out of range
		}
	}
	secret.Tenant = tenant
	secret.Secrets, secret.Generation, err = h.webhookSecrets.TenantSecrets(jobs.Tenant(tenant), generation)
	return secret, err
}

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
