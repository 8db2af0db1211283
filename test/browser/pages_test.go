package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cellblock/test/stack"
)

// attempt is what a page tries. body is that of an async function in JavaScript, which returns what it has learned. It
// sees api, the URL of the service, metrics, that of the worker's metrics, and job, the id of a running job.
type attempt struct {
	name, body string
	// succeeds is false if no service lets the page do it.
	succeeds bool
}

// attempts each run a job, cancel the running one, or learn something.
var attempts = []attempt{
	{"run, by a form", `
		const frame = document.createElement('iframe'), form = document.createElement('form');
		frame.name = 'answer';
		Object.assign(form, {method: 'POST', enctype: 'multipart/form-data'});
		Object.assign(form, {action: api + '/execute', target: 'answer'});
		form.innerHTML = '<textarea name="script">' + script + '</textarea>';
		document.body.append(frame, form);
		await new Promise(done => { setTimeout(() => { frame.onload = done; form.submit(); }, 0); });
		return '';`, true},
	{"run, by fetch without CORS", `
		const form = new FormData();
		form.append('script', script);
		await fetch(api + '/execute', {method: 'POST', mode: 'no-cors', body: form});
		return '';`, true},
	{"run, as text without CORS", `
		await fetch(api + '/execute', {method: 'POST', mode: 'no-cors', body: JSON.stringify({script})});
		return '';`, false}, // text/plain is not accepted
	{"run, as JSON", `
		return text(await fetch(api + '/execute', {
			method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({script}),
		}));`, true},
	{"run, as a batch", `
		return text(await fetch(api + '/batches', {
			method: 'POST', headers: {'Content-Type': 'application/x-ndjson'}, body: JSON.stringify({script}),
		}));`, true},
	{"run, by MCP", `
		const call = {name: 'run_python', arguments: {code: '6 * 7'}};
		return text(await fetch(api + '/mcp', {
			method: 'POST',
			headers: {'Content-Type': 'application/json', 'Accept': 'application/json, text/event-stream'},
			body: JSON.stringify({jsonrpc: '2.0', id: 1, method: 'tools/call', params: call}),
		}));`, true},
	{"run, by SandboxFusion's form", `
		return text(await fetch(api + '/compat/sandboxfusion/run_code', {
			method: 'POST', headers: {'Content-Type': 'application/json'},
			body: JSON.stringify({language: 'python', code: 'print(6 * 7)'}),
		}));`, true},
	{"store a file", `
		return text(await fetch(api + '/files', {
			method: 'POST', headers: {'Content-Type': 'application/octet-stream'}, body: 'content',
		}));`, true},
	{"cancel", `return text(await fetch(api + '/jobs/' + job, {method: 'DELETE'}));`, true},
	{"list jobs", `return text(await fetch(api + '/jobs'));`, true},
	{"read a job", `return text(await fetch(api + '/jobs/' + job));`, true},
	{"read a job without CORS", `return text(await fetch(api + '/jobs/' + job, {mode: 'no-cors'}));`, false},
	{"read live output", `
		const source = new EventSource(api + '/jobs/' + job + '/events');
		const learned = await new Promise(done => {
			source.onopen = () => done('opened');
			source.onerror = () => done('');
		});
		source.close();
		return learned;`, true},
	{"embed a picture by CORS", `
		const image = new Image();
		image.crossOrigin = 'anonymous';
		return loaded(image, api + picture, () => image.width + ' by ' + image.height);`, true},
	{"embed a picture", `
		const image = new Image();
		return loaded(image, api + picture, () => image.width + ' by ' + image.height);`, false},
	{"embed as a script", `
		const element = document.createElement('script');
		document.head.append(element);
		return loaded(element, api + '/jobs', () => 'loaded');`, false},
	{"read a frame", `
		const frame = document.createElement('iframe');
		frame.src = api + '/jobs/' + job;
		await new Promise(done => { frame.onload = done; document.body.append(frame); });
		const content = frame.contentDocument?.body.innerText ?? '';
		return content.includes('"job_id"') ? content : '';`, false},
	{"read metrics", `return text(await fetch(metrics + '/metrics'));`, false},
}

// prelude is what every attempt sees. An exception, such as that of a fetch that the browser refuses, is caught: the
// page has learned nothing then.
const prelude = `(async () => {
	const api = %q, metrics = %q, job = %q, picture = %q, script = 'def main(): return 6 * 7';
	const text = async response => response.ok ? response.text() : '';
	const loaded = (element, source, learned) => new Promise(done => {
		element.onload = () => done(learned());
		element.onerror = () => done('');
		element.src = source;
	});
	const attempt = async () => {%s};
	try { return await attempt(); } catch (error) { return ''; }
})()`

// outcome is what an attempt has done.
type outcome struct {
	learned   string
	ran       bool
	cancelled bool
}

func (o outcome) nothing() bool { return o == outcome{} }

