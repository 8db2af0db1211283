package tenants

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// limitAttempts exhaust what tenants share, or evade a tenant's limits. The control of the first is that the attacker
// itself has come to the bound.
func limitAttempts() []attempt {
	return []attempt{
		exhaust("limits/open_jobs", fillQueue(func(as *actor) answer {
			return as.send(request{method: "POST", path: "/execute", body: waitingBody})
		})),
		exhaust("limits/batches", fillQueue(func(as *actor) answer {
			return as.send(request{
				method: "POST", path: "/batches", body: strings.Repeat(waitingBody+"\n", 5), headers: ndjson,
			})
		})),
		exhaust("limits/stored_files", fillFiles),
		exhaust("limits/connections", holdConnections),
		exhaust("limits/bodies_of_mcp", holdBodies),
		{name: "limits/more_open_jobs", try: func(t *testing.T, _ *actor) string {
			return tryMoreOpen(t, map[string]any{"open_jobs": 3})
		}, control: func(t *testing.T) string { return tryMoreOpen(t, nil) }},
		{name: "limits/more_requests", try: func(t *testing.T, _ *actor) string {
			return tryMoreRequests(t, map[string]any{"requests_per_second": 2, "burst": 5})
		}, control: func(t *testing.T) string { return tryMoreRequests(t, nil) }},
	}
}

// exhaust returns an attempt whose function returns how acme was refused, and how the attacker was.
func exhaust(name string, try func(t *testing.T, attacker, victim *actor) (victims, own string)) attempt {
	var own string
	return attempt{name: name, try: func(t *testing.T, as *actor) (got string) {
		attacker, victim := as.at(world.replica), world.acme.at(world.replica)
		attacker.client, victim.client = newClient("127.0.0.2"), newClient("127.0.0.1")
		got, own = try(t, attacker, victim)
		return got
	}, control: func(t *testing.T) string {
		t.Log("the attacker:", own)
		return own
	}}
}

// cancelAll ends what an actor has open.
func cancelAll(as *actor) {
	for range 5 {
		page := as.send(request{method: "GET", path: "/jobs?status=queued&limit=200"})
		listed, _ := page.object()["jobs"].([]any)
		for _, each := range listed {
			fields, _ := each.(map[string]any)
			as.send(request{method: "DELETE", path: fmt.Sprint("/jobs/", fields["job_id"])})
		}
		if len(listed) == 0 {
			return
		}
	}
}

// fillQueue submits until a submission is refused. acme then submits a job and a batch.
func fillQueue(submit func(*actor) answer) func(*testing.T, *actor, *actor) (string, string) {
	return func(_ *testing.T, attacker, victim *actor) (victims, own string) {
		defer cancelAll(attacker)
		for range 200 {
			if got := submit(attacker); !got.ok() {
				own = got.String()
				break
			}
		}
		for range 2 {
			got := victim.send(request{method: "POST", path: "/execute", body: waitingBody})
			if !got.ok() {
				return got.String(), own
			}
			victim.send(request{method: "DELETE", path: "/jobs/" + got.text("job_id")})
		}
		return "", own
	}
}

// fillFiles uploads until an upload is refused.
func fillFiles(_ *testing.T, attacker, victim *actor) (victims, own string) {
	var ids []string
	defer func() {
		for _, id := range ids {
			attacker.send(request{method: "DELETE", path: "/files/" + id})
		}
	}()
	content := strings.Repeat("x", 512<<10)
	for range 40 {
		got := attacker.send(request{method: "POST", path: "/files", body: content})
		if !got.ok() {
			own = got.String()
			break
		}
		ids = append(ids, got.text("file_id"))
	}
	got := victim.send(request{method: "POST", path: "/files", body: content})
	if !got.ok() {
		return got.String(), own
	}
	victim.send(request{method: "DELETE", path: "/files/" + got.text("file_id")})
	return "", own
}

