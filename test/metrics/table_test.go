package metrics

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cellblock/test/stack"
)

// row is a row of the table of metrics.
type row struct {
	name, kind string
	labels     []string
	of         string
}

var code = regexp.MustCompile("`([^`]+)`")

// section returns the cells of the rows of a section of docs/metrics.md.
func section(t *testing.T, title string) (rows [][]string) {
	t.Helper()
	content, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(content), "\n## "+title+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"))
		}
	}
	if !found || len(rows) == 0 {
		t.Fatalf("docs/metrics.md has no table %q", title)
	}
	return rows
}

func names(cell string) []string {
	var found []string
	for _, match := range code.FindAllStringSubmatch(cell, -1) {
		found = append(found, match[1])
	}
	slices.Sort(found)
	return found
}

// table returns the rows of the metrics that an API or a worker has.
func table(t *testing.T, of ...string) map[string]row {
	t.Helper()
	rows := map[string]row{}
	for _, cells := range section(t, "All of them") {
		if len(cells) != 6 {
			t.Fatalf("a row with %d cells: %q", len(cells), cells)
		}
		r := row{
			name: names(cells[0])[0], kind: strings.TrimSpace(cells[1]), labels: names(cells[2]),
			of: strings.TrimSpace(cells[3]),
		}
		if !slices.Contains([]string{"service", "api", "worker"}, r.of) {
			t.Errorf("%s is of %q", r.name, r.of)
		}
		if slices.Contains(of, r.of) {
			rows[r.name] = r
		}
	}
	return rows
}

// compare fails unless a scrape has exactly the metrics of the rows.
func compare(t *testing.T, rows map[string]row, scraped map[string]family) {
	t.Helper()
	for name, r := range rows {
		if _, found := scraped[name]; !found {
			t.Errorf("%s is in docs/metrics.md and not in /metrics of %s", name, r.of)
		}
	}
	for name, f := range scraped {
		r, found := rows[name]
		if !found {
			t.Errorf("%s is in /metrics and not in docs/metrics.md", name)
			continue
		}
		if f.kind != r.kind {
			t.Errorf("%s is a %s, and docs/metrics.md has %s", name, f.kind, r.kind)
		}
		for _, labels := range f.series {
			if got := slices.Sorted(maps.Keys(labels)); !slices.Equal(got, r.labels) {
				t.Errorf("%s has the labels %q, and docs/metrics.md has %q", name, got, r.labels)
				break
			}
		}
	}
}

// compareValues fails unless the values of a label are those in the first column of a section.
func compareValues(t *testing.T, scraped map[string]family, metric, label, title string) {
	t.Helper()
	var documented, seen []string
	for _, cells := range section(t, title) {
		documented = append(documented, names(cells[0])...)
	}
	for _, labels := range scraped[metric].series {
		seen = append(seen, labels[label])
	}
	slices.Sort(documented)
	slices.Sort(seen)
	if seen = slices.Compact(seen); !slices.Equal(documented, seen) {
		t.Errorf("%s has %q, and docs/metrics.md has %q", metric, seen, documented)
	}
}

// TestTable causes each metric in a service, and compares all with docs/metrics.md.
func TestTable(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer receiver.Close()
	s := start(t, stack.Env{"ENVIRONMENTS_DIR": environments.Dir})
	s.execute(t, "def main(): return 1", map[string]any{"callback_url": receiver.URL, "async": true})
	s.execute(t, "def main(): return 2", map[string]any{"environment": "handmade"})
	s.execute(t, "def main(): 1 / 0", nil)
	worker := await(t, s.metrics, "the jobs have not ended", func(f map[string]family) bool {
		ended, _ := value(f, "cellblock_jobs_total", "", "")
		_, warm := value(f, "cellblock_zygote_starts_total", "environment", "handmade")
		ready, _ := value(f, "cellblock_ready_sandboxes", "environment", "default")
		up, _ := value(f, "cellblock_worker_redis_up", "", "")
		return ended == 3 && warm && ready == 2 && up == 1
	})
	api := await(t, s.URL, "the jobs are not counted", func(f map[string]family) bool {
		ended, _ := value(f, "cellblock_ended_jobs_total", "", "")
		_, sent := value(f, "cellblock_callbacks_total", "status", "delivered")
		return ended == 3 && sent
	})
	compare(t, table(t, "service", "api"), api)
	compare(t, table(t, "worker"), worker)
	compareValues(t, api, "cellblock_reaper_actions_total", "action", "Actions of the reaper")
	compareValues(t, api, "cellblock_memory_budget_bytes", "budget", "Memory budgets")
	compareValues(t, worker, "cellblock_zygote_deaths_total", "reason", "Deaths of zygotes")
	wantValue(t, api, "cellblock_ended_jobs_total", "outcome", "ok", 2)
	wantValue(t, api, "cellblock_ended_jobs_total", "outcome", "exception", 1)
	wantValue(t, api, "cellblock_reaper_working", "", "", 1)
	wantValue(t, api, "cellblock_fleet_slots", "", "", 2)
	wantValue(t, api, "cellblock_environment_workers", "environment", "handmade", 1)
	wantValue(t, worker, "cellblock_slots", "", "", 2)
	wantValue(t, worker, "cellblock_cold_sandboxes_total", "", "", 1) // the zygote starts with the first job
	wantValue(t, worker, "cellblock_ready_sandboxes", "kind", "plain", 2)
	wantValue(t, worker, "cellblock_zygote_starts_total", "", "", 2)
	wantValue(t, worker, "cellblock_zygote_deaths_total", "", "", 0)
}

func wantValue(t *testing.T, families map[string]family, name, label, wanted string, want float64) {
	t.Helper()
	if got, found := value(families, name, label, wanted); !found || got != want {
		t.Errorf("%s{%s=%q} is %v (found: %v), want %v", name, label, wanted, got, found, want)
	}
}
