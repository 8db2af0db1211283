package kubernetes

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cellblock/test/kubernetes/controlplane"
)

// While one pod of the API is not ready, its budget lets no other be evicted.
func TestEvictionBeyondTheBudget(t *testing.T) {
	t.Parallel()
	r := newRelease(t, "eviction", "privileged")
	r.install("--values", ci("minimal"))
	pods := slices.DeleteFunc(r.list("v1/pods"), func(pod controlplane.Object) bool {
		return pod.Labels()["app.kubernetes.io/component"] != "api"
	})
	if len(pods) != 2 {
		t.Fatalf("%d pods of the API; want 2", len(pods))
	}
	r.setReady(pods[0].Name(), "False")
	r.awaitAllowed("cellblock-api", 0)
	var refused *controlplane.StatusError
	if err := r.evict(pods[1].Name()); !errors.As(err, &refused) || refused.Code != http.StatusTooManyRequests {
		t.Errorf("evicting the second pod: %v; want 429", err)
	}
	r.setReady(pods[0].Name(), "True")
	r.awaitAllowed("cellblock-api", 1)
	if err := r.evict(pods[1].Name()); err != nil {
		t.Errorf("evicting a pod within the budget: %v", err)
	}
	want := map[string]int{"api": 2, "redis": 1, "worker/default": 2}
	r.await("v1/pods", func(pods []controlplane.Object) bool { return equal(readyPods(pods), want) })
}

// setReady sets the condition Ready of a pod, as a kubelet would.
func (r *release) setReady(pod, status string) {
	r.t.Helper()
	_, err := cluster.Client.Send(r.t.Context(), http.MethodPatch, r.path("v1/pods/"+pod+"/status"),
		"application/strategic-merge-patch+json",
		fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q}]}}`, status))
	if err != nil {
		r.t.Fatal(err)
	}
}

// awaitAllowed waits until a budget allows this many evictions.
func (r *release) awaitAllowed(budget string, evictions int) {
	r.t.Helper()
	r.await("policy/v1/poddisruptionbudgets", func(all []controlplane.Object) bool {
		return slices.ContainsFunc(all, func(object controlplane.Object) bool {
			return object.Name() == budget && object.Number("status", "disruptionsAllowed") == evictions &&
				object.Number("status", "observedGeneration") > 0
		})
	})
}

func (r *release) evict(pod string) error {
	_, err := cluster.Client.Send(r.t.Context(), http.MethodPost, r.path("v1/pods/"+pod+"/eviction"), controlplane.JSON,
		fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q}}`, pod))
	return err
}

// A pod's grace period is above the time for which its program goes on after SIGTERM, and that of workers above the
// longest job. The values of pools have a job of five minutes.
func TestGracePeriods(t *testing.T) {
	t.Parallel()
	r := &release{t, "none"}
	checked := 0
	for _, name := range []string{"minimal", "pools", "unprivileged"} {
		for _, manifest := range controlplane.Manifests(r.helm("template", "cellblock", chart, "--values", ci(name))) {
			object, err := controlplane.ParseObject(manifest)
			if err != nil {
				t.Fatal(err)
			}
			pod, ok := podTemplate(object)
			component := object.Labels()["app.kubernetes.io/component"]
			if !ok || component != "api" && component != "worker" {
				continue
			}
			checked++
			container := pod.Objects("spec", "containers")[0]
			grace := time.Duration(pod.Number("spec", "terminationGracePeriodSeconds")) * time.Second
			settings := durations(container)
			stops := time.Duration(container.Number("lifecycle", "preStop", "sleep", "seconds"))*time.Second +
				settings["SHUTDOWN_TIMEOUT"] + settings["DRAIN_TIMEOUT"]
			if stops == 0 || grace <= stops {
				t.Errorf("%s, %s: the grace period is %s, the program may take %s", name, object.Name(), grace, stops)
			}
			if component == "worker" && settings["DRAIN_TIMEOUT"] <= settings["LIMIT_WALL"] {
				t.Errorf("%s, %s: a job may take %s, and the drain is %s", name, object.Name(), settings["LIMIT_WALL"],
					settings["DRAIN_TIMEOUT"])
			}
		}
	}
	if checked != 9 {
		t.Errorf("%d pods checked; want 9", checked)
	}
}

// durations returns the settings of a container that are durations.
func durations(container controlplane.Object) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, variable := range container.Objects("env") {
		if value, err := time.ParseDuration(strings.TrimSpace(variable.Text("value"))); err == nil {
			all[variable.Text("name")] = value
		}
	}
	return all
}
