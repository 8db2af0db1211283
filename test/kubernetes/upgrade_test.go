package kubernetes

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cellblock/test/kubernetes/controlplane"
)

const (
	smallValues = `
redis: {bundled: {enabled: true}}
webhooks: {enabled: true}
`
	changedValues = `
redis: {bundled: {enabled: true, maxmemory: 1gb}}
webhooks: {enabled: true}
image: {tag: 1.2.3}
commonLabels: {team: sandboxes}
limits: {wallSeconds: 60}
api: {replicas: 3, podLabels: {tier: front}}
workers: {slots: 4, replicas: 3}
pools: {extra: {replicas: 1}}
`
)

// Upgrades and rollbacks with changed values work, and keep what the chart generated or stores.
func TestUpgradeAndRollback(t *testing.T) {
	t.Parallel()
	r := newRelease(t, "upgrade", "privileged")
	before := r.everything()
	small, changed := values(t, smallValues), values(t, changedValues)
	r.install(small...)
	kept := r.kept()
	if len(kept) != 9 {
		t.Fatalf("the release has %q", kept)
	}
	one := map[string]int{"api": 2, "redis": 1, "worker/default": 2}
	two := map[string]int{"api": 3, "redis": 1, "worker/default": 3, "worker/extra": 1}
	for _, step := range []struct {
		name string
		run  func()
		pods map[string]int
	}{
		{"upgrade", func() { r.upgrade(changed...) }, two},
		{"rollback", func() { r.helm(append([]string{"rollback", "cellblock", "1"}, waiting...)...) }, one},
		{"second upgrade", func() { r.upgrade(changed...) }, two},
	} {
		step.run()
		r.await("v1/pods", func(pods []controlplane.Object) bool { return equal(readyPods(pods), step.pods) })
		now := r.kept()
		for name, value := range kept {
			if now[name] != value {
				t.Errorf("%s: %s is %q and was %q", step.name, name, now[name], value)
			}
		}
	}
	r.helm("uninstall", "cellblock", "--wait")
	r.awaitRest(before, "persistentvolumeclaims/data-cellblock-redis-0")
}

// kept returns what must be the same after an upgrade: generated secrets, and the identities of objects with pods or
// data.
func (r *release) kept() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	for _, secret := range r.list("v1/secrets") {
		if secret.Text("type") == "Opaque" {
			for key, value := range secret.Texts("data") {
				all["Secret "+secret.Name()+" "+key] = value
			}
		}
	}
	paths := []string{"apps/v1/deployments", "apps/v1/statefulsets", "v1/persistentvolumeclaims", "v1/services"}
	for _, path := range paths {
		for _, object := range r.list(path) {
			if strings.HasPrefix(object.Name(), "cellblock") || strings.HasPrefix(object.Name(), "data-") {
				all[path+" "+object.Name()] = object.Text("metadata", "uid")
			}
		}
	}
	return all
}

// What scales pods sets their number, and an upgrade leaves it as it is. The one that turns scaling on sets one pod.
func TestUpgradeKeepsReplicasOfScalers(t *testing.T) {
	t.Parallel()
	r := newRelease(t, "scaled", "privileged")
	r.install("--values", ci("keda"), "--set", "pools.default.scaling.by=fixed,pools.default.replicas=4")
	r.upgrade("--values", ci("keda"))
	if got := r.get("apps/v1/deployments/cellblock-worker-default").Number("spec", "replicas"); got != 1 {
		t.Errorf("once scaling is on, there are %d replicas; docs/kubernetes.md has 1", got)
	}
	// As the scalers would do it; without metrics the API's own stays within its bounds.
	want := map[string]int{"cellblock-api": 5, "cellblock-worker-default": 7, "cellblock-worker-data-science": 0}
	for name, replicas := range want {
		_, err := cluster.Client.Send(t.Context(), http.MethodPatch, r.path("apps/v1/deployments/"+name+"/scale"),
			controlplane.MergePatch, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(step string) {
		t.Helper()
		for name, replicas := range want {
			if got := r.get("apps/v1/deployments/"+name).Number("spec", "replicas"); got != replicas {
				t.Errorf("%s: %s has %d replicas; want %d", step, name, got, replicas)
			}
		}
	}
	r.upgrade("--values", ci("keda"), "--set", "image.tag=1.2.4", "--set", "workers.slots=3")
	check("upgrade")
	r.helm(append([]string{"rollback", "cellblock", "2"}, waiting...)...)
	check("rollback")
}

// Files of jobs outlive the release, as the data of Redis does, and the next release of this name has them again.
func TestUninstallKeepsFiles(t *testing.T) {
	t.Parallel()
	r := newRelease(t, "files", "privileged")
	before := r.everything()
	flags := []string{"--values", ci("unprivileged")}
	r.install(flags...)
	claim := r.get("v1/persistentvolumeclaims/cellblock-files").Text("metadata", "uid")
	r.helm("uninstall", "cellblock", "--wait")
	r.awaitRest(before, "persistentvolumeclaims/cellblock-files")
	r.install(flags...)
	if again := r.get("v1/persistentvolumeclaims/cellblock-files").Text("metadata", "uid"); again != claim {
		t.Errorf("the claim is another one: %s, and was %s", again, claim)
	}
}

// everything returns the names of all objects in the namespace, but those that record what happened.
func (r *release) everything() map[string]bool {
	r.t.Helper()
	names := map[string]bool{}
	for _, root := range r.versions() {
		found, err := cluster.Client.Get(r.t.Context(), root)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, resource := range found.Objects("resources") {
			kind := resource.Text("name")
			verbs, _ := resource.At("verbs").([]any)
			if resource["namespaced"] != true || kind == "events" || !slices.Contains(verbs, any("list")) {
				continue
			}
			objects, err := cluster.Client.List(r.t.Context(), root+"/namespaces/"+r.namespace+"/"+kind)
			if err != nil {
				r.t.Fatal(err)
			}
			for _, object := range objects {
				names[kind+"/"+object.Name()] = true
			}
		}
	}
	return names
}

// versions returns the paths of the preferred version of each group.
func (r *release) versions() []string {
	r.t.Helper()
	groups, err := cluster.Client.Get(r.t.Context(), "/apis")
	if err != nil {
		r.t.Fatal(err)
	}
	all := []string{"/api/v1"}
	for _, group := range groups.Objects("groups") {
		all = append(all, "/apis/"+group.Text("preferredVersion", "groupVersion"))
	}
	return all
}

// awaitRest waits until the namespace has what it had before, and the given objects besides.
func (r *release) awaitRest(before map[string]bool, rest ...string) {
	r.t.Helper()
	want := maps.Clone(before)
	for _, name := range rest {
		want[name] = true
	}
	var now map[string]bool
	// The garbage collector announces nothing for all kinds at once.
	for deadline := time.Now().Add(stepBound); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if now = r.everything(); maps.Equal(now, want) {
			return
		}
	}
	for name := range now {
		if !want[name] {
			r.t.Errorf("the release left %s", name)
		}
	}
	for name := range want {
		if !now[name] {
			r.t.Errorf("%s is gone", name)
		}
	}
}
