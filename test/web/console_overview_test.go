package web

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/redis/go-redis/v9"

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
	acme, beta := admin.withKey("acme", "run", "read", "cancel"), admin.withKey("beta", "run", "read", "cancel")
	for n := range 4 {
		c := []caller{acme, beta}[n%2]
		id := c.startLasting(fields{"labels": map[string]string{"customer": strconv.Itoa(50 + n), "team": "search"}})
		c.awaitRunning(id)
		running = append(running, id)
	}
	for n := range 6 {
		c := []caller{acme, beta}[n%2]
		waiting = append(waiting, c.startLasting(fields{"labels": map[string]string{"customer": strconv.Itoa(60 + n)}}))
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
	p.await(`document.querySelector(".tiles").textContent.includes("of 4 places")`)
	p.awaitJobs("Running", running...)
	p.awaitJobs("Waiting", waiting...)
	if got := p.listed("Running"); !slices.Equal(got, running) {
		t.Errorf("the running jobs are not in the order of their start: %v, want %v", got, running)
	}
	oldestFirst := apisList(admin, "queued")
	slices.Reverse(oldestFirst)
	if got := p.listed("Waiting"); !slices.Equal(got, oldestFirst) {
		t.Errorf("the waiting jobs are not in the order of their start: %v, want %v", got, oldestFirst)
	}
	shown := eval[[]string](p, `[...document.querySelectorAll(".outcomes li")].map(e => e.textContent)`)
	want := []string{"ok21 64%", "exception3 9%", "exit3 9%", "syntax_error3 9%", "timeout3 9%"}
	if !slices.Equal(shown, want) {
		t.Errorf("the outcomes are %q, want %q", shown, want)
	}
	p.await(`document.querySelectorAll('section[aria-label="Workers, list"] tbody tr').length === 2`)
	p.awaitText(`section[aria-label="Usage, list"]`, "umbrella")

	t.Run("an outcome leads to its jobs", func(t *testing.T) { outcomeLeadsToItsJobs(t, p) })
	t.Run("looks", func(t *testing.T) {
		addPastHour(t, s)
		checkLooks(t, admin, running[0])
	})
	t.Run("a draining worker", func(t *testing.T) { showsDraining(t, s, p) })
}

// apisList returns the ids of the jobs with a status, in the order of the API.
func apisList(c caller, status string) (ids []string) {
	c.t.Helper()
	var list struct {
		Jobs []struct {
			ID string `json:"job_id"`
		} `json:"jobs"`
	}
	c.call(http.MethodGet, "/jobs?status="+status, nil, http.StatusOK, &list)
	for _, job := range list.Jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

// addPastHour adds jobs to the counts of the last hour, as a load that has lasted for long would have: the pictures
// show it.
func addPastHour(t *testing.T, s *stack.Stack) {
	t.Helper()
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	now := time.Now().Unix() / 60
	for ago := range int64(60) {
		minute := now - ago
		wave := 1 + math.Sin(float64(ago)/9) + math.Sin(float64(ago*ago%17))/4
		key := fmt.Sprintf("cellblock:{usage}:_all:minutes:%d", minute/60)
		for outcome, n := range map[string]int64{
			"ok": int64(14 + 30*wave), "exception": int64(3 * wave), "timeout": ago % 3, "memory_limit": ago % 7 / 5,
		} {
			field := fmt.Sprintf("%02d %s", minute%60, outcome)
			if err := client.HIncrBy(t.Context(), key, field, n).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkLooks opens each view, with a running job, in each look.
func checkLooks(t *testing.T, admin caller, running string) {
	for name, look := range map[string]view{"light": lightView, "dark": darkView, "phone": phoneView} {
		p := openConsole(t, admin, "", "Overview", look)
		p.await(`document.querySelectorAll('section[aria-label="Workers, list"] tbody tr').length === 2`)
		p.await(`document.querySelectorAll('section[aria-label="Waiting, list"] tbody tr').length === 6`)
		p.clickText("As a table")
		p.awaitText(".chart table", "Succeeded")
		p.checkAccessibility()
		p.clickText("As a table")
		p.checkWidth()
		p.publish("console-" + name)
		p.do(chromedp.Navigate(admin.origin + "/console#jobs&since=1h"))
		p.await(`document.querySelectorAll('section[aria-label="Jobs, list"] tbody tr').length > 20`)
		p.checkAccessibility()
		p.checkWidth()
		p.screenshot("console-jobs-" + name)
		p.do(chromedp.Navigate(admin.origin + "/console#job=" + running))
		p.awaitText(".job", "at work")
		p.clickText("Cancel the job …")
		p.checkAccessibility()
		p.checkWidth()
		p.screenshot("console-job-" + name)
	}
}

func outcomeLeadsToItsJobs(t *testing.T, p *tab) {
	p.clickText("timeout")
	p.awaitText("h1", "Jobs")
	p.await(`document.querySelectorAll('section[aria-label="Jobs, list"] tbody tr').length === 3`)
	if got := eval[string](p, "location.hash"); got != "#jobs&code=timeout&since=1h" {
		t.Errorf("the fragment is %q", got)
	}
	shown := eval[string](p, `[...document.querySelectorAll("tbody .state")].map(e => e.textContent).join(", ")`)
	if shown != "failed timeout, failed timeout, failed timeout" {
		t.Errorf("the jobs are shown as %s", shown)
	}
}

func showsDraining(t *testing.T, s *stack.Stack, p *tab) {
	p.clickText("Overview")
	p.awaitText("h1", "Overview")
	if err := s.Workers()[0].Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.await(`document.querySelectorAll('section[aria-label="Workers, list"] .state.draining').length === 1`)
	p.awaitText("#workers + .warn", "1 worker draining")
	for _, id := range p.listed("Running") {
		as(t, s, operatorsToken).call(http.MethodDelete, "/jobs/"+id, nil, http.StatusAccepted, &struct{}{})
	}
	p.await(`document.querySelectorAll('section[aria-label="Workers, list"] tbody tr').length === 1`)
}
