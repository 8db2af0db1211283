package stack

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// WebhookJob has the fields of a webhook's job that tests check.
type WebhookJob struct {
	JobID  string `json:"job_id"`
	Status string `json:"status"`
	Code   string `json:"code"`
}

// ServeWebhooks calls receive with each message that arrives at listener, and with an error if the signature or the
// JSON is invalid. receive writes the response; nothing is 200. The caller calls stop.
func ServeWebhooks(
	listener net.Listener, secret string,
	receive func(w http.ResponseWriter, r *http.Request, job WebhookJob, err error),
) (stop func() error, err error) {
	hook, err := webhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // its sender was killed
			}
			var message struct {
				Data WebhookJob `json:"data"`
			}
			if err = hook.Verify(body, r.Header); err == nil {
				err = json.Unmarshal(body, &message)
			}
			if err != nil {
				err = fmt.Errorf("%w: %.200s", err, body)
			}
			receive(w, r, message.Data, err)
		}),
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	return func() error {
		defer serving.Wait()
		return server.Close()
	}, nil
}
