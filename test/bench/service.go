package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// service posts one script repeatedly, over one connection.
type service struct {
	url    string
	body   []byte
	client *http.Client
}

func newService(url, script string) *service {
	body, _ := json.Marshal(map[string]string{"script": script}) // a map of strings always encodes
	return &service{url: url + "/execute", body: body, client: &http.Client{Timeout: time.Minute}}
}

// call runs the script once and returns the time from request to response. Every response but success is an error.
func (s *service) call(ctx context.Context) (time.Duration, error) {
	took, status, answer, err := postJSON(ctx, s.client, s.url, s.body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("POST /execute: %d: %.500s", status, answer)
	}
	return took, err
}

// postJSON posts a body and returns the time from request to response, and the response's status and body.
func postJSON(
	ctx context.Context, client *http.Client, url string, body []byte,
) (took time.Duration, status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return time.Since(began), response.StatusCode, answer, err
}
