package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"cellblock/test/stack"
)

// webhookSecret signs the webhooks.
const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver accepts webhooks. Now and then it responds with an error, so that they are sent again.
type receiver struct {
	url  string
	stop func() error

	mu sync.Mutex
	// codes maps jobs whose webhook was accepted to their codes, "" for success.
	codes map[string]string
	// invalid counts messages that are not signed, or malformed.
	invalid int
	count   int
}

// refuseEvery is the number of valid messages of which one is refused.
const refuseEvery = 10

// startReceiver listens on a port of 127.0.0.1. The caller calls stop.
func startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String(), codes: map[string]string{}}
	if r.stop, err = stack.ServeWebhooks(listener, webhookSecret, r.receive); err != nil {
		return nil, err
	}
	return r, nil
}

// receive records a message and writes the status of the response.
func (r *receiver) receive(w http.ResponseWriter, _ *http.Request, job stack.WebhookJob, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	switch {
	case err != nil:
		r.invalid++
		fmt.Printf("invalid webhook: %v\n", err)
		w.WriteHeader(http.StatusBadRequest)
	case r.count%refuseEvery == 0:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		r.codes[job.JobID] = job.Code
		w.WriteHeader(http.StatusNoContent)
	}
}

func (r *receiver) invalidMessages() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.invalid
}

// awaitWebhook waits for the webhook of a job that has ended.
func (j *job) awaitWebhook(ctx context.Context, r *receiver) {
	deadline := time.Now().Add(clientTimeout)
	for ; time.Now().Before(deadline) && ctx.Err() == nil; pause(ctx, 20*time.Millisecond) {
		r.mu.Lock()
		code, received := r.codes[j.id]
		r.mu.Unlock()
		if received {
			if code != j.code {
				j.problem = fmt.Sprintf("its webhook has %q, its record %q", code, j.code)
			}
			return
		}
	}
	j.problem = "its webhook does not come"
}
