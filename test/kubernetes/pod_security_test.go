package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"cellblock/test/kubernetes/controlplane"
)

const podSecurity = "pod-security.kubernetes.io"

// standards are the Pod Security Standards, the strictest first.
var standards = []string{"restricted", "baseline", "privileged"}

// needed has the strictest standard that admits each kind of pod. docs/kubernetes.md has this table.
var needed = map[string]string{
	"api":                 "restricted",
	"redis":               "restricted",
	"test":                "restricted",
	"seccomp":             "privileged",
	"worker/privileged":   "privileged",
	"worker/unprivileged": "privileged",
	"worker/gvisor":       "privileged",
}

func TestPodSecurityStandards(t *testing.T) {
	t.Parallel()
	pods := allPods(t)
	if got, want := slices.Sorted(maps.Keys(pods)), slices.Sorted(maps.Keys(needed)); !slices.Equal(got, want) {
		t.Fatalf("the chart has pods %q; want %q", got, want)
	}
	got := map[string]string{}
	for _, standard := range standards {
		r := newRelease(t, "standard-"+standard, standard)
		r.apply(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: cellblock-api}}`)
		r.apply(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: cellblock-worker}}`)
		for name, manifest := range pods {
			_, err := cluster.Client.Apply(t.Context(), r.namespace, manifest, "dryRun=All")
			var refused *controlplane.StatusError
			switch {
			case err == nil && got[name] == "":
				got[name] = standard
			case err == nil:
			case errors.As(err, &refused) && strings.Contains(refused.Message, "violates PodSecurity"):
				t.Logf("%s: %s", name, refused.Message)
			default:
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	document, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, standard := range needed {
		if got[name] != standard {
			t.Errorf("%s needs %q; want %q", name, got[name], standard)
		}
		if row := "| `" + name + "` | " + standard + " |"; !strings.Contains(string(document), row) {
			t.Errorf("docs/kubernetes.md has no row %q", row)
		}
	}
}

// allPods returns a manifest of each kind of pod that the chart makes.
func allPods(t *testing.T) map[string]string {
	t.Helper()
	r := &release{t, "none"}
	pods := map[string]string{}
	for _, name := range []string{"minimal", "unprivileged"} {
		isolation := map[string]string{"minimal": "privileged", "unprivileged": "unprivileged"}[name]
		for _, manifest := range controlplane.Manifests(r.helm("template", "cellblock", chart, "--values", ci(name))) {
			object, err := controlplane.ParseObject(manifest)
			if err != nil {
				t.Fatal(err)
			}
			pod, ok := podTemplate(object)
			if !ok {
				continue
			}
			component := pod.Labels()["app.kubernetes.io/component"]
			switch pool := pod.Labels()["cellblock/pool"]; pool {
			case "":
			case "default":
				component += "/" + isolation
			default:
				component += "/" + pool
			}
			pods[component] = podManifest(t, component, pod)
		}
	}
	return pods
}

// podManifest returns a pod by a template.
func podManifest(t *testing.T, name string, template controlplane.Object) string {
	t.Helper()
	content, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
		"metadata": map[string]any{"name": strings.ReplaceAll(name, "/", "-"), "labels": template.Labels()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// In a restricted namespace the API and Redis run, and the ReplicaSet of privileged workers reports why it has none.
func TestRestrictedNamespace(t *testing.T) {
	t.Parallel()
	r := newRelease(t, "restricted", "restricted")
	r.helm("install", "cellblock", chart, "--values", ci("minimal"))
	want := map[string]int{"api": 2, "redis": 1}
	r.await("v1/pods", func(pods []controlplane.Object) bool { return equal(readyPods(pods), want) })
	r.await("apps/v1/deployments", func(all []controlplane.Object) bool {
		for _, deployment := range all {
			if deployment.Name() == "cellblock-worker-default" && deployment.Condition("ReplicaFailure") == "True" {
				conditions := fmt.Sprint(deployment.At("status", "conditions"))
				return strings.Contains(conditions, `violates PodSecurity "restricted`)
			}
		}
		return false
	})
}

// Installed twice for one Redis, the API runs in a restricted namespace and the workers in another.
func TestTwoNamespaces(t *testing.T) {
	t.Parallel()
	for standard, test := range map[string]struct {
		values string
		pods   map[string]int
	}{
		"restricted": {"{redis: {host: redis.example.org}, pools: {default: null}}", map[string]int{"api": 2}},
		"privileged": {
			"{redis: {host: redis.example.org}, api: {replicas: 0}}", map[string]int{"worker/default": 2},
		},
	} {
		t.Run(standard, func(t *testing.T) {
			t.Parallel()
			r := newRelease(t, "half-"+standard, standard)
			r.install(values(t, test.values)...)
			r.await("v1/pods", func(pods []controlplane.Object) bool { return equal(readyPods(pods), test.pods) })
		})
	}
}
