package traces

import (
	"bufio"
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

// TestWithoutTheSetting: nothing is added to a record, and what a client sends of its trace travels on.
func TestWithoutTheSetting(t *testing.T) {
	t.Parallel()
	client := redisOf(t, untraced)
	body := script("def main(): return 1", `"async":true`)
	plain := send(t, untraced, "POST", "/execute", body)
	if trace, err := client.HGet(t.Context(), key(plain.JobID), "trace").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("the record of a job without a trace has %q, %v", trace, err)
	}
	caller := newParent()
	carried := send(t, untraced, "POST", "/execute", body, "traceparent", caller.header(true), "tracestate", "a=b,c=d")
	if trace := client.HGet(t.Context(), key(carried.JobID), "trace").Val(); trace != caller.header(true)+" a=b,c=d" {
		t.Errorf("the record has the trace %q", trace)
	}
	for _, id := range []string{plain.JobID, carried.JobID} {
		if got := send(t, untraced, "GET", "/jobs/"+id+"?wait=20", ""); !strings.Contains(got.Body, `"succeeded"`) {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	logs := untraced.Logs()
	if found, _ := spans.of(caller.trace); len(found) > 0 || strings.Contains(logs, "trace_id") ||
		strings.Contains(logs, "traces") {
		t.Errorf("got\n%s%s", describe(found), logs)
	}
}

// TestTracesNeedNoCommands: Redis runs the same commands for a job, with traces and without. A job that comes while the
// worker still ends another one needs fewer, so jobs are compared until two were alike.
func TestTracesNeedNoCommands(t *testing.T) {
	t.Parallel()
	var off, on map[string]int
	for range 10 {
		off, on = commandsOfJob(t, untraced), commandsOfJob(t, traced)
		if maps.Equal(off, on) && len(off) > 5 {
			return
		}
	}
	t.Errorf("without traces %v, with traces %v", off, on)
}

// TestOneSideOfATrace: the API exports and the worker does not, as one of an earlier version, and the other way round.
func TestOneSideOfATrace(t *testing.T) {
	t.Parallel()
	exporting := stack.Env{"OTEL_EXPORTER_OTLP_ENDPOINT": spans.URL, "OTEL_BSP_SCHEDULE_DELAY": "50"}
	for _, c := range []struct {
		name        string
		api, worker stack.Env
		want        map[string]int
		parentOf    string
	}{
		{"API", exporting, nil, map[string]int{"POST /execute": 1, "send jobs": 1}, "POST /execute"},
		{"worker", nil, exporting, map[string]int{"wait": 1, "process jobs": 1, "run": 1}, "process jobs"},
	} {
		settings := config(nil)
		maps.Copy(settings.API, c.api)
		maps.Copy(settings.Workers[0], c.worker)
		half := stack.StartFor(t, settings)
		client := newParent()
		got := send(t, half, "POST", "/execute", script("def main(): return 1"), "traceparent", client.header(true))
		if got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", c.name, got.Status, got.Body)
		}
		if s := one(t, spans.await(t, client.trace, c.want), c.parentOf); s.parent() != client.span {
			t.Errorf("%s: %s", c.name, describe([]span{s}))
		}
	}
}

// TestCollectorThatIsGone: jobs do not notice it, the log has a line and not one for each batch, and the end is not
// held up.
func TestCollectorThatIsGone(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	settings := config(stack.Env{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + listener.Addr().String(), "OTEL_BSP_SCHEDULE_DELAY": "10",
		"OTEL_BSP_MAX_QUEUE_SIZE": "16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
	})
	settings.API["OTEL_BSP_EXPORT_TIMEOUT"] = "200" // the worker's is 30 s, which its end does not wait for
	s := stack.StartFor(t, settings)
	const failure = "exporting traces failed"
	for range 10 {
		if got := send(t, s, "POST", "/execute", script("def main(): return 1")); got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	for deadline := time.Now().Add(stack.Scaled(20 * time.Second)); !strings.Contains(s.API.Log(), failure); {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s", failure, s.API.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n := strings.Count(s.API.Log(), failure); n != 1 {
		t.Errorf("%d lines of %q", n, failure)
	}
	for _, p := range []*stack.Process{s.Workers()[0], s.API} {
		start := time.Now()
		if err := p.Stop(); err != nil { // also checks the exit status
			t.Error(err)
		}
		if took := time.Since(start); took > stack.Scaled(8*time.Second) {
			t.Errorf("%s ended after %s", p.Name, took)
		}
	}
}

// TestSettingsThatCannotBeFollowed: the programs do not start, and name the setting.
func TestSettingsThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	settings := config(nil)
	settings.API["OTEL_EXPORTER_OTLP_ENDPOINT"] = "collector:4318"
	s, err := stack.Start(t.Context(), settings)
	if err == nil {
		_ = s.Stop()
	}
	if err == nil || !strings.Contains(err.Error(), "must be a URL such as http://collector:4318") {
		t.Errorf("got %v", err)
	}
}

func key(jobID string) string { return "cellblock:{" + jobID + "}:job" }

func redisOf(t *testing.T, of *stack.Stack) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Settings{URL: of.RedisURL}.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// command matches a line of MONITOR up to the name of the command: time, database, client or lua.
var command = regexp.MustCompile(`^\+[0-9.]+ \[\d+ (lua)?[^\]]*\] "(\w+)"`)

// commandsOfJob runs a job and counts the commands that name it, those inside scripts included, without heartbeats.
func commandsOfJob(t *testing.T, of *stack.Stack) map[string]int {
	t.Helper()
	run := func() answer { return send(t, of, "POST", "/execute", script("def main(): return 1")) }
	run() // scripts are cached, and connections open
	conn, err := net.Dial("unix", strings.TrimPrefix(of.RedisURL, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for scanner := bufio.NewScanner(conn); scanner.Scan() && ctx.Err() == nil; {
			lines <- scanner.Text()
		}
	}()
	id := run().JobID
	counts := map[string]int{}
	for quiet := time.After(500 * time.Millisecond); ; {
		select {
		case line := <-lines:
			found := command.FindStringSubmatch(line)
			if found == nil || !strings.Contains(line, id) || strings.Contains(line, "{cellblock:workers}") {
				continue
			}
			name := strings.TrimSpace(found[1] + " " + strings.ToUpper(found[2]))
			if name != "ZRANGEBYLEX" && name != "EXISTS" { // the reaper's sweep of the index, every few seconds
				counts[name]++
			}
		case <-quiet: // what follows a job's end comes within milliseconds
			return counts
		}
	}
}
