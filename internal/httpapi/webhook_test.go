package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
)

// webhooks returns one webhook for each state.
func webhooks() map[string]jobs.Webhook {
	const url = "https://a.example/x?token=hunter2"
	return map[string]jobs.Webhook{
		"waiting": {URL: url, Status: jobs.WebhookWaiting},
		"pending": {
			URL: url, Status: jobs.WebhookPending, Attempts: 2, LastAttemptAt: created,
			NextAttemptAt: created.Add(time.Minute), ResponseStatus: 503, Error: "status",
		},
		"delivered": {
			URL: url, Status: jobs.WebhookDelivered, Attempts: 3, LastAttemptAt: created, ResponseStatus: 204,
		},
		"failed": {URL: url, Status: jobs.WebhookFailed, Attempts: 7, LastAttemptAt: created, Error: "timeout"},
	}
}

func TestJobsShowTheirWebhook(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	want := map[string]string{
		"waiting": `"callback":{"url":"https://a.example/x","status":"waiting","attempts":0,` +
			`"last_attempt_at":null,"next_attempt_at":null,"response_status":null,"error":null}`,
		"pending": `"callback":{"url":"https://a.example/x","status":"pending","attempts":2,` +
			`"last_attempt_at":"2026-01-02T02:04:05.678Z","next_attempt_at":"2026-01-02T02:05:05.678Z",` +
			`"response_status":503,"error":"status"}`,
		"delivered": `"callback":{"url":"https://a.example/x","status":"delivered","attempts":3,` +
			`"last_attempt_at":"2026-01-02T02:04:05.678Z","next_attempt_at":null,"response_status":204,"error":null}`,
		"failed": `"callback":{"url":"https://a.example/x","status":"failed","attempts":7,` +
			`"last_attempt_at":"2026-01-02T02:04:05.678Z","next_attempt_at":null,"response_status":null,` +
			`"error":"timeout"}`,
	}
	for name, webhook := range webhooks() {
		record := succeeded("1")
		record.Webhook = &webhook
		url := serve(t, newHandler(t, stubGet(record, nil)))
		got := send(t, http.MethodGet, url+"/jobs/"+jobID, "")
		c.check(t, http.MethodGet, url+"/jobs/"+jobID, "", got, true)
		if !strings.Contains(got.body, want[name]) {
			t.Errorf("%s: got %s", name, got.body)
		}
	}
}

// The message has the job exactly as GET returns it, and conforms to the contract.
func TestWebhookMessage(t *testing.T) {
	t.Parallel()
	schema := loadContract(t).doc.Components.Schemas["CallbackMessage"].Value
	exitCode := 3
	for name, record := range map[string]jobs.Record{
		"succeeded": succeeded(`{"b":3.0,"a":1180591620717411303424}`),
		"failed":    failed(jobs.Failure{Code: jobs.CodeExit, Message: "x", ExitCode: &exitCode}),
		"files": ended(jobs.Outcome{Files: []jobs.OutputFile{
			{Name: "a b.csv", Size: 1, MediaType: "text/csv", SHA256: strings.Repeat("0", 64)},
		}}),
	} {
		webhook := webhooks()["pending"]
		record.Webhook = &webhook
		h := newHandler(t, stubGet(record, nil))
		message, err := h.WebhookMessage(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		body := send(t, http.MethodGet, serve(t, h)+"/jobs/"+jobID, "").body
		want := `{"type":"job.ended","timestamp":"2026-01-02T02:04:06.678Z","data":` + strings.TrimSpace(body) + `}`
		if diff := cmp.Diff(want, string(message)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		var value any
		if err := json.Unmarshal(message, &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(value); err != nil {
			t.Errorf("%s is not what the contract says: %v", name, err)
		}
	}
}
