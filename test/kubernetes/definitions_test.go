package kubernetes

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"cellblock/test/kubernetes/controlplane"
)

// The definitions of other projects are in force: an object of the chart is accepted, and the same one with a field
// that its kind has not, or with a value of another type, is refused.
func TestObjectsOfOtherProjects(t *testing.T) {
	t.Parallel()
	r := newRelease(t, "definitions", "privileged")
	var rendered string
	for _, name := range []string{"keda", "production", "no-network-policy"} {
		rendered += r.helm("template", "cellblock", chart, "--values", ci(name))
	}
	for _, test := range []struct{ kind, field, misspelt, mistyped string }{
		{"ScaledObject", "pollingInterval: 5", "pollInterval: 5", `pollingInterval: "often"`},
		{"ScaledObject", "threshold: ", "treshold: ", ""},
		{"PodMonitor", "podMetricsEndpoints:", "podMetricEndpoints:", ""},
		{"PrometheusRule", "expr:", "expression:", ""},
		{"HTTPRoute", "backendRefs:", "backendRef:", ""},
	} {
		manifest := find(t, rendered, test.kind)
		if err := r.check(manifest); err != nil {
			t.Errorf("%s of the chart: %v", test.kind, err)
		}
		for _, wrong := range []string{test.misspelt, test.mistyped} {
			if wrong == "" {
				continue
			}
			mutated := strings.Replace(manifest, test.field, wrong, 1)
			if mutated == manifest {
				t.Fatalf("%s has no %q", test.kind, test.field)
			}
			err := r.check(mutated)
			// A trigger's metadata is a map of texts: its keys are known to KEDA's operator only.
			if test.field == "threshold: " {
				if err != nil {
					t.Errorf("a misspelt key of a trigger: %v; its definition knows none", err)
				}
				continue
			}
			var refused *controlplane.StatusError
			if !errors.As(err, &refused) || refused.Code == http.StatusNotFound {
				t.Errorf("%s with %q: %v; want it refused", test.kind, wrong, err)
			}
		}
	}
}

func (r *release) check(manifest string) error {
	_, err := cluster.Client.Apply(r.t.Context(), r.namespace, manifest, "dryRun=All")
	return err
}

// find returns the first manifest of a kind.
func find(t *testing.T, rendered, kind string) string {
	t.Helper()
	for _, manifest := range controlplane.Manifests(rendered) {
		if object, err := controlplane.ParseObject(manifest); err == nil && object.Text("kind") == kind {
			return manifest
		}
	}
	t.Fatalf("the chart makes no %s", kind)
	return ""
}
