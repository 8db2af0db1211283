package tenants

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tokenAttempts are attempts without acme's key, or with it in a place where it does not belong.
func tokenAttempts() []attempt {
	genuine := func(*testing.T) string { return world.acme.send(acmesJob()).text("job_id") }
	return []attempt{
		{name: "tokens/made_of_what_is_known", try: func(_ *testing.T, as *actor) string {
			return tryTokens(as, tokensOfKnown())
		}, control: func(*testing.T) string { return tryTokens(world.acme, []string{world.acme.key}) }},
		{name: "tokens/parts_of_a_key", try: func(_ *testing.T, as *actor) string {
			return tryTokens(as, tokensOfParts(world.acme.key))
		}, control: func(*testing.T) string { return tryTokens(world.acme, []string{world.acme.key}) }},
		{name: "tokens/other_schemes", try: trySchemes, control: genuine},
		{name: "tokens/in_other_places", try: tryPlaces, control: genuine},
		{name: "tokens/none", try: tryAnonymous, control: genuine},
		{name: "tokens/two_headers", try: tryTwoHeaders, control: genuine},
		{name: "tokens/same_refusal_for_each", try: tryRefusals, control: func(*testing.T) string {
			got := world.acme.send(acmesJob())
			return masked(got, "")
		}},
	}
}

func acmesJob() request { return request{method: "GET", path: "/jobs/" + world.owned.ended} }

// tokensOfKnown are tokens made of what an attacker may know: ids, hashes, names, the attacker's own key.
func tokensOfKnown() []string {
	sum := sha256.Sum256([]byte(world.acme.key))
	of := sha256.Sum256(sum[:])
	return []string{
		"", " ", "acme", "operator", "Bearer", "null", "undefined", "*", world.acme.keyID,
		strings.ToUpper(world.acme.keyID),
		"cb_" + world.acme.keyID, "cb_", hex.EncodeToString(sum[:]), strings.ToUpper(hex.EncodeToString(sum[:])),
		base64.StdEncoding.EncodeToString(sum[:]), "cb_" + base64.RawURLEncoding.EncodeToString(sum[:]),
		"cb_" + hex.EncodeToString(sum[:])[:43], hex.EncodeToString(of[:]), world.mallory.key + ":acme",
		"acme:" + world.mallory.key, world.mallory.key + world.mallory.key, world.mallory.key + " " + world.acme.keyID,
		"acme." + world.mallory.key, strings.ToUpper(apiToken), apiToken[:len(apiToken)-1], apiToken + "x",
		"cellblock:{keys}:key:" + hex.EncodeToString(sum[:]), strings.Repeat("A", 8000),
	}
}

// tokensOfParts are nearly a key: cut, longer, in another case, with one bit changed.
func tokensOfParts(key string) []string {
	tokens := []string{
		strings.ToUpper(key), strings.ToLower(key), key[:len(key)-1], key + "A", key + "=",
		strings.TrimPrefix(key, "cb_"),
		"cb-" + key[3:], "CB_" + key[3:], "\ufeff" + key, `"` + key + `"`, key + ",", key + "%00", "cb_cb_" + key[3:],
		strings.NewReplacer("-", "+", "_", "/").Replace(key) + "=", key[:20], key[20:],
	}
	for _, i := range []int{3, 10, len(key) - 2} {
		changed := []byte(key)
		if changed[i] == 'A' {
			changed[i] = 'B'
		} else {
			changed[i] = 'A'
		}
		tokens = append(tokens, string(changed))
	}
	return tokens
}

// tryTokens reads acme's job with each token.
func tryTokens(as *actor, tokens []string) string {
	for _, token := range tokens {
		anyone := &actor{url: as.url, client: as.client}
		r := acmesJob()
		r.headers = []string{"Authorization", "Bearer " + token}
		if got := anyone.send(r); got.ok() {
			return fmt.Sprintf("%.80q: %s", token, got)
		}
	}
	return ""
}

// trySchemes sends acme's key by schemes that are not Bearer.
func trySchemes(_ *testing.T, as *actor) string {
	key, anyone := world.acme.key, &actor{url: as.url, client: as.client}
	for _, value := range []string{
		key, "Basic " + base64.StdEncoding.EncodeToString([]byte("acme:"+key)), "Basic " + key,
		"Basic " + base64.StdEncoding.EncodeToString([]byte(key+":")), "Token " + key, "Digest " + key, "Bearer:" + key,
		"Bearer=" + key, "ApiKey " + key, "Bearer\t" + key,
	} {
		r := acmesJob()
		r.headers = []string{"Authorization", value}
		if got := anyone.send(r); got.ok() {
			return fmt.Sprintf("%.60q: %s", value, got)
		}
	}
	return ""
}

// tryPlaces sends acme's key outside of the header: in URLs it would be in logs.
func tryPlaces(_ *testing.T, as *actor) string {
	key, anyone := world.acme.key, &actor{url: as.url, client: as.client}
	for _, query := range []string{"?key=", "?token=", "?api_key=", "?access_token=", "?authorization=Bearer%20"} {
		r := acmesJob()
		r.path += query + key
		if got := anyone.send(r); got.ok() {
			return query + ": " + got.String()
		}
	}
	for _, name := range []string{
		"X-Api-Key", "Cookie", "X-Authorization", "Proxy-Authorization", "X-Forwarded-Authorization", "Api-Token",
	} {
		r := acmesJob()
		r.headers = []string{name, "Bearer " + key}
		if got := anyone.send(r); got.ok() {
			return name + ": " + got.String()
		}
	}
	return ""
}

