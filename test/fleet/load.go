package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"
)

const (
	// requestTimeout is far above the time of any request.
	requestTimeout = time.Minute
	// requestsAtOnce bounds the requests under way at a fixed rate.
	requestsAtOnce = 1000
	// cancelledLength is how long a job runs that is cancelled: longer than it takes to cancel all.
	cancelledLength = 12 * time.Second
	// startBound is the time for the jobs that are cancelled to start.
	startBound = time.Second
)

// clients send requests to the API processes in turn.
type clients struct {
	urls []string
	http *http.Client
	next atomic.Int64
}

func newClients(urls []string) *clients {
	return &clients{urls: urls, http: &http.Client{
		Timeout: requestTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: requestsAtOnce},
	}}
}

// close closes the connections.
func (c *clients) close() { c.http.CloseIdleConnections() }

// run posts a job that runs for a time, and returns its id: of a synchronous job after its end.
func (c *clients) run(ctx context.Context, length time.Duration, async bool) (id string, err error) {
	body, err := json.Marshal(map[string]any{
		"script": "def main():\n    return 1\n" + sleepMark + length.String(), "async": async,
	})
	if err != nil {
		return "", err
	}
	want := http.StatusOK
	if async {
		want = http.StatusAccepted
	}
	answer, err := c.do(ctx, http.MethodPost, "/execute", body, want)
	var job struct {
		ID string `json:"job_id"`
	}
	if err == nil {
		err = json.Unmarshal(answer, &job)
	}
	return job.ID, err
}

// do sends one request and returns the response's body. Another status than the wanted one is an error.
func (c *clients) do(ctx context.Context, method, path string, body []byte, want int) ([]byte, error) {
	url := c.urls[c.next.Add(1)%int64(len(c.urls))] + path
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %.500s", method, path, response.Status, answer)
	}
	return answer, err
}

// offer posts jobs at a fixed rate for a time, every other one asynchronous, and returns their number once all have
// been answered. It falls behind only while requestsAtOnce are under way.
func (c *clients) offer(ctx context.Context, o options) (int, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	count := int(o.rate * o.measure.Seconds())
	began := time.Now()
	for i := range count {
		due := began.Add(time.Duration(float64(i) / o.rate * float64(time.Second)))
		if sleep(ctx, time.Until(due)) != nil {
			break
		}
		group.Go(func() error {
			if i%2 == 1 {
				_, err := c.run(ctx, o.long, true)
				return err
			}
			_, err := c.run(ctx, o.length, false)
			return err
		})
	}
	return count, group.Wait()
}

// saturate makes clients post one synchronous job after the other for a time, and returns the number of jobs.
func (c *clients) saturate(ctx context.Context, o options) (int, error) {
	var count atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	end := time.Now().Add(o.measure)
	for range o.clients {
		group.Go(func() error {
			for time.Now().Before(end) {
				if _, err := c.run(ctx, 0, false); err != nil {
					return err
				}
				count.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return int(count.Load()), err
}

// runLong starts n long jobs and returns their ids once they run.
func (c *clients) runLong(ctx context.Context, n int) ([]string, error) {
	ids := make([]string, n)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range ids {
		group.Go(func() (err error) {
			ids[i], err = c.run(groupCtx, cancelledLength, true)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return ids, sleep(ctx, startBound)
}

// cancel cancels running jobs.
func (c *clients) cancel(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if _, err := c.do(ctx, http.MethodDelete, "/jobs/"+id, nil, http.StatusAccepted); err != nil {
			return err
		}
	}
	return nil
}
