package stack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Event is an event of a watched job.
type Event struct {
	Name, ID, Data string
	// At is when it was received.
	At time.Time
}

// Watch calls receive with the events of a job after the event with the id last, "" for all, until the response ends.
// It returns nil if the last event was `end`.
func Watch(ctx context.Context, client *http.Client, url, id, last string, receive func(Event)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/jobs/"+id+"/events", nil)
	if err != nil {
		return err
	}
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /jobs/%s/events: %s", id, response.Status)
	}
	return ReadEvents(response.Body, receive)
}

// ReadEvents calls receive with each event that it reads, up to `end`.
func ReadEvents(body io.Reader, receive func(Event)) error {
	var event Event
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event.Name = value
		case "id":
			event.ID = value
		case "data":
			event.Data += value
		case "":
			if event.Name == "" {
				continue // a comment, or retry
			}
			event.At = time.Now()
			receive(event)
			if event.Name == "end" {
				return nil
			}
			event = Event{}
		}
	}
	if lines.Err() != nil {
		return lines.Err()
	}
	return io.ErrUnexpectedEOF
}
