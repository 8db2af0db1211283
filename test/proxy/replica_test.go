package proxy

import (
	"fmt"
	"sync"
	"testing"

	"cellblock/client"
)

// TestKilledReplica kills one of the replicas while requests go on. A request with an Idempotency-Key is repeated at
// the other one, so its client notices nothing; one without is not repeated, so it never runs twice. It comes before
// the parallel tests, whose requests may have no key.
func TestKilledReplica(t *testing.T) {
	const clients, each = 8, 12
	c := proxy.client("127.0.0.8")
	started := make(chan struct{}, clients*each)
	var mu sync.Mutex
	failures := map[string]int{}
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d-%d", n, i)
				body := script("import time\ndef main():\n    time.sleep(0.05)\n    return 1",
					`"labels":{"request":"`+name+`"}`)
				header := []string{"Idempotency-Key", "replica-" + name}
				if keyless := n%2 == 1; keyless {
					header = nil
				}
				started <- struct{}{}
				if got := send(t, c, "POST", "/execute", body, header...); got.status != 200 {
					mu.Lock()
					failures[name] = got.status
					mu.Unlock()
					if header != nil || got.status != 502 {
						t.Errorf("%s: %d %s", name, got.status, got.body)
					}
				}
			}
		})
	}
	for range clients * each / 3 {
		<-started
	}
	service.API.Kill()
	wg.Wait()
	if err := service.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests without a key were answered 502", len(failures))
	for name, jobs := range jobsByRequest(t) {
		if jobs > 1 {
			t.Errorf("the request %s ran %d times", name, jobs)
		}
	}
}

// jobsByRequest counts the jobs that each request created, by its label.
func jobsByRequest(t *testing.T) map[string]int {
	t.Helper()
	c, err := client.New(service.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	jobs := map[string]int{}
	for job, err := range c.List(t.Context(), client.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if name := job.Labels["request"]; name != "" {
			jobs[name]++
		}
	}
	if len(jobs) == 0 {
		t.Error("the list has no job of a request")
	}
	return jobs
}
