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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(s.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	took := time.Since(began)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST /execute: %s: %.500s", response.Status, answer)
	}
	return took, err
}
