package helm

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

func TestLint(t *testing.T) {
	t.Parallel()
	forEachShape(t, func(t *testing.T, file string) {
		t.Helper()
		mustRun(t, "helm", "lint", "--strict", "--values", file, chart)
	})
}

// TestUnits runs the tests in deploy/helm/cellblock/tests.
func TestUnits(t *testing.T) {
	t.Parallel()
	output := mustRun(t, "helm-unittest", "--strict", chart)
	if found := regexp.MustCompile(`(?m)^Tests: +(\d+) passed`).FindStringSubmatch(output); found == nil {
		t.Errorf("no test has run:\n%s", output)
	}
}

// TestRenderings checks each object against the schema of its kind, in which fields that the API server does not know
// are errors.
func TestRenderings(t *testing.T) {
	t.Parallel()
	forEachShape(t, func(t *testing.T, file string) {
		t.Helper()
		rendered := render(t, file)
		if output, err := conform(t, rendered); err != nil {
			t.Error(output)
		}
		// The check notices a field that is misspelt.
		misspelt := strings.ReplaceAll(rendered, "automountServiceAccountToken:", "automountToken:")
		output, err := conform(t, misspelt)
		if err == nil || !strings.Contains(output, "'automountToken' not allowed") {
			t.Errorf("a misspelt field is not noticed: %v %s", err, output)
		}
	})
}

func render(t *testing.T, file string, args ...string) string {
	t.Helper()
	return mustRun(t, "helm", append([]string{"template", "cellblock", chart, "--namespace", "jobs", "--values", file},
		args...)...)
}

func conform(t *testing.T, rendered string) (string, error) {
	t.Helper()
	schemas, err := filepath.Abs(filepath.Join(tools, "schemas.d"))
	if err != nil {
		t.Fatal(err)
	}
	return run(t, "kubeconform", []byte(rendered), "-strict", "-schema-location",
		schemas+"/{{.ResourceKind}}{{.KindSuffix}}.json", "-")
}

// object is what tests look at in an object of Kubernetes.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string]string
	text     string
}

func objects(t *testing.T, rendered string) []object {
	t.Helper()
	var all []object
	for _, text := range strings.Split(rendered, "\n---\n") {
		var one object
		if err := yaml.Unmarshal([]byte(text), &one); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		one.text = text
		all = append(all, one)
	}
	return all
}

// A generated secret is in its Secret and nowhere else.
func TestSecretsAreInSecretsOnly(t *testing.T) {
	t.Parallel()
	rendered := render(t, filepath.Join(chart, "ci", "minimal-values.yaml"), "--set", "webhooks.enabled=true")
	var secrets []string
	for _, one := range objects(t, rendered) {
		if one.Kind != "Secret" {
			continue
		}
		for name, encoded := range one.Data {
			value, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || len(value) < 32 {
				t.Errorf("%s is %q, %v", name, value, err)
			}
			secrets = append(secrets, string(value), encoded)
		}
	}
	if len(secrets) != 6 {
		t.Fatalf("found %d texts of secrets, want two of each of three", len(secrets))
	}
	for _, one := range objects(t, rendered) {
		for _, secret := range secrets {
			if one.Kind != "Secret" && strings.Contains(one.text, secret) {
				t.Errorf("%s %s has a secret", one.Kind, one.Metadata.Name)
			}
		}
	}
}

// Each variable that the chart sets is a setting of the program, so that a renamed setting is noticed.
func TestVariablesAreSettings(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	// Of other programs: the AWS SDK, OpenTelemetry's, the client, redis-cli, a script of the chart.
	other := regexp.MustCompile(`^(AWS|OTEL|CELLBLOCK)_|^(REDISCLI_AUTH|PROFILE|TOKENS)$`)
	variable := regexp.MustCompile(`(?m)^ +- name: ([A-Z][A-Z0-9_]+)$`)
	seen := map[string]bool{}
	for _, file := range valuesFiles(t) {
		for _, found := range variable.FindAllStringSubmatch(render(t, file), -1) {
			name := found[1]
			seen[name] = true
			if !other.MatchString(name) && !strings.Contains(string(document), "`"+name+"`") {
				t.Errorf("%s sets %s, which docs/configuration.md does not have", filepath.Base(file), name)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d variables were found", len(seen))
	}
}
