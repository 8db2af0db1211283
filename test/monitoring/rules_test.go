package monitoring

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	prometheusDir = "../../deploy/monitoring/prometheus/"
	rulesFile     = prometheusDir + "rules.yml"
	document      = "../../docs/monitoring.md"
)

// alert is a rule of rulesFile.
type alert struct {
	Name        string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// readAlerts returns the alerts of rulesFile.
func readAlerts(t *testing.T) (alerts []alert) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	readYAML(t, rulesFile, &file)
	for _, group := range file.Groups {
		alerts = append(alerts, group.Rules...)
	}
	if len(alerts) == 0 {
		t.Fatalf("%s has no alert", rulesFile)
	}
	return alerts
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readFile(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// promtool runs Prometheus's own checks, and fails the test if they fail.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("%v; scripts/setup --monitoring installs it", err)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Fatalf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rulesFile)
	promtool(t, "test", "rules", "alerts.yml")
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"prometheus.yml", "static.yml"} {
		promtool(t, "check", "config", prometheusDir+name)
	}
}

// TestEachAlertIsTried requires tests of alerts.yml in which an alert fires, and such in which it never does.
func TestEachAlertIsTried(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Name   string `yaml:"name"`
			Checks []struct {
				Expr    string `yaml:"expr"`
				Samples []any  `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	readYAML(t, "alerts.yml", &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		name, _, _ := strings.Cut(test.Name, ":")
		firing := false
		for _, check := range test.Checks {
			if check.Expr != `ALERTS{alertname="`+name+`", alertstate="firing"}` {
				t.Errorf("%q asks for %s", test.Name, check.Expr)
			}
			firing = firing || len(check.Samples) > 0
		}
		if len(test.Checks) == 0 {
			t.Errorf("%q checks nothing", test.Name)
		}
		fires[name], silent[name] = fires[name] || firing, silent[name] || !firing
	}
	for _, rule := range readAlerts(t) {
		if !fires[rule.Name] || !silent[rule.Name] {
			t.Errorf("%s: a test in which it fires: %t; in which it does not: %t", rule.Name, fires[rule.Name],
				silent[rule.Name])
		}
	}
}

// rowOf matches a row of the table of alerts: its anchor, the alert, its severity, when it fires, and what to do.
var rowOf = regexp.MustCompile("(?m)^\\| <a id=\"([a-z]+)\"></a>`(\\w+)` \\| (\\w+) \\| (.+) \\| (.+) \\|$")

// TestEachAlertHasARow compares the table of docs/monitoring.md with the rules, in their order.
func TestEachAlertHasARow(t *testing.T) {
	t.Parallel()
	var documented, want []string
	for _, row := range rowOf.FindAllStringSubmatch(readFile(t, document), -1) {
		documented = append(documented, row[2]+" "+row[3]+" docs/monitoring.md#"+row[1])
	}
	for _, rule := range readAlerts(t) {
		want = append(want, rule.Name+" "+rule.Labels["severity"]+" "+rule.Annotations["runbook_url"])
		if !strings.HasPrefix(rule.Name, "Cellblock") || !slices.Contains([]string{"critical", "warning"},
			rule.Labels["severity"]) || len(rule.Labels) != 1 {
			t.Errorf("%s has the labels %v", rule.Name, rule.Labels)
		}
		for _, name := range []string{"summary", "description"} {
			if rule.Annotations[name] == "" {
				t.Errorf("%s has no %s", rule.Name, name)
			}
		}
	}
	if !slices.Equal(documented, want) {
		t.Errorf("docs/monitoring.md has\n  %s\nand the rules have\n  %s", strings.Join(documented, "\n  "),
			strings.Join(want, "\n  "))
	}
}