// tryAnonymous sends no key, also by paths that begin like those that need none.
func tryAnonymous(_ *testing.T, as *actor) string {
	p, anyone := world.owned, &actor{url: as.url, client: as.client, spy: true}
	for _, before := range []string{
		"", "/docs/..", "/docs/../.", "/docs/..%2f", "/docs/%2e%2e", "/healthz/..", "/healthz;", "//", "/./", "/%2f",
		"/docs%2f..",
		"/readyz/..%2f",
	} {
		for _, path := range []string{
			"/jobs", "/jobs/" + p.ended, "/jobs/" + p.ended + "/events", "/jobs/" + p.ended + "/files/" + fileName,
			"/batches/" + p.batch, "/files/" + p.file, "/usage", "/admin/keys", "/metrics", "/environments",
			"/activity", "/workers",
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "get", "GET ", "TRACE"} {
				if got := anyone.send(request{method: method, path: before + path}); got.ok() && got.body != "" {
					return method + " " + before + path + ": " + got.String()
				}
			}
		}
	}
	return anyone.leaks()
}

// tryTwoHeaders sends the own key beside what is to make it acme's.
func tryTwoHeaders(_ *testing.T, as *actor) string {
	for _, value := range []string{"Bearer " + world.acme.keyID, "Bearer acme", "Basic YWNtZTo=", "Bearer"} {
		r := acmesJob()
		r.headers = []string{"+Authorization", value}
		if got := as.send(r); got.ok() {
			return value + ": " + got.String()
		}
		r.headers = []string{"Authorization", value, "+Authorization", "Bearer " + as.key}
		if got := as.send(r); got.ok() {
			return value + " first: " + got.String()
		}
	}
	begin := "GET /jobs/" + world.owned.ended + " HTTP/1.1\r\n"
	for _, header := range []string{
		begin + "Authorization: Bearer " + world.mallory.key + "\x00acme\r\n",
		begin + "Authorization: Bearer " + world.mallory.key + "\r\n tenant: acme\r\n",
		"GET http://acme@localhost/jobs/" + world.owned.ended + " HTTP/1.1\r\n",
		"GET /jobs/" + world.owned.ended + " HTTP/1.0\r\n",
	} {
		if got := sendRaw(as, header, ""); got.ok() {
			return fmt.Sprintf("%q: %s", header, got)
		}
	}
	return ""
}

// tryRefusals compares the refusals of keys that never were, have expired and are revoked.
func tryRefusals(t *testing.T, as *actor) string {
	revoked, expired := mustKey(t, keySpec{Scopes: []string{"read"}}), mustKey(t, keySpec{
		Scopes: []string{"read"}, Expires: 1,
	})
	world.operator.send(request{method: "DELETE", path: "/admin/keys/" + revoked.KeyID})
	time.Sleep(1100 * time.Millisecond)
	var before string
	for _, key := range []string{"cb_" + strings.Repeat("A", 43), revoked.Key, expired.Key, "cb_x", apiToken + "x"} {
		got := (&actor{key: key, url: as.url, client: as.client}).send(acmesJob())
		if got.ok() || before != "" && masked(got, "") != before {
			return got.String()
		}
		before = masked(got, "")
	}
	return ""
}

// mustKey creates a key of acme's.
func mustKey(t *testing.T, spec keySpec) createdKey {
	t.Helper()
	spec.Tenant = first(spec.Tenant, "acme")
	key, err := createKey(spec)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// lifetimeAttempts use keys after their end. A control is that they could be used before.
func lifetimeAttempts() []attempt {
	const second = time.Second
	end := func(method, path, body string) func(*testing.T, string) {
		return func(t *testing.T, id string) {
			got := world.operator.send(request{method: method, path: path, body: body}.withID(id))
			if !got.ok() {
				t.Fatal(got)
			}
		}
	}
	kinds := []struct {
		name    string
		expires float64
		end     func(t *testing.T, id string)
	}{
		{"lifetimes/revoked", 0, end("DELETE", "/admin/keys/{id}", "")},
		{"lifetimes/rotated", 0, end("POST", "/admin/keys/{id}/rotate", `{"grace_seconds":0}`)},
		{"lifetimes/rotated_with_grace", 0, end("POST", "/admin/keys/{id}/rotate", `{"grace_seconds":1}`)},
		{"lifetimes/expired", 2, func(*testing.T, string) { time.Sleep(1500 * time.Millisecond) }},
	}
	var all []attempt
	for _, kind := range kinds {
		used := ""
		all = append(all, attempt{name: kind.name, try: func(t *testing.T, _ *actor) string {
			key := mustKey(t, keySpec{Scopes: []string{"read"}, Expires: kind.expires})
			used = useEverywhere(key.Key)
			kind.end(t, key.KeyID)
			wait := second
			if strings.HasSuffix(kind.name, "grace") {
				wait += second
			}
			// Used all the time, so that what a replica remembers is as young as it may be.
			for ended := time.Now(); time.Since(ended) < wait; time.Sleep(20 * time.Millisecond) {
				useEverywhere(key.Key)
			}
			for range 5 {
				if got := useEverywhere(key.Key); got != "" {
					return got
				}
			}
			return ""
		}, control: func(*testing.T) string { return used }})
	}
	return all
}

// useEverywhere reads acme's job at each replica, and returns what one of them sent.
func useEverywhere(key string) string {
	for _, url := range []string{world.URL, world.replica} {
		if got := (&actor{key: key, url: url, client: world.acme.client}).send(acmesJob()); got.ok() {
			return url + ": " + got.String()
		}
	}
	return ""
}
