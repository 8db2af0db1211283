package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// webhookSecret signs the webhooks.
const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver accepts webhooks. Now and then it responds with an error, so that they are sent again.
type receiver struct {
	url     string
	server  *http.Server
	serving sync.WaitGroup

	mu sync.Mutex
	// told maps jobs whose webhook was accepted to their codes, "" for success.
	told map[string]string
	// forged counts messages that are not signed, or malformed.
	forged int
	count  int
}

// refuseEach is the number of valid messages of which one is refused.
const refuseEach = 10

// startReceiver listens on a port of 127.0.0.1. close ends it.
func startReceiver() (*receiver, error) {
	hook, err := webhooks.NewWebhook(webhookSecret)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String(), told: map[string]string{}}
	r.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			body, err := io.ReadAll(request.Body)
			if err != nil {
				return // its sender was killed
			}
			w.WriteHeader(r.take(hook, body, request.Header))
		}),
	}
	r.serving.Go(func() { _ = r.server.Serve(listener) })
	return r, nil
}

func (r *receiver) close() error {
	err := r.server.Close()
	r.serving.Wait()
	return err
}

// take records a message and returns the status of the response.
func (r *receiver) take(hook *webhooks.Webhook, body []byte, header http.Header) int {
	var message struct {
		Data answer `json:"data"`
	}
	err := hook.Verify(body, header)
	if err == nil {
		err = json.Unmarshal(body, &message)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	switch {
	case err != nil:
		r.forged++
		fmt.Printf("a webhook cannot be taken: %v: %.200s\n", err, body)
		return http.StatusBadRequest
	case r.count%refuseEach == 0:
		return http.StatusServiceUnavailable
	}
	r.told[message.Data.JobID] = message.Data.Code
	return http.StatusNoContent
}

func (r *receiver) forgeries() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.forged
}

// awaitWebhook waits for the webhook of a job that has ended.
func (j *job) awaitWebhook(ctx context.Context, r *receiver) {
	deadline := time.Now().Add(patience)
	for ; time.Now().Before(deadline) && ctx.Err() == nil; pause(ctx, 20*time.Millisecond) {
		r.mu.Lock()
		code, told := r.told[j.id]
		r.mu.Unlock()
		if told {
			if code != j.code {
				j.wrong = fmt.Sprintf("its webhook says %q, its record %q", code, j.code)
			}
			return
		}
	}
	j.wrong = "its webhook does not come"
}
