package tenants

import (
	"strings"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func adminAttempts() (all []attempt) {
	for name, r := range map[string]request{
		"admin/list_keys":      {method: "GET", path: "/admin/keys"},
		"admin/list_own_keys":  {method: "GET", path: "/admin/keys?tenant=mallory"},
		"admin/create_key":     {method: "POST", path: "/admin/keys", body: `{"tenant":"acme","scopes":["read"]}`},
		"admin/create_own_key": {method: "POST", path: "/admin/keys", body: `{"tenant":"mallory","scopes":["run"]}`},
		"admin/revoke_key":     {method: "DELETE", path: "/admin/keys/{id}"},
		"admin/rotate_key":     {method: "POST", path: "/admin/keys/{id}/rotate", body: `{"grace_seconds":0}`},
		"admin/webhook_secret": {method: "GET", path: "/admin/tenants/acme/webhook-secret"},
		"admin/workers":        {method: "GET", path: "/workers"},
		"admin/own_secret":     {method: "GET", path: "/admin/tenants/mallory/webhook-secret"},
		"metrics/of_the_api":   {method: "GET", path: "/metrics"},
		"metrics/head":         {method: "HEAD", path: "/metrics"},
	} {
		all = append(all, attempt{name: name, try: func(t *testing.T, as *actor) string {
			return tryAsAdmin(t, as, r)
		}, control: func(t *testing.T) string { return tryAsAdmin(t, world.operator, r) }})
	}
	return append(all,
		attempt{name: "admin/scope_of_a_customer", try: tryScopes("mallory"), control: func(t *testing.T) string {
			return tryScopes("operator")(t, nil)
		}},
		attempt{name: "metrics/of_another_address", try: tryMetricsAddress, control: func(t *testing.T) string {
			return metricsWith(t, `tenant="`+namedTenant+`"`)
		}})
}

// tryAsAdmin sends a request about a key of acme's.
func tryAsAdmin(t *testing.T, as *actor, r request) string {
	key, err := createKey(keySpec{Tenant: "acme", Scopes: []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := as.send(r.withID(key.KeyID)); got.ok() {
		return first(got.body, got.String())
	}
	return ""
}

// tryScopes asks for keys that reach what belongs to all tenants: the operator may make a mistake.
func tryScopes(tenant string) func(*testing.T, *actor) string {
	return func(*testing.T, *actor) string {
		for _, scope := range []string{"admin", "metrics"} {
			key, err := createKey(keySpec{Tenant: tenant, Scopes: []string{"read", scope}})
			if err == nil {
				return "a key of " + tenant + " with the scope " + scope + ": " + key.KeyID
			}
		}
		return ""
	}
}

// tryMetricsAddress reads the metrics at the address without a token. It must be private, and yet has nothing of a
// tenant that METRICS_TENANTS does not name.
func tryMetricsAddress(t *testing.T, _ *actor) string {
	for _, text := range append([]string{`"acme"`, `"mallory"`, secret, world.acme.keyID, world.acme.key},
		world.owned.ids()...) {
		if got := metricsWith(t, text); got != "" {
			return got
		}
	}
	return ""
}

// metricsWith returns the line of the metrics that has a text. A tenant with metrics has made a request.
func metricsWith(t *testing.T, text string) string {
	t.Helper()
	key, err := createKey(keySpec{Tenant: namedTenant, Scopes: []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	newActor(namedTenant, key.Key).send(request{method: "GET", path: "/jobs"})
	anyone := &actor{url: world.metrics, client: world.acme.client}
	got := anyone.send(request{method: "GET", path: "/metrics"})
	if !got.ok() {
		t.Fatal(got)
	}
	for line := range strings.Lines(got.body) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

func webhookAttempts() []attempt {
	forge := func(secretOf func(*testing.T) string) func(*testing.T, *actor) string {
		return func(t *testing.T, as *actor) string { return tryForge(t, as, secretOf(t)) }
	}
	operators := func(*testing.T) string { return webhookSecret }
	return []attempt{
		{name: "webhooks/as_another_tenant", try: forge(secretOfAcme)},
		{name: "webhooks/as_the_operator", try: forge(operators), control: func(t *testing.T) string {
			return tryForge(t, world.operator, webhookSecret)
		}},
	}
}

// secretOfAcme returns the secret with which acme checks the webhooks that it receives.
func secretOfAcme(t *testing.T) string {
	t.Helper()
	got := world.operator.send(request{method: "GET", path: "/admin/tenants/acme/webhook-secret"})
	secrets, _ := got.object()["secrets"].([]any)
	if len(secrets) != 1 {
		t.Fatal(got)
	}
	text, _ := secrets[0].(string)
	return text
}

// tryForge sends the end of a job to a receiver that checks it with a secret.
func tryForge(t *testing.T, as *actor, secretOfReceiver string) string {
	path := "/forged-by-" + as.name + "-" + secretOfReceiver[6:14]
	got := as.send(request{method: "POST", path: "/execute", body: job(map[string]any{
		"script": "def main():\n    return 1\n", "callback_url": world.webhooks.url + path, "async": true,
	})})
	if !got.ok() {
		t.Fatal(got)
	}
	arrived, ok := world.webhooks.await(path)
	if !ok {
		t.Fatal("no webhook has arrived at " + path)
	}
	hook, err := webhooks.NewWebhook(secretOfReceiver)
	if err != nil {
		t.Fatal(err)
	}
	if hook.Verify([]byte(arrived.body), arrived.header) == nil {
		return arrived.body
	}
	return ""
}
