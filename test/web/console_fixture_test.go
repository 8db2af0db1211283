package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// caller uses a service with a token.
type caller struct {
	t      *testing.T
	origin string
	client *http.Client
	token  string
}

// bearer adds a token to requests.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b != "" {
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func as(t *testing.T, s *stack.Stack, token string) caller { return newCaller(t, s.URL, token) }

func newCaller(t *testing.T, origin, token string) caller {
	return caller{t: t, origin: origin, client: &http.Client{Transport: bearer(token)}, token: token}
}

// call sends a request and decodes the response, whose status must be the wanted one.
func (c caller) call(method, path string, body any, status int, answer any) {
	c.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	if got := stack.DoJSON(c.t.Context(), c.client, method, c.origin+path, content, "", answer); got != status {
		c.t.Fatalf("%s %s: status %d, want %d: %v", method, path, got, status, answer)
	}
}

// withKey creates a key of a tenant, and returns a caller that has it. c must be an administrator.
func (c caller) withKey(tenant string, scopes ...string) caller {
	c.t.Helper()
	var key struct {
		Key string `json:"key"`
	}
	c.call(http.MethodPost, "/admin/keys", map[string]any{"tenant": tenant, "scopes": scopes}, http.StatusCreated, &key)
	return newCaller(c.t, c.origin, key.Key)
}

// fields are those of POST /execute beside the script.
type fields map[string]any

// start submits a job and returns its id.
func (c caller) start(script string, more fields) string {
	c.t.Helper()
	request := map[string]any{"script": script, "async": true}
	for name, value := range more {
		request[name] = value
	}
	var accepted struct {
		JobID string `json:"job_id"`
	}
	c.call(http.MethodPost, "/execute", request, http.StatusAccepted, &accepted)
	return accepted.JobID
}

// batch submits jobs of one script, one for each set of labels.
func (c caller) batch(script string, labels ...map[string]string) {
	c.t.Helper()
	var lines bytes.Buffer
	for _, each := range labels {
		line, err := json.Marshal(map[string]any{"script": script, "labels": each})
		if err != nil {
			c.t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.origin+"/batches", &lines)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	response, err := c.client.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		c.t.Fatalf("POST /batches: %s", response.Status)
	}
}

// awaitRunning waits until a job runs.
func (c caller) awaitRunning(id string) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	running := false
	err := stack.Watch(ctx, c.client, c.origin, id, "", func(event stack.Event) {
		if strings.Contains(event.Data, `"running"`) {
			running = true
			cancel()
		}
	})
	if !running {
		c.t.Fatalf("the job %s never ran: %v", id, err)
	}
}

// awaitEnd waits until a job has ended.
func (c caller) awaitEnd(id string) {
	c.t.Helper()
	if err := stack.Watch(c.t.Context(), c.client, c.origin, id, "", func(stack.Event) {}); err != nil {
		c.t.Fatal(err)
	}
}

// startLasting starts a job that runs until it is cancelled, at the latest at the end of the test.
func (c caller) startLasting(more fields) string {
	c.t.Helper()
	id := c.start(lasting, more)
	c.t.Cleanup(func() { c.cancelQuietly(id) })
	return id
}

// cancelQuietly cancels a job, whether it has ended or not, also after the end of the test.
func (c caller) cancelQuietly(id string) {
	request, err := http.NewRequest(http.MethodDelete, c.origin+"/jobs/"+id, nil)
	if err != nil {
		c.t.Error(err)
		return
	}
	if response, err := c.client.Do(request); err == nil {
		_ = response.Body.Close()
	}
}

const (
	// quick is a script that ends at once, failing one that fails, and lasting one that runs until it is cancelled or
	// its time is over.
	quick   = "def main():\n    return 'done'\n"
	failing = "def main():\n    return {}['missing']\n"
	lasting = "import time\ndef main():\n    print('at work', flush=True)\n    time.sleep(600)\n"
)

// openConsole opens the console of a service with a token, and waits for the heading of the view.
func openConsole(t *testing.T, c caller, fragment, heading string, look view) *tab {
	t.Helper()
	p := visit(t, c.origin, "/console"+fragment, look)
	if c.token != "" {
		p.expect("status of 401")
		p.expect("status of 403") // whether the key may list workers is seen from this
		p.enterToken(c.token)
	}
	p.awaitText("h1", heading)
	return p
}

// enterToken types a token into the field that asks for it.
func (p *tab) enterToken(token string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible(chromedp.CSS("#token")), chromedp.SendKeys(chromedp.CSS("#token"), token+kb.Enter))
}

// enter replaces the text of a field as a user does, and presses Enter.
func (p *tab) enter(field, text string) {
	p.t.Helper()
	if text == "" {
		text = kb.Delete
	}
	p.do(chromedp.Click(chromedp.CSS(field)))
	eval[bool](p, `(document.querySelector(`+quote(field)+`).select(), true)`)
	p.do(chromedp.KeyEvent(text), chromedp.KeyEvent(kb.Enter))
}

// click clicks the element of a CSS selector, once it is there.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// clickText clicks the first button, link or summary that shows a text.
func (p *tab) clickText(text string) {
	p.t.Helper()
	found := fmt.Sprintf(
		"[...document.querySelectorAll('button, a, summary')].find(e => e.textContent.trim() === %s)", quote(text))
	p.await(found)
	eval[bool](p, "("+found+".click(), true)")
}

// awaitJobs waits until the list of a label shows exactly the jobs with these ids, in any order.
func (p *tab) awaitJobs(label string, ids ...string) {
	p.t.Helper()
	wanted, err := json.Marshal(ids)
	if err != nil {
		p.t.Fatal(err)
	}
	p.await(fmt.Sprintf(`(() => {
		const list = document.querySelector('section[aria-label=%s]');
		const shown = [...(list?.querySelectorAll("tbody a.id") ?? [])].map(e => e.textContent);
		return list !== null && JSON.stringify(shown.sort()) === JSON.stringify(%s.sort());
	})()`, quote(label+", list"), wanted))
}
