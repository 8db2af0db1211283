package httpapi

import (
	"net/http"
	"time"

	"cellblock/internal/jobs"
)

const (
	// maxHeld bounds the large bodies that are held at once, from before they are
	// read until their jobs are stored, in bytes. On their way they are there up
	// to four times: as they came, decoded, and as they go to Redis.
	maxHeld = 128 << 20
	// largeBody is from when on a body counts.
	largeBody = 64 << 10
	// roomPatience is how long a body waits for others to be gone. What is left of
	// requestTimeout must do for the reading.
	roomPatience = 5 * time.Second
)

// room is the memory that there is for bodies.
type room struct{ *jobs.Room }

func newRoom() room { return room{jobs.NewRoom(maxHeld, roomPatience)} }

// take waits until there is room for a request's body, of most bytes unless it
// says how long it is. Whoever took it calls release, once or more. CodeUnavailable.
func (m room) take(r *http.Request, most int64) (release func(), err *jobs.Error) {
	size := r.ContentLength
	if size < 0 || size > most {
		size = most
	}
	if size < largeBody {
		return func() {}, nil
	}
	release, ok := m.Take(r.Context(), size)
	if !ok {
		return nil, jobs.Errorf(jobs.CodeUnavailable, "too many large requests came at once")
	}
	return release, nil
}
