package helm

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// Each value changes a rendering of one of the shapes at least; and a value that templates no longer use is noticed.
func TestValuesAreUsed(t *testing.T) {
	t.Parallel()
	files := valuesFiles(t)
	if output, err := run(t, "unused-values", nil, append([]string{chart}, files...)...); err != nil {
		t.Errorf("no template uses these values: %s", output)
	}
	without := copyChart(t, "api-hpa.yaml", ".maxReplicas", "1")
	output, err := run(t, "unused-values", nil, append([]string{without}, files...)...)
	if want := "api.autoscaling.maxReplicas\n"; err == nil || output != want {
		t.Errorf("got %q, %v, want %q", output, err, want)
	}
}

// README.md is what helm-docs makes of values.yaml, and describes each value.
func TestReadme(t *testing.T) {
	t.Parallel()
	want := mustRun(t, "helm-docs", "--chart-search-root", chart, "--sort-values-order", "file",
		"--log-level", "warning", "--dry-run")
	readme, err := os.ReadFile(filepath.Join(chart, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(readme)) != strings.TrimSpace(want) {
		t.Error("README.md is out of date; run: make generate-helm")
	}
	described := map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		if row, isValue := strings.CutPrefix(line, "| `"); isValue {
			name, rest, _ := strings.Cut(row, "`")
			if strings.HasSuffix(rest, "|  |\n") {
				t.Errorf("%s has no description", name)
			}
			described[name] = true
		}
	}
	for _, path := range leaves("", readYAML(t, "values.yaml")) {
		if !isDescribed(described, path) {
			t.Errorf("%s is not in README.md", path)
		}
	}
}

// isDescribed reports whether a value, or a map that it is in, is in the table.
func isDescribed(described map[string]bool, path string) bool {
	for ; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
		if described[path] {
			return true
		}
	}
	return false
}

func readYAML(t *testing.T, name string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chart, name))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(content, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// leaves returns the paths of all values that are no map, or an empty one.
func leaves(prefix string, values map[string]any) []string {
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if inner, ok := values[name].(map[string]any); ok && len(inner) > 0 {
			paths = append(paths, leaves(prefix+name+".", inner)...)
		} else {
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

// The schema has what values.yaml has and nothing else. (Helm itself refuses values that the schema lacks.)
func TestSchemaHasNothingElse(t *testing.T) {
	t.Parallel()
	schema := readYAML(t, "values.schema.json")
	definitions, _ := schema["$defs"].(map[string]any)
	checkProperties(t, "", schema, definitions, readYAML(t, "values.yaml"))
}

func checkProperties(t *testing.T, path string, schema, definitions, values map[string]any) {
	t.Helper()
	if name, ok := schema["$ref"].(string); ok {
		schema, _ = definitions[strings.TrimPrefix(name, "#/$defs/")].(map[string]any)
	}
	properties, _ := schema["properties"].(map[string]any)
	if len(properties) > 0 && schema["additionalProperties"] != false {
		t.Errorf("%s: the schema allows other values", path)
	}
	// These may be left out.
	optional := []string{".global", ".workers.limits.", "resources.", ".pools."}
	for name, property := range properties {
		at := path + "." + name
		value, there := values[name]
		if !there && !slices.ContainsFunc(optional, func(part string) bool { return strings.Contains(at, part) }) {
			t.Errorf("values.yaml has no %s, which the schema has", at)
		}
		if inner, ok := value.(map[string]any); ok {
			checkProperties(t, at, property.(map[string]any), definitions, inner)
		}
	}
}

// The schema refuses what would otherwise be ignored or break a template, and names it.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"redis.hots=x":                  "at '/redis': additional properties 'hots' not allowed",
		"drainSeconds=1":                "at '': additional properties 'drainSeconds' not allowed",
		"pools.a.slot=1":                "at '/pools/a': additional properties 'slot' not allowed",
		"pools.A.slots=1":               "at '/pools': additional properties 'A' not allowed",
		"pools.a.limits.wall=1":         "at '/pools/a/limits': additional properties 'wall' not allowed",
		"pools.a.slots=513":             "at '/pools/a/slots': maximum: got 513, want 512",
		"workers.isolation=root":        "at '/workers/isolation': value must be one of 'privileged', ",
		"workers.scaling.by=memory":     "at '/workers/scaling/by': value must be one of 'fixed', 'cpu', 'queue'",
		"workers.extraEnv[0].value=1":   "at '/workers/extraEnv/0': missing property 'name'",
		"files.type=nfs":                "at '/files/type': value must be one of 's3', 'volume', 'none'",
		"files.s3.endpoint=s3.example":  "at '/files/s3/endpoint'",
		"api.ingress.hosts=x":           "at '/api/ingress/hosts': got string, want array",
		"webhooks.allow[0]=localhost":   "at '/webhooks/allow/0'",
		"redis.sentinel.addresses[0]=s": "at '/redis/sentinel/addresses/0'",
		"api.image.digest=abc":          "at '/api/image/digest'",
		"limits.memoryMb=16":            "at '/limits/memoryMb': minimum: got 16, want 32",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			output, err := run(t, "helm", nil, "template", "x", chart, "--set", "redis.host=x", "--set", set)
			if err == nil || !strings.Contains(output, want) {
				t.Errorf("got %v, %s, want %s", err, output, want)
			}
		})
	}
}