// make makes an attempt on the page, against the service at api, as the page names it.
func (a attempt) make(t *testing.T, s *stack.Stack, page, api, metrics string) outcome {
	t.Helper()
	job := submit(t, s, "import time\ndef main():\n    print('secret', flush=True)\n    time.sleep(50)", true)
	defer request(t, s, http.MethodDelete, "/jobs/"+job.ID, "")
	picture := submit(t, s, drawing, false).Files[0].URL
	before := countJobs(t, s)
	learned := visit(t, page, fmt.Sprintf(prelude, api, metrics, job.ID, picture, a.body))
	status := request(t, s, http.MethodGet, "/jobs/"+job.ID, "").Status
	ended := status != "running" && status != "queued"
	return outcome{learned: learned, ran: countJobs(t, s) > before, cancelled: ended}
}

// drawing leaves a picture of one pixel.
const drawing = `
import base64

def main():
    with open("outputs/pixel.png", "wb") as file:
        file.write(base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
                                    "AABJRU5ErkJggg=="))`

// Pages of other origins run, cancel and read nothing. The tests are not parallel: they count the service's jobs.
func TestPagesOfOtherOrigins(t *testing.T) {
	for _, host := range []string{"attacker.example", "127.0.0.1"} { // another site, and another port of this one
		for _, a := range attempts {
			t.Run(host+"/"+a.name, func(t *testing.T) {
				if got := a.make(t, guarded, pageOf(host), guarded.URL, metricsOf(guarded)); !got.nothing() {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// Pages whose name leads to the service run, cancel and read nothing, although the browser takes the service for
// theirs.
func TestPagesThatRebindTheirName(t *testing.T) {
	api, metrics := renamed(guarded.URL), renamed(metricsOf(guarded))
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			page := api + "/healthz" // of the page's origin, whatever the service responds
			if a.name == "read metrics" {
				page = metrics + "/healthz"
			}
			if got := a.make(t, guarded, page, api, metrics); !got.nothing() {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Pages of an origin in CORS_ORIGINS can do everything that CORS has.
func TestPagesOfAllowedOrigins(t *testing.T) {
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			page := pageOf("friend.example")
			if got := a.make(t, guarded, page, guarded.URL, metricsOf(guarded)); got.nothing() == a.succeeds {
				t.Errorf("%+v, want success: %t", got, a.succeeds)
			}
		})
	}
}

// Where all origins and hosts are allowed, the attempts succeed: each is a real one.
func TestAttemptsSucceedWithoutProtection(t *testing.T) {
	for _, a := range attempts {
		t.Run("another origin/"+a.name, func(t *testing.T) {
			got := a.make(t, open, pageOf("attacker.example"), open.URL, metricsOf(open))
			if got.nothing() == a.succeeds {
				t.Errorf("%+v, want success: %t", got, a.succeeds)
			}
		})
		t.Run("rebound/"+a.name, func(t *testing.T) {
			api, metrics := renamed(open.URL), renamed(metricsOf(open))
			page := api + "/healthz"
			if a.name == "read metrics" {
				page = metrics + "/healthz"
			}
			succeeds := a.name != "run, as text without CORS" && a.name != "embed as a script"
			if got := a.make(t, open, page, api, metrics); got.nothing() == succeeds {
				t.Errorf("%+v, want success: %t", got, succeeds)
			}
		})
	}
}

// renamed returns the URL with a name instead of the address.
func renamed(base string) string { return strings.Replace(base, "127.0.0.1", "rebound.example", 1) }

func metricsOf(s *stack.Stack) string {
	return "http://" + s.Workers()[0].Logged("serving metrics", "addr", nil)
}

// job is what the tests read of a job, or of a list of jobs.
type job struct {
	ID     string `json:"job_id"`
	Status string `json:"status"`
	Files  []struct {
		URL string `json:"url"`
	} `json:"files"`
	Jobs []struct{} `json:"jobs"`
}

func submit(t *testing.T, s *stack.Stack, script string, async bool) job {
	t.Helper()
	created := request(t, s, http.MethodPost, "/execute", fmt.Sprintf(`{"script": %q, "async": %t}`, script, async))
	if created.ID == "" || !async && len(created.Files) != 1 {
		t.Fatalf("%+v", created)
	}
	return created
}

func countJobs(t *testing.T, s *stack.Stack) int {
	t.Helper()
	return len(request(t, s, http.MethodGet, "/jobs?limit=200", "").Jobs)
}

// request sends a request as a program does, without a browser.
func request(t *testing.T, s *stack.Stack, method, path, body string) (answer job) {
	t.Helper()
	client := &http.Client{Timeout: bound}
	if status := stack.DoJSON(t.Context(), client, method, s.URL+path, []byte(body), "", &answer); status == 0 {
		t.Fatalf("%s %s: no response", method, path)
	}
	return answer
}
