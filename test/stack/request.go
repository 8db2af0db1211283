package stack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
)

// DoJSON sends one request, with an idempotency key unless key is "", and decodes the JSON of the response into answer.
// It returns the HTTP status; 0 if there was no complete response, and then answer is invalid.
func DoJSON(ctx context.Context, client *http.Client, method, url string, body []byte, key string, answer any) int {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || json.Unmarshal(content, answer) != nil {
		return 0
	}
	return response.StatusCode
}

// StopAll stops the stacks that are not nil.
func StopAll(stacks ...*Stack) error {
	var errs []error
	for _, s := range stacks {
		if s != nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(errs...)
}
