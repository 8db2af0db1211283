package kubernetes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellblock/test/kubernetes/controlplane"
)

// installations has a line for each file of values of the chart: the pods that are ready in the end, by component and
// pool, and kinds of objects that others do not have.
var installations = map[string]struct {
	pods  map[string]int
	kinds []string
}{
	"keda": {
		map[string]int{"api": 2, "worker/data-science": 1, "worker/default": 1},
		[]string{"HorizontalPodAutoscaler", "PodMonitor", "ScaledObject"},
	},
	"minimal":           {map[string]int{"api": 2, "redis": 1, "worker/default": 2}, []string{"StatefulSet"}},
	"no-network-policy": {map[string]int{"api": 2, "worker/default": 2}, []string{"HTTPRoute"}},
	"pools": {
		map[string]int{"api": 2, "worker/large": 1, "worker/sealed": 2, "worker/small": 4},
		[]string{"HorizontalPodAutoscaler"},
	},
	"production": {
		map[string]int{"api": 3, "worker/default": 10},
		[]string{"ConfigMap", "HorizontalPodAutoscaler", "Ingress", "PodMonitor", "PrometheusRule"},
	},
	"sentinel": {map[string]int{"api": 2, "worker/default": 2}, nil},
	"unprivileged": {
		map[string]int{"api": 2, "redis": 1, "seccomp": 3, "worker/default": 2, "worker/gvisor": 2},
		[]string{"ConfigMap", "DaemonSet", "PersistentVolumeClaim", "StatefulSet"},
	},
}

func TestInstall(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(ci("*"))
	if err != nil || len(files) != len(installations) {
		t.Fatalf("%d files in ci/, %d expected: %v", len(files), len(installations), err)
	}
	for name, expected := range installations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelease(t, "install-"+name, "privileged")
			r.install("--values", ci(name))
			r.await("v1/pods", func(pods []controlplane.Object) bool { return equal(readyPods(pods), expected.pods) })
			manifests := controlplane.Manifests(r.helm("get", "manifest", "cellblock"))
			hooks := controlplane.Manifests(r.helm("get", "hooks", "cellblock"))
			if len(hooks) != 1 {
				t.Errorf("%d hooks; want the test", len(hooks))
			}
			kinds := map[string]bool{}
			for _, manifest := range slices.Concat(manifests, hooks) {
				// The API server accepts each as it is, with no unknown field. Helm does not ask it for that.
				kinds[r.validate(manifest).Text("kind")] = true
			}
			for _, kind := range expected.kinds {
				if !kinds[kind] {
					t.Errorf("there is no %s", kind)
				}
			}
		})
	}
}

// validate has the API server check a manifest, fields that it does not know included.
func (r *release) validate(manifest string) controlplane.Object {
	r.t.Helper()
	object, err := cluster.Client.Apply(r.t.Context(), r.namespace, manifest, "dryRun=All")
	if err != nil {
		r.t.Errorf("%v", err)
	}
	return object
}

// readyPods counts pods that are ready, by component and pool.
func readyPods(pods []controlplane.Object) map[string]int {
	counts := map[string]int{}
	for _, pod := range pods {
		labels := pod.Labels()
		name := labels["app.kubernetes.io/component"]
		if pool := labels["cellblock/pool"]; pool != "" {
			name += "/" + pool
		}
		if pod.Condition("Ready") == "True" && pod.At("metadata", "deletionTimestamp") == nil {
			counts[name]++
		} else {
			counts["not ready"]++
		}
	}
	return counts
}

func equal(a, b map[string]int) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// A chart with a mistake is refused: the check above sees it.
func TestMisspeltField(t *testing.T) {
	t.Parallel()
	r := newRelease(t, "misspelt", "privileged")
	mutated := t.TempDir()
	if err := os.CopyFS(mutated, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(mutated, "templates", "worker-deployments.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(content), "terminationGracePeriodSeconds", "terminationGraceSeconds", 1)
	if wrong == string(content) {
		t.Fatal("the field is not in the template")
	}
	if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	rendered := r.helm("template", "cellblock", mutated, "--values", ci("minimal"))
	for _, manifest := range controlplane.Manifests(rendered) {
		_, err := cluster.Client.Apply(t.Context(), r.namespace, manifest, "dryRun=All")
		if err == nil {
			continue
		}
		var refused *controlplane.StatusError
		if !errors.As(err, &refused) || !strings.Contains(refused.Message, "terminationGraceSeconds") {
			t.Error(err)
		}
		return
	}
	t.Error("the API server accepts a field that it does not know")
}
