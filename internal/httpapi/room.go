package httpapi

import (
	"net/http"
	"time"

	"cellblock/internal/jobs"
)

const (
	// maxHeld limits the bytes of large bodies held at once, from before they are read until their
	// jobs are stored. There may be up to four copies of each: as received, decoded, and as sent to
	// Redis.
	maxHeld = 128 << 20
	// largeBody is the size in bytes from which a body counts.
	largeBody = 64 << 10
	// roomPatience is how long a body waits for memory. The rest of requestTimeout must suffice to
	// read it.
	roomPatience = 5 * time.Second
)

// room limits the memory that bodies use.
type room struct{ *jobs.Room }

func newRoom() room { return room{jobs.NewRoom(maxHeld, roomPatience)} }

// take blocks until there is memory for a request's body: its Content-Length, or most bytes if it
// has none. The caller calls release, once or more. It returns CodeUnavailable if there is no
// memory within roomPatience.
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
