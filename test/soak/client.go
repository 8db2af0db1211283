package main

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/test/stack"
)

// answer has the fields of a response that this program checks.
type answer struct {
	JobID  string         `json:"job_id"`
	Status string         `json:"status"`
	Code   string         `json:"code"`
	Result jsontext.Value `json:"result"`
}

var httpClient = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// request is the body that a client posts.
type request struct {
	Script     string `json:"script"`
	Async      bool   `json:"async"`
	WebhookURL string `json:"callback_url,omitempty"`
}

func execute(ctx context.Context, url, key string, r request) (int, answer) {
	body, err := json.Marshal(r)
	if err != nil {
		return 0, answer{}
	}
	return call(ctx, http.MethodPost, url+"/execute", body, key)
}

// call returns status 0 if there is no response.
func call(ctx context.Context, method, url string, body []byte, key string) (int, answer) {
	var a answer
	status := stack.DoJSON(ctx, httpClient, method, url, body, key, &a)
	if status == 0 {
		return 0, answer{}
	}
	return status, a
}
