package web

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"cellblock/test/stack"
)

// activity has the fields of GET /activity.
type activity struct {
	Queued  int            `json:"queued"`
	Running int            `json:"running"`
	Totals  map[string]int `json:"totals"`
}

// busyService starts a service with two workers of two places, and returns its administrator.
func busyService(t *testing.T) (*stack.Stack, caller) {
	t.Helper()
	worker := stack.Env{
		"WORKER_CONCURRENCY": "2", "METRICS_ADDR": "127.0.0.1:0", "LIMIT_WALL": "10m", "DRAIN_TIMEOUT": "11m",
	}
	s := stack.StartFor(t, stack.Config{
		Programs: programs,
		API:      stack.Env{"API_TOKEN": operatorsToken, "LIMIT_WALL": "10m"},
		Workers:  []stack.Env{worker, worker},
	})
	return s, as(t, s, operatorsToken)
}

// load starts jobs of three tenants. It returns those that run and those that wait, each in the order of their start.
func load(admin caller) (running, waiting []string) {
	admin.t.Helper()
	var ends []string
	for i, tenant := range []string{"acme", "beta", "umbrella"} {
		c := admin.withKey(tenant, "run", "read", "cancel")
		for n := range 4 + 3*i {
			labels := map[string]string{"customer": strconv.Itoa(40 + n), "example.com/run": "nightly"}
			ends = append(ends, c.start(quick, fields{"labels": labels}))
		}
		ends = append(ends, c.start(failing, fields{"labels": map[string]string{"customer": "47"}}),
			c.start("def main(:\n", nil), c.start("import sys\nsys.exit(3)\n", fields{"entry": "script"}),
			c.start(lasting, fields{"limits": map[string]any{"wall_seconds": 0.5}}))
	}
	for _, id := range ends {
		admin.awaitEnd(id)
	}
	acme, beta := admin.withKey("acme", "run", "read"), admin.withKey("beta", "run", "read")
	for n := range 4 {
		c := []caller{acme, beta}[n%2]
		id := c.start(lasting, fields{"labels": map[string]string{"customer": strconv.Itoa(50 + n), "team": "search"}})
		c.awaitRunning(id)
		running = append(running, id)
	}
	for n := range 6 {
		c := []caller{acme, beta}[n%2]
		waiting = append(waiting, c.start(quick, fields{"labels": map[string]string{"customer": strconv.Itoa(60 + n)}}))
	}
	return running, waiting
}

// awaitTile waits until the overview shows a number.
func (p *tab) awaitTile(name string, value string) {
	p.t.Helper()
	p.await(fmt.Sprintf(`[...document.querySelectorAll(".tile")].some(e =>
		e.querySelector("dt").textContent === %s && e.querySelector(".value").textContent === %s)`,
		quote(name), quote(value)))
}

// listed returns the ids that a list shows, in its order.
func (p *tab) listed(label string) []string {
	p.t.Helper()
	return eval[[]string](p, fmt.Sprintf(
		`[...document.querySelectorAll('section[aria-label=%s] tbody a.id')].map(e => e.textContent)`,
		quote(label+", list")))
}

