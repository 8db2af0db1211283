package tenants

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// forged is a line of the audit log that no client may bring in.
const forged = `{"time":"2026-01-01T00:00:00Z","action":"forged","tenant":"acme","outcome":"ok","status":200}`

// breaks are texts that end a line, a string or a label in one format or another.
var breaks = []string{
	"\n" + forged + "\n", "\r\n" + forged, "\u2028" + forged, "\x00" + forged, `"}` + "\n" + forged, "\x1b[2K" + forged,
	`",tenant="acme",smuggled="1`, "\"} 1\nsmuggled_metric{tenant=\"acme\"} 1\n", "\xff\xfe" + forged,
}

func smugglingAttempts() []attempt {
	return []attempt{
		{name: "smuggling/names_of_tenants", try: tryTenantHeaders, control: func(*testing.T) string {
			return listed(world.acme, "/jobs?limit=200")
		}},
		{name: "smuggling/audit_log", try: tryAuditLog, control: func(t *testing.T) string {
			for _, line := range auditLines(t) {
				if line["tenant"] == "acme" && line["job_id"] == world.owned.ended {
					return fmt.Sprint(line)
				}
			}
			return ""
		}},
		{name: "smuggling/metrics", try: tryMetricsLines, control: func(t *testing.T) string {
			return metricsWith(t, "cellblock_")
		}},
		{name: "smuggling/labels", try: func(_ *testing.T, as *actor) string {
			return tryLabels(as, breaks)
		}, control: func(*testing.T) string { return tryLabels(world.acme, []string{"plain-text"}) }},
		{name: "smuggling/request_ids", try: func(_ *testing.T, as *actor) string {
			return tryRequestIDs(as, breaks)
		}, control: func(*testing.T) string { return tryRequestIDs(world.acme, []string{"plain-text"}) }},
		{name: "smuggling/secrets_in_the_audit_log", try: trySecretsInLog, control: auditText},
	}
}

// tryTenantHeaders names acme in headers that a proxy might set.
func tryTenantHeaders(_ *testing.T, as *actor) string {
	for _, name := range []string{
		"Tenant", "X-Tenant", "X-Tenant-Id", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-User", "X-Key-Id",
		"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X-Forwarded-For", "Forwarded", "From",
		"X-Scope-OrgID",
	} {
		for _, value := range []string{"acme", world.acme.keyID, "/jobs/" + world.owned.ended} {
			r := request{method: "GET", path: "/jobs?limit=200", headers: []string{name, value}}
			if got := as.send(r); strings.Contains(got.body, world.owned.queued) {
				return name + ": " + got.String()
			}
			r.path = "/jobs/" + world.owned.ended
			if got := as.send(r); got.ok() {
				return name + ": " + got.String()
			}
		}
	}
	return ""
}

// sendBreaks brings the texts into everything that a log or a metric might have.
func sendBreaks(as *actor) {
	for i, text := range breaks {
		escaped := url.PathEscape(text)
		marker := fmt.Sprintf("break-%d", i)
		for _, path := range []string{
			"/" + escaped, "/jobs/" + escaped, "/admin/keys/" + escaped,
			"/admin/tenants/" + escaped + "/webhook-secret",
			"/jobs?label=" + url.QueryEscape(text), "/jobs?tenant=" + url.QueryEscape(text), "/files/" + escaped,
			"/jobs/" + world.owned.ended + "/files/" + escaped, "/usage?tenant=" + url.QueryEscape(text),
			"/activity?tenant=" + url.QueryEscape(text),
		} {
			as.send(request{method: "GET", path: path, headers: []string{"User-Agent", marker}})
			as.send(request{method: "DELETE", path: path})
		}
		as.send(request{method: "POST", path: "/execute", body: job(map[string]any{
			"script": "x", "labels": map[string]string{text: text}, "environment": text, "priority": text,
		})})
		as.send(request{method: "POST", path: "/files?name=" + url.QueryEscape(text), body: "x"})
		as.send(tool("get_job", job(map[string]any{"job_id": text})))
		as.send(mcpCall("tools/call", "x", `"name":`+quote(text)+`,"arguments":{}`))
		for _, header := range []string{"X-Request-Id", "Idempotency-Key", "X-Forwarded-For", "Last-Event-ID"} {
			sendRaw(as, "POST /execute HTTP/1.1\r\n"+header+": "+text+"\r\nContent-Type: application/json\r\n", "{}")
		}
		exchangeRaw(as.url, "GET /jobs HTTP/1.1\r\nAuthorization: Bearer "+text+"\r\n", "")
		exchangeRaw(as.url, strings.ReplaceAll(text, "\n", "")+" /jobs HTTP/1.1\r\n", "")
	}
}

// quote returns a text as JSON.
func quote(text string) string {
	encoded, err := json.Marshal(strings.ToValidUTF8(text, "?"))
	if err != nil {
		return `""`
	}
	return string(encoded)
}

func tryAuditLog(t *testing.T, as *actor) string {
	sendBreaks(as)
	text := auditText(t)
	for line := range strings.Lines(text) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			return fmt.Sprintf("%v: %.300q", err, line)
		}
		if fields["action"] == "forged" || fields["smuggled"] != nil {
			return line
		}
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x00\x1b\r\u2028") {
			return fmt.Sprintf("a control character: %.300q", line)
		}
	}
	return ""
}

// auditText returns the audit log. The line of a request is written after its response.
func auditText(t *testing.T) string {
	t.Helper()
	time.Sleep(50 * time.Millisecond)
	content, err := os.ReadFile(world.auditFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func auditLines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(auditText(t)) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

func tryMetricsLines(t *testing.T, as *actor) string {
	sendBreaks(as)
	return first(metricsWith(t, "smuggled"), metricsWith(t, "forged"), metricsWith(t, `tenant="acme"`))
}

// tryLabels runs jobs with labels.
func tryLabels(as *actor, texts []string) string {
	for _, text := range texts {
		got := as.send(request{method: "POST", path: "/execute", body: job(map[string]any{
			"script": "def main(): pass\n", "labels": map[string]string{"customer": strings.ToValidUTF8(text, "?")},
		})})
		if got.ok() {
			return got.String()
		}
	}
	return ""
}

// tryRequestIDs sends ids of requests, which responses and logs have if they are safe.
func tryRequestIDs(as *actor, texts []string) string {
	for _, text := range append(texts, strings.Repeat("a", 65)) {
		value := strings.NewReplacer("\n", " ", "\r", " ").Replace(text)
		got := sendRaw(as, "GET /jobs HTTP/1.1\r\nX-Request-Id: "+value+"\r\n", "")
		if id := got.header.Get("X-Request-Id"); got.err == nil && id != "" && strings.Contains(text, id) {
			return id
		}
	}
	return ""
}

// trySecretsInLog looks for scripts, results and keys in the audit log.
func trySecretsInLog(t *testing.T, _ *actor) string {
	text := auditText(t)
	for _, part := range []string{world.acme.key, world.mallory.key, apiToken, webhookSecret, secret, idempotencyKey} {
		if before, _, found := strings.Cut(text, part); found {
			return before[strings.LastIndexByte(before, '\n')+1:] + part
		}
	}
	return ""
}
