package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/test/stack"
)

// talker prints a line every 20 ms for six seconds.
const talker = "import time\ndef main():\n    for i in range(300):\n        print('line', i)\n" +
	"        time.sleep(0.02)\n"

// follower watches one job and reconnects whenever the stream breaks.
type follower struct {
	text, recorded string
	broken         int
	err            error
}

func (f *follower) run(ctx context.Context, self *owner, url, id string) {
	client := &http.Client{Transport: self.transport(&http.Transport{DisableKeepAlives: true})}
	last := ""
	for {
		err := stack.Watch(ctx, client, url, id, last, func(event stack.Event) {
			last = event.ID
			var data struct{ Text, Stdout string }
			if f.err = json.Unmarshal([]byte(event.Data), &data); f.err == nil {
				f.text += data.Text
				f.recorded = data.Stdout
			}
		})
		if err == nil || f.err != nil {
			return
		}
		if f.err = ctx.Err(); f.err != nil {
			return
		}
		f.broken++
		time.Sleep(20 * time.Millisecond)
	}
}

// restartUnder ends the API while jobs are watched, and starts it again.
func restartUnder(t *testing.T, end func(*stack.Process)) {
	t.Helper()
	const jobs, each = 4, 5
	b := startFixture(t, 1, nil)
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	var all sync.WaitGroup
	followers := make([]follower, jobs*each)
	for i := range jobs {
		status, a := call(ctx, http.MethodPost, b.URL+"/execute", fmt.Sprintf(`{"async":true,"script":%q}`, talker), "")
		if status != http.StatusAccepted {
			t.Fatalf("a job is not accepted: %d", status)
		}
		for j := range each {
			all.Go(func() { followers[i*each+j].run(ctx, b.owners[theOperator], b.URL, a.JobID) })
		}
	}
	for range 2 {
		time.Sleep(1500 * time.Millisecond) // jobs print something
		end(b.API)
		if err := b.RestartAPI(ctx); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	var want strings.Builder
	for i := range 300 {
		fmt.Fprintln(&want, "line", i)
	}
	for i, f := range followers {
		if f.err != nil || f.text != want.String() || f.recorded != want.String() {
			t.Errorf("follower %d: %v; it has %d bytes, the record %d, want %d", i, f.err, len(f.text),
				len(f.recorded), want.Len())
		}
		if f.broken < 2 {
			t.Errorf("follower %d lost its answer %d times", i, f.broken)
		}
	}
}

// No line is lost or repeated, however the API ends.
func TestAPIKilledUnderWatchers(t *testing.T) {
	restartUnder(t, func(api *stack.Process) { api.Kill() })
}

func TestAPIRestartedUnderWatchers(t *testing.T) {
	restartUnder(t, func(api *stack.Process) {
		if err := api.Stop(); err != nil {
			t.Error(err)
		}
	})
}
