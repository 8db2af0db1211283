package tenants

import (
	"bufio"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// monitor has the commands that Redis runs, those inside scripts included. The test calls stop.
type monitor struct {
	conn net.Conn
	done sync.WaitGroup

	mu    sync.Mutex
	lines []string
}

func startMonitor(t *testing.T) *monitor {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(world.RedisURL, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	m := &monitor{conn: conn}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatal(line, err)
	}
	m.done.Go(func() {
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			m.mu.Lock()
			m.lines = append(m.lines, line)
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		m.done.Wait()
	})
	return m
}

// stamp is what a line of MONITOR begins with: time, database and client.
var stamp = regexp.MustCompile(`^\+[0-9.]+ \[\d+ [^\]]*\] `)

// with returns the commands so far that have an id, without it.
func (m *monitor) with(id string) string {
	time.Sleep(50 * time.Millisecond) // until the last ones have arrived
	m.mu.Lock()
	defer m.mu.Unlock()
	var commands []string
	for _, line := range m.lines {
		if strings.Contains(line, id) {
			commands = append(commands, strings.ReplaceAll(stamp.ReplaceAllString(line, ""), id, "{id}"))
		}
	}
	m.lines = nil
	return strings.Join(commands, "")
}

// commandAttempts compare what Redis does for a foreign and for an unknown id: what is the same takes the same time.
// They are about jobs of their own, which nothing else reads.
func commandAttempts() (all []attempt) {
	onJob := map[string]request{
		"commands/get_job":       {method: "GET", path: "/jobs/{id}"},
		"commands/wait_for_job":  {method: "GET", path: "/jobs/{id}?wait=1"},
		"commands/head_job":      {method: "HEAD", path: "/jobs/{id}"},
		"commands/events":        {method: "GET", path: "/jobs/{id}/events"},
		"commands/job_file":      {method: "GET", path: "/jobs/{id}/files/" + fileName},
		"commands/reference":     referring(map[string]any{"job_id": "{id}", "name": fileName}),
		"commands/mcp_get_job":   tool("get_job", `{"job_id":"{id}"}`),
		"commands/mcp_read_file": tool("read_file", `{"job_id":"{id}","path":"@result"}`),
	}
	for name, r := range onJob {
		all = append(all, attempt{name: name, try: func(t *testing.T, as *actor) string {
			body := job(map[string]any{"script": script, "async": true})
			return compareCommands(t, as, r, makeJob(t, body, "succeeded"))
		}})
	}
	for name, r := range map[string]request{
		"commands/get_batch":     {method: "GET", path: "/batches/{id}"},
		"commands/batch_results": {method: "GET", path: "/batches/{id}/results"},
		"commands/cancel_batch":  {method: "DELETE", path: "/batches/{id}"},
	} {
		all = append(all, attempt{name: name, try: func(t *testing.T, as *actor) string {
			made := request{method: "POST", path: "/batches", body: batchBody, headers: ndjson}
			id := world.acme.send(made).text("batch_id")
			world.acme.send(request{method: "GET", path: "/batches/" + id + "?wait=20"})
			return compareCommands(t, as, r, id)
		}})
	}
	// Those of an ended job end where those of an unknown one do.
	for name, r := range map[string]request{
		"commands/cancel":          {method: "DELETE", path: "/jobs/{id}"},
		"commands/mcp_cancel_task": task("tasks/cancel"),
	} {
		all = append(all, attempt{name: name, try: func(t *testing.T, as *actor) string {
			id := makeJob(t, waitingBody, "queued")
			defer world.acme.send(request{method: "DELETE", path: "/jobs/" + id})
			return compareCommands(t, as, r, id)
		}})
	}
	return append(all, attempt{name: "commands/delete_file", try: func(t *testing.T, as *actor) string {
		made := request{method: "POST", path: "/files", body: secret}
		id := world.acme.send(made).text("file_id")
		return compareCommands(t, as, request{method: "DELETE", path: "/files/{id}"}, id)
	}})
}

// compareCommands returns in what the commands of Redis differ.
func compareCommands(t *testing.T, as *actor, r request, id string) string {
	if id == "" {
		t.Fatal("nothing was made")
	}
	m := startMonitor(t)
	unknown := unlike(id)
	as.send(r.withID(unknown))
	want := m.with(unknown)
	as.send(r.withID(id))
	if got := m.with(id); got != want {
		return "for an unknown id:\n" + want + "for the foreign id:\n" + got
	}
	return ""
}
