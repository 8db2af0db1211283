package tenants

import (
	"strings"
	"testing"
	"time"
)

func idAttempts() (all []attempt) {
	for name, r := range map[string]request{
		"ids/get_job":      {method: "GET", path: "/jobs/{id}"},
		"ids/wait_for_job": {method: "GET", path: "/jobs/{id}?wait=2"},
		"ids/inline_files": {method: "GET", path: "/jobs/{id}?inline_files=true"},
		"ids/head_job":     {method: "HEAD", path: "/jobs/{id}"},
		"ids/head_events":  {method: "HEAD", path: "/jobs/{id}/events"},
	} {
		all = append(all, attempt{name: name, try: func(_ *testing.T, as *actor) string {
			p := world.owned
			return as.compareAll(r, p.ended, p.running, p.queued, p.large, p.cell, p.batchJob)
		}})
	}
	events := request{method: "GET", path: "/jobs/{id}/events"}
	resumed := func(position string) request {
		return request{method: "GET", path: events.path, headers: []string{"Last-Event-ID", position}}
	}
	return append(all,
		attempt{name: "ids/refused_for_other_reasons", try: tryRefused, control: func(*testing.T) string {
			return world.acme.compareAll(request{method: "GET", path: "/jobs/{id}"}, world.owned.ended)
		}},
		attempt{name: "ids/events", try: func(_ *testing.T, as *actor) string {
			return as.compareAll(events, world.owned.ended, world.owned.running)
		}},
		attempt{name: "ids/events_from_the_middle", try: func(_ *testing.T, as *actor) string {
			return as.compareAll(resumed("2-5-0"), world.owned.ended, world.owned.running)
		}},
		attempt{name: "ids/events_after_the_end", try: func(_ *testing.T, as *actor) string {
			return as.compareAll(resumed("3-1000-0"), world.owned.ended)
		}},
		attempt{name: "ids/events_beside_a_watcher", try: tryBesideWatcher},
		attempt{name: "ids/spelled_otherwise", try: trySpellings},
		attempt{name: "ids/cancel_job", try: tryCancel},
	)
}

// tryRefused sends requests that are refused from every sender: the refusal must not depend on the id.
func tryRefused(_ *testing.T, as *actor) string {
	return first(as.compareAll(request{method: "POST", path: "/jobs/{id}/events"}, world.owned.ended),
		as.compareAll(request{method: "GET", path: "/jobs/{id}?customer=acme"}, world.owned.ended),
		as.compareAll(request{method: "GET", path: "/jobs/{id}/events", headers: []string{"Last-Event-ID", "x"}},
			world.owned.ended),
		as.compareAll(request{method: "GET", path: "/jobs/{id}?wait=x"}, world.owned.ended))
}

// tryBesideWatcher watches a job that its owner watches at the same replica: feeds are shared.
func tryBesideWatcher(t *testing.T, as *actor) string {
	watching := make(chan struct{})
	defer func() { <-watching }()
	go func() {
		defer close(watching)
		world.acme.send(request{method: "GET", path: "/jobs/" + world.owned.running + "/events"})
	}()
	return as.compareAll(request{method: "GET", path: "/jobs/{id}/events"}, world.owned.running)
}

// trySpellings writes ids in other forms.
func trySpellings(_ *testing.T, as *actor) string {
	for _, path := range []string{
		"/jobs/urn:uuid:{id}", "/jobs/%7B{id}%7D", "/jobs/{id}/", "//jobs/{id}",
		"/jobs//{id}", "/jobs/{id}%20", "/jobs/%20{id}", "/jobs/{id}%00", "/jobs/./{id}", "/jobs/x/../{id}",
		"/docs/../jobs/{id}", "/docs/..%2fjobs/{id}", "/healthz/../jobs/{id}", "/jobs/{id}?", "/jobs/{id}#x",
		"/%6aobs/{id}", "/jobs/{id};a=b",
	} {
		if got := as.compareAll(request{method: "GET", path: path}, world.owned.ended); got != "" {
			return got
		}
	}
	spelled := func(of string) request { return request{method: "GET", path: "/jobs/" + strings.ToUpper(of)} }
	one, other := as.send(spelled(world.owned.ended)), as.send(spelled(unlike(world.owned.ended)))
	if one.status != other.status {
		return one.String()
	}
	return ""
}

// tryCancel cancels jobs of each state.
func tryCancel(t *testing.T, as *actor) string {
	running := makeJob(t, job(map[string]any{"script": sleepScript, "async": true}), "running")
	queued := makeJob(t, waitingBody, "queued")
	cancel := request{method: "DELETE", path: "/jobs/{id}"}
	got := as.compareAll(cancel, queued, running, world.owned.ended)
	for _, id := range []string{queued, running} {
		if state := stateOf(id); got == "" && state == "cancelled" {
			got = "the job was cancelled"
		}
	}
	world.acme.send(cancel.withID(running))
	world.acme.send(cancel.withID(queued))
	return got
}

// makeJob makes a job of acme's, and waits for its state.
func makeJob(t *testing.T, body, state string) (id string) {
	t.Helper()
	got := world.acme.send(request{method: "POST", path: "/execute", body: body})
	id = got.text("job_id")
	if id == "" {
		t.Fatal(got)
	}
	if err := awaitState(t.Context(), id, state); err != nil {
		t.Fatal(err)
	}
	return id
}

// stateOf returns the state of a job of acme's. A command that was sent to its worker has taken effect by then.
func stateOf(id string) string {
	time.Sleep(100 * time.Millisecond)
	return world.acme.send(request{method: "GET", path: "/jobs/" + id}).text("status")
}

func batchAttempts() (all []attempt) {
	for name, r := range map[string]request{
		"batches/get":               {method: "GET", path: "/batches/{id}"},
		"batches/wait":              {method: "GET", path: "/batches/{id}?wait=2"},
		"batches/head":              {method: "HEAD", path: "/batches/{id}"},
		"batches/results_so_far":    {method: "GET", path: "/batches/{id}/results?follow=false"},
		"batches/head_results":      {method: "HEAD", path: "/batches/{id}/results"},
		"batches/results_from_last": {method: "GET", path: "/batches/{id}/results?after=1&follow=false"},
	} {
		all = append(all, attempt{name: name, try: func(_ *testing.T, as *actor) string {
			return as.compareAll(r, world.owned.batch, world.owned.open)
		}})
	}
	return append(all,
		attempt{name: "batches/follow_results", try: func(_ *testing.T, as *actor) string {
			r := request{method: "GET", path: "/batches/{id}/results"}
			if as != world.acme { // for whom this one has no end
				return as.compareAll(r, world.owned.batch, world.owned.open)
			}
			return as.compareAll(r, world.owned.batch)
		}},
		attempt{name: "batches/cancel", try: tryCancelBatch})
}

func tryCancelBatch(t *testing.T, as *actor) string {
	made := world.acme.send(request{method: "POST", path: "/batches", body: waitingBody, headers: ndjson})
	id := made.text("batch_id")
	if id == "" {
		t.Fatal(made)
	}
	got := as.compareAll(request{method: "DELETE", path: "/batches/{id}"}, id)
	after := world.acme.send(request{method: "GET", path: "/batches/" + id})
	if got == "" && after.text("status") != "running" {
		got = after.String()
	}
	world.acme.send(request{method: "DELETE", path: "/batches/" + id})
	return got
}