// holdConnections watches a job over more connections than the replica has.
func holdConnections(t *testing.T, attacker, victim *actor) (victims, own string) {
	made := attacker.send(request{method: "POST", path: "/execute", body: waitingBody})
	path := "/jobs/" + made.text("job_id")
	defer world.mallory.send(request{method: "DELETE", path: path})
	held := make([]net.Conn, 0, 100)
	defer func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	for range cap(held) {
		conn := dialFrom(t, "127.0.0.2", attacker.url)
		held = append(held, conn)
		_, _ = fmt.Fprintf(conn, "GET %s/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", path,
			attacker.key)
	}
	for i := range 10 {
		got := victim.send(request{method: "GET", path: "/jobs?limit=1"})
		if !got.ok() || got.took > 3*time.Second {
			return fmt.Sprintf("request %d after %s: %s", i, got.took, got), own
		}
	}
	attacker.client = newClient("127.0.0.2")
	if got := attacker.send(request{method: "GET", path: "/jobs?limit=1"}); !got.ok() {
		own = got.String()
	}
	return "", own
}

// dialFrom opens a connection from an address on loopback.
func dialFrom(t *testing.T, from, url string) net.Conn {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// holdBodies begins bodies of POST /mcp and does not end them.
func holdBodies(t *testing.T, attacker, victim *actor) (victims, own string) {
	attacker, victim = attacker.at(world.URL), victim.at(world.URL) // where connections come to no bound
	call := tool("get_job", job(map[string]any{"job_id": world.owned.ended, "padding": strings.Repeat(" ", 200<<10)}))
	held := make([]net.Conn, 0, 28)
	defer func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	for range cap(held) {
		conn := dialFrom(t, "127.0.0.2", attacker.url)
		held = append(held, conn)
		_, _ = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"+
			"Content-Length: %d\r\n\r\n{", attacker.key, 8<<20)
	}
	time.Sleep(200 * time.Millisecond) // until the bodies hold their memory
	got := victim.send(call)
	if got.status != 200 || got.took > 3*time.Second {
		return fmt.Sprintf("after %s: %s", got.took, got), own
	}
	if got := attacker.send(call); got.status != 200 || got.took > 500*time.Millisecond {
		own = fmt.Sprintf("after %s: %s", got.took, got)
	}
	return "", own
}

// tryMoreOpen opens more jobs than a tenant may have: by several keys, in batches, and by requests that wait and are
// repeated. It returns how many were open if these were more than three.
func tryMoreOpen(t *testing.T, limits map[string]any) string {
	name := "greedy"
	if limits == nil {
		name = "modest"
	}
	spec := keySpec{Tenant: name, Scopes: []string{"run", "read", "cancel"}, Limits: limits}
	one, two := newActor(name, mustKey(t, spec).Key), newActor(name, mustKey(t, spec).Key)
	defer cancelAll(one)
	for i := range 3 {
		for _, as := range []*actor{one, two} {
			as.send(request{method: "POST", path: "/execute", body: waitingBody})
			as.send(request{
				method: "POST", path: "/batches", headers: ndjson, body: strings.Repeat(waitingBody+"\n", 2),
			})
			headers := withKey(fmt.Sprint("greedy-", i), "Prefer", "wait=0")
			sync := strings.Replace(waitingBody, `"async":true,`, "", 1)
			as.send(request{method: "POST", path: "/execute", body: sync, headers: headers})
			as.at(world.replica).send(request{method: "POST", path: "/execute", body: waitingBody})
		}
	}
	page := one.send(request{method: "GET", path: "/jobs?status=queued&limit=200"})
	listed, _ := page.object()["jobs"].([]any)
	if len(listed) > 3 {
		return fmt.Sprintf("%d open jobs", len(listed))
	}
	return ""
}

// tryMoreRequests sends requests with several keys of one tenant at two replicas, and returns how many were answered if
// these were more than the burst and what came in the time since.
func tryMoreRequests(t *testing.T, limits map[string]any) string {
	name := "hasty"
	if limits == nil {
		name = "slow"
	}
	var keys []*actor
	for range 4 {
		key := mustKey(t, keySpec{Tenant: name, Scopes: []string{"read"}, Limits: limits}).Key
		keys = append(keys, newActor(name, key), newActor(name, key).at(world.replica))
	}
	answered, began := 0, time.Now()
	for range 5 {
		for _, as := range keys {
			if as.send(request{method: "GET", path: "/jobs?limit=1"}).ok() {
				answered++
			}
		}
	}
	if most := 5 + 2*time.Since(began).Seconds() + 1; float64(answered) > most {
		return fmt.Sprintf("%d requests in %s", answered, time.Since(began))
	}
	return ""
}
