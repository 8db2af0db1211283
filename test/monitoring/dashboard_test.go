package monitoring

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/go-json-experiment/json"
)

const dashboardFile = "../../deploy/monitoring/grafana/dashboard.json"

// dashboard is what the tests read of dashboardFile. tools/dashboard makes it with the types of Grafana's SDK, which
// check the rest.
type dashboard struct {
	UID           string  `json:"uid"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query string `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  datasource `json:"datasource"`
	GridPos     struct {
		X int `json:"x"`
		Y int `json:"y"`
		W int `json:"w"`
		H int `json:"h"`
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Datasource   datasource `json:"datasource"`
		Expr         string     `json:"expr"`
		LegendFormat string     `json:"legendFormat"`
	} `json:"targets"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(readFile(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDashboard checks what a maintainer could forget in a panel.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	variables := d.Templating.List
	if d.UID != "cellblock" || d.SchemaVersion < 42 || len(variables) != 1 || variables[0].Name != "datasource" ||
		variables[0].Type != "datasource" || variables[0].Query != "prometheus" {
		t.Errorf("uid %q, schema version %d, variables %+v", d.UID, d.SchemaVersion, variables)
	}
	source := datasource{Type: "prometheus", UID: "${datasource}"}
	taken, ids, rows := map[string]string{}, map[int]bool{}, 0
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("%q has the id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				at := fmt.Sprint(x, ",", y)
				if taken[at] != "" || x >= 24 {
					t.Fatalf("%q and %q are both at %s of 24 columns", p.Title, taken[at], at)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource != source ||
			len(p.Targets) == 0 || p.GridPos.W == 0 {
			t.Errorf("%q lacks a part: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			if target.LegendFormat == "" || target.Datasource != source {
				t.Errorf("%q: %+v", p.Title, target)
			}
		}
	}
	if rows != 7 {
		t.Errorf("%d sections", rows)
	}
}

var (
	metricName     = regexp.MustCompile(`\bcellblock_\w+`)
	documentedName = regexp.MustCompile("(?m)^\\| `(cellblock_\\w+)` \\| (\\w+) \\|")
	histogramPart  = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// TestMetricsExist compares the metrics of all queries with docs/metrics.md, in both directions: what is measured is
// shown.
func TestMetricsExist(t *testing.T) {
	t.Parallel()
	types := map[string]string{}
	for _, row := range documentedName.FindAllStringSubmatch(readFile(t, "../../docs/metrics.md"), -1) {
		types[row[1]] = row[2]
	}
	shown := map[string]bool{}
	check := func(where, expr string) {
		for _, name := range metricName.FindAllString(expr, -1) {
			base := histogramPart.ReplaceAllString(name, "")
			if types[name] == "" && types[base] != "histogram" {
				t.Errorf("%s has %s, which docs/metrics.md does not list", where, name)
			}
			shown[name], shown[base] = true, true
		}
	}
	for _, rule := range readAlerts(t) {
		check(rule.Name, rule.Expr)
	}
	clear(shown)
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
		}
	}
	for name := range types {
		if !shown[name] {
			t.Errorf("%s is in no panel of the dashboard", name)
		}
	}
}