func TestConsoleShowsWhatTheServiceDoes(t *testing.T) {
	t.Parallel()
	s, admin := busyService(t)
	running, waiting := load(admin)
	t.Cleanup(func() { // the workers wait for their jobs
		for _, id := range slices.Concat(waiting, running) {
			request, err := http.NewRequest(http.MethodDelete, s.URL+"/jobs/"+id, nil)
			if err != nil {
				t.Error(err)
				continue
			}
			if response, err := admin.client.Do(request); err == nil {
				_ = response.Body.Close()
			}
		}
	})
	p := openConsole(t, admin, "", "Overview", lightView)

	// The numbers are those of the API, and both are those of the load: 33 jobs ended.
	outcomes := map[string]int{"ok": 21, "exception": 3, "syntax_error": 3, "exit": 3, "timeout": 3}
	p.awaitTile("Ended in the last hour", "33")
	var read activity
	admin.call(http.MethodGet, "/activity", nil, http.StatusOK, &read)
	if !maps.Equal(read.Totals, outcomes) || read.Running != 4 || read.Queued != 6 {
		t.Errorf("GET /activity returns %+v", read)
	}
	p.awaitTile("Waiting", "6")
	p.awaitTile("Running", "4")
	//TMP	p.await(`document.querySelector(".tiles").textContent.includes("of 4 places")`)
	p.awaitJobs("Running", running...)
	p.awaitJobs("Waiting", waiting...)
	if got := p.listed("Running"); !slices.Equal(got, running) {
		t.Errorf("the running jobs are not in the order of their start: %v, want %v", got, running)
	}
	if got := p.listed("Waiting"); !slices.Equal(got, waiting) {
		t.Errorf("the waiting jobs are not in the order of their start: %v, want %v", got, waiting)
	}
	shown := eval[[]string](p, `[...document.querySelectorAll(".outcomes li")].map(e => e.textContent)`)
	if want := []string{"ok21", "exception3", "exit3", "syntax_error3", "timeout3"}; !slices.Equal(shown, want) {
		t.Errorf("the outcomes are %q, want %q", shown, want)
	}
	p.await(`document.querySelectorAll('section[aria-label="Workers, list"] tbody tr').length === 2`)
	p.awaitText(`section[aria-label="Usage, list"]`, "umbrella")

	t.Run("looks", func(t *testing.T) { checkLooks(t, admin) })
	t.Run("an outcome leads to its jobs", func(t *testing.T) { outcomeLeadsToItsJobs(t, p) })
	t.Run("a draining worker", func(t *testing.T) { showsDraining(t, s, p) })
}

func checkLooks(t *testing.T, admin caller) {
	for name, look := range map[string]view{"light": lightView, "dark": darkView, "phone": phoneView} {
		p := openConsole(t, admin, "", "Overview", look)
		p.await(`document.querySelectorAll('section[aria-label="Workers, list"] tbody tr').length === 2`)
		p.await(`document.querySelectorAll('section[aria-label="Waiting, list"] tbody tr').length === 6`)
		p.clickText("As a table")
		p.awaitText(".chart table", "Succeeded")
		p.checkAccessibility()
		p.clickText("As a table")
		if wide := eval[int](p, "document.documentElement.scrollWidth"); int64(wide) > look.width {
			t.Errorf("%s: the page is %d pixels wide", name, wide)
		}
		p.screenshot("console-" + name)
		p.do(chromedp.Navigate(admin.origin + "/console#jobs&since=1h"))
		p.await(`document.querySelectorAll('section[aria-label="Jobs, list"] tbody tr').length > 20`)
		p.checkAccessibility()
		p.screenshot("console-jobs-" + name)
		p.clickText("47")
	}
}

func outcomeLeadsToItsJobs(t *testing.T, p *tab) {
	p.clickText("timeout")
	p.awaitText("h1", "Jobs")
	p.await(`document.querySelectorAll('section[aria-label="Jobs, list"] tbody tr').length === 3`)
	if got := eval[string](p, "location.hash"); got != "#jobs&code=timeout&since=1h" {
		t.Errorf("the fragment is %q", got)
	}
	if codes := eval[int](p, `[...document.querySelectorAll("tbody .status")].filter(e => e.textContent === "failed timeout").length`); codes != 3 {
		t.Errorf("%d of 3 jobs are shown with the code", codes)
	}
}

func showsDraining(t *testing.T, s *stack.Stack, p *tab) {
	p.clickText("Overview")
	p.awaitText("h1", "Overview")
	if err := s.Workers()[0].Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.await(`document.querySelectorAll('section[aria-label="Workers, list"] .status.draining').length === 1`)
	p.awaitText("#workers + .warn", "1 worker draining")
	for _, id := range p.listed("Running") {
		as(t, s, operatorsToken).call(http.MethodDelete, "/jobs/"+id, nil, http.StatusAccepted, &struct{}{})
	}
	p.await(`document.querySelectorAll('section[aria-label="Workers, list"] tbody tr').length === 1`)
}
