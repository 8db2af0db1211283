package httpapi

import (
	"net/http"
	"testing"

	"cellblock/internal/jobs"
)

// A large result for which there is no room is there to be read later.
func TestAResultWithoutRoomIsReadLater(t *testing.T) {
	t.Parallel()
	noRoom := &jobs.Error{Code: jobs.CodeUnavailable, Message: "x", Cause: jobs.ErrNoRoom}
	s := executing(jobs.Record{ID: jobID, State: jobs.StateSucceeded}, noRoom)
	got := send(t, http.MethodPost, serve(t, testHandler(t, s))+"/execute", `{"script":"def main(): pass"}`, "Content-Type", "application/json")
	if got.status != http.StatusAccepted || got.header.Get("Location") != "/jobs/"+jobID {
		t.Errorf("got %+v", got)
	}
}
