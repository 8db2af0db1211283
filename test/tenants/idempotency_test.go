package tenants

import (
	"fmt"
	"sync/atomic"
	"testing"
)

func withKey(key string, headers ...string) []string {
	return append([]string{"Idempotency-Key", key}, headers...)
}

func idempotencyAttempts() []attempt {
	execute := func(body string, headers ...string) request {
		return request{method: "POST", path: "/execute", body: body, headers: withKey(idempotencyKey, headers...)}
	}
	other := job(map[string]any{"script": "def main():\n    return 1\n"})
	return []attempt{
		{name: "idempotency/same_request", try: asNewcomer(func(_ *testing.T, as *actor) string {
			return claimed(as.send(execute(endedBody())))
		})},
		{name: "idempotency/same_request_later", try: asNewcomer(func(_ *testing.T, as *actor) string {
			return claimed(as.send(execute(endedBody(), "Prefer", "respond-async")))
		})},
		{name: "idempotency/other_request", try: asNewcomer(func(_ *testing.T, as *actor) string {
			return claimed(as.send(execute(other)))
		}), control: func(*testing.T) string { return claimed(world.acme.send(execute(other))) }},
		{name: "idempotency/same_batch", try: asNewcomer(func(_ *testing.T, as *actor) string {
			return claimed(as.send(request{
				method: "POST", path: "/batches", body: batchBody, headers: withKey(idempotencyKey, ndjson...),
			}))
		})},
		{name: "idempotency/crafted_keys", try: asNewcomer(tryCraftedKeys), control: func(*testing.T) string {
			return claimed(world.acme.send(execute(endedBody())))
		}},
		{name: "idempotency/occupied", try: tryOccupy, control: func(*testing.T) string {
			return claimed(world.mallory.send(request{
				method: "POST", path: "/execute", body: waitingBody, headers: withKey("occupied"),
			}))
		}},
	}
}

// newcomers counts the tenants that attempts made.
var newcomers atomic.Int32

// asNewcomer makes an attempt of mallory's with the key of a tenant that has bound no idempotency key yet.
func asNewcomer(try func(*testing.T, *actor) string) func(*testing.T, *actor) string {
	return func(t *testing.T, as *actor) string {
		if as == world.acme {
			return try(t, as)
		}
		name := fmt.Sprint("mallory-", newcomers.Add(1))
		key := mustKey(t, keySpec{Tenant: name, Scopes: []string{"run", "read", "cancel"}})
		other := newActor(name, key.Key)
		other.spy = true
		return first(try(t, other), other.leaks())
	}
}

// claimed returns the answer if it shows that its key is bound to something of acme's.
func claimed(got answer) string {
	for _, id := range world.owned.ids() {
		if got.text("job_id") == id || got.text("batch_id") == id {
			return got.String()
		}
	}
	if got.text("code") == "idempotency_mismatch" {
		return got.String()
	}
	return ""
}

// tryCraftedKeys sends keys that look like those that the service makes of acme's.
func tryCraftedKeys(_ *testing.T, as *actor) string {
	for _, key := range []string{
		"acme " + idempotencyKey, "tenant acme " + idempotencyKey, "tenant%00acme%00" + idempotencyKey,
		"acme:" + idempotencyKey, "acme/" + idempotencyKey, `"` + idempotencyKey + `"`, " " + idempotencyKey + " ",
	} {
		got := as.send(request{method: "POST", path: "/execute", body: endedBody(), headers: withKey(key)})
		if claims := claimed(got); claims != "" {
			return claims
		}
	}
	for _, key := range []string{"tenant\x00acme\x00" + idempotencyKey, "tenant\\x00acme\\x00" + idempotencyKey} {
		got := sendRaw(as, "POST /execute HTTP/1.1\r\nIdempotency-Key: "+key+"\r\nContent-Type: application/json\r\n",
			endedBody())
		if claims := claimed(got); claims != "" {
			return claims
		}
	}
	return ""
}

// tryOccupy binds a key before acme uses it.
func tryOccupy(t *testing.T, as *actor) string {
	body := job(map[string]any{"script": "def main():\n    return 2\n"})
	taken := as.send(request{method: "POST", path: "/execute", body: body, headers: withKey("occupied")})
	if !taken.ok() {
		t.Fatal(taken)
	}
	got := world.acme.send(request{method: "POST", path: "/execute", body: waitingBody, headers: withKey("occupied")})
	if !got.ok() || got.text("job_id") == taken.text("job_id") {
		return "acme: " + got.String()
	}
	return ""
}
