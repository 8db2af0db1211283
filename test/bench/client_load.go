package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

const (
	loadWatchers    = 200
	loadWatchedJobs = 8
	loadWaiting     = 1000
	// loadRamp is the time between the arrivals of two waiting clients, so that all wait at the same time but do not
	// arrive at the same time.
	loadRamp = 3 * time.Millisecond
	// settleTimeout is how long the process may take to return to its resting state. Go runs the garbage collector two
	// minutes after the last collection at the latest.
	settleTimeout = 5 * time.Minute
	// heapTolerance is the growth of the heap that is ignored, in bytes.
	heapTolerance = 6 << 20
)

// clientLoad is the load of many watchers and many waiting clients on one API process.
type clientLoad struct {
	Watchers int `json:"watchers"`
	Waiting  int `json:"waiting"`
	// Before and After are at rest. Most has the maximum of each value under load.
	Before footprint `json:"before"`
	Most   footprint `json:"most"`
	After  footprint `json:"after"`
	// Seen is the time from a script's print until a watcher receives it.
	Seen summary `json:"print_to_watcher"`
	// Answered is how long the waiting clients waited.
	Answered summary `json:"answered"`
}

// footprint is the resource use of a process.
type footprint struct {
	Goroutines int `json:"goroutines"`
	Files      int `json:"open_files"`
	HeapBytes  int `json:"heap_bytes"`
	RSSBytes   int `json:"resident_bytes"`
	// Seconds is the time from the end of the load to this measurement.
	Seconds float64 `json:"seconds,omitzero"`
}

func (f footprint) maximum(other footprint) footprint {
	return footprint{
		Goroutines: max(f.Goroutines, other.Goroutines), Files: max(f.Files, other.Files),
		HeapBytes: max(f.HeapBytes, other.HeapBytes), RSSBytes: max(f.RSSBytes, other.RSSBytes),
	}
}

// measureClientLoad starts watchers of a few jobs that print for a long time, and clients that wait for short jobs,
// with too few slots. Every watcher must receive each print once, and every client must get a response.
func measureClientLoad(ctx context.Context, o options, programs stack.Programs) (_ *clientLoad, err error) {
	s, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{{
		"WORKER_CONCURRENCY": strconv.Itoa(2 * loadWatchedJobs), "PRELOAD": "", "NSJAIL": o.nsjail,
		"SANDBOX_PYTHON": o.python,
	}}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	// One connection for each request.
	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	c := &clientLoad{Watchers: loadWatchers, Waiting: loadWaiting}
	if err := pause(ctx, 2*time.Second); err != nil {
		return nil, err
	}
	if c.Before, err = readFootprint(ctx, client, s.URL); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx, client, s.URL) }()
	for gathered := false; !gathered; {
		select {
		case err := <-ended:
			if err != nil {
				return nil, err
			}
			gathered = true
		case <-time.After(200 * time.Millisecond):
			now, err := readFootprint(ctx, client, s.URL)
			if err != nil {
				return nil, errors.Join(err, <-ended)
			}
			c.Most = c.Most.maximum(now)
		}
	}
	c.After, err = awaitIdle(ctx, client, s.URL, c.Before)
	return c, err
}

// awaitIdle returns the footprint once the heap is nearly as before, or the last one after settleTimeout.
func awaitIdle(ctx context.Context, client *http.Client, url string, before footprint) (footprint, error) {
	for began := time.Now(); ; {
		f, err := readFootprint(ctx, client, url)
		if err != nil || f.HeapBytes < before.HeapBytes+heapTolerance || time.Since(began) > settleTimeout {
			f.Seconds = time.Since(began).Seconds()
			return f, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return f, err
		}
	}
}

// run starts all watchers and clients, and waits until they have ended.
func (c *clientLoad) run(ctx context.Context, client *http.Client, url string) error {
	var all sync.WaitGroup
	errs := make(chan error, loadWatchers+loadWaiting)
	seen := make([][]time.Duration, loadWatchers)
	const talker = "import time\ndef main():\n    for _ in range(100):\n        print(time.time())\n" +
		"        time.sleep(0.1)\n"
	for i := range loadWatchedJobs {
		id, err := submit(ctx, client, url, talker)
		if err != nil {
			return err
		}
		for j := range loadWatchers / loadWatchedJobs {
			watcher := &seen[i*loadWatchers/loadWatchedJobs+j]
			all.Go(func() {
				err := stack.Watch(ctx, client, url, id,
					"", func(event stack.Event) { *watcher = append(*watcher, delays(event)...) })
				if err == nil && len(*watcher) != 100 {
					err = fmt.Errorf("a watcher saw %d of 100 prints", len(*watcher))
				}
				errs <- err
			})
		}
	}
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	answered := make([]time.Duration, loadWaiting)
	for i := range loadWaiting {
		if err := pause(ctx, loadRamp); err != nil {
			return err
		}
		all.Go(func() {
			waiting := newService(url, "import time\ndef main(): time.sleep(0.06)")
			waiting.client = client
			var err error
			answered[i], err = waiting.call(ctx)
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	c.Seen, c.Answered = summarize(slices.Concat(seen...)), summarize(answered)
	return nil
}

// delays returns the delays of the prints in an event, from the times that they contain.
func delays(event stack.Event) []time.Duration {
	var data struct {
		Text string `json:"text"`
	}
	if event.Name != "stdout" || json.Unmarshal([]byte(event.Data), &data) != nil {
		return nil
	}
	var times []time.Duration
	for line := range strings.Lines(data.Text) {
		if seconds, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err == nil {
			times = append(times, event.At.Sub(time.UnixMicro(int64(seconds*1e6))))
		}
	}
	return times
}

func submit(ctx context.Context, client *http.Client, url, script string) (string, error) {
	body, err := json.Marshal(map[string]any{"script": script, "async": true})
	if err != nil {
		return "", err
	}
	var accepted struct {
		JobID string `json:"job_id"`
	}
	if status := stack.DoJSON(ctx, client, http.MethodPost, url+"/execute", body, "",
		&accepted); status != http.StatusAccepted {
		return "", fmt.Errorf("POST /execute: %d", status)
	}
	return accepted.JobID, nil
}

// readFootprint reads the API's own metrics.
func readFootprint(ctx context.Context, client *http.Client, url string) (footprint, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return footprint{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return footprint{}, err
	}
	defer response.Body.Close()
	values := map[string]int{}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			values[name] = int(value)
		}
	}
	f := footprint{
		Goroutines: values["go_goroutines"], Files: values["process_open_fds"],
		HeapBytes: values["go_memstats_heap_inuse_bytes"], RSSBytes: values["process_resident_memory_bytes"],
	}
	if f.Goroutines == 0 || f.RSSBytes == 0 {
		return f, errors.New("/metrics has no goroutines or no memory")
	}
	return f, nil
}
