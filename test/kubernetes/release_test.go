package kubernetes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellblock/test/kubernetes/controlplane"
)

// release is a release named cellblock in a namespace of its own.
type release struct {
	t         *testing.T
	namespace string
}

// newRelease creates a namespace whose pods are held to a Pod Security Standard, with the ServiceAccount and the
// claims that values of the chart name. Nothing is installed yet.
func newRelease(t *testing.T, namespace, standard string) *release {
	t.Helper()
	r := &release{t, namespace}
	r.apply(fmt.Sprintf(`{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s/enforce: %s}}}`,
		namespace, podSecurity, standard))
	// What controllers put into each namespace.
	r.awaitNamed("v1/serviceaccounts", "default")
	r.awaitNamed("v1/configmaps", "kube-root-ca.crt")
	r.apply(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: shared}}`)
	r.apply(`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: shared-files}, spec: {accessModes: ` +
		`[ReadWriteMany], storageClassName: "", resources: {requests: {storage: 1Gi}}}}`)
	r.addVolume("shared-files", `""`)
	r.addVolume("cellblock-files", "cephfs")
	r.addVolume("data-cellblock-redis-0", `""`)
	return r
}

// addVolume creates a volume for a claim: no provisioner is there to do it.
func (r *release) addVolume(claim, class string) {
	r.t.Helper()
	r.apply(fmt.Sprintf(`{apiVersion: v1, kind: PersistentVolume, metadata: {name: %[1]s-%[2]s}, spec: {accessModes: `+
		`[ReadWriteOnce, ReadWriteMany], storageClassName: %[3]s, capacity: {storage: 100Gi}, `+
		`hostPath: {path: /%[1]s/%[2]s}, persistentVolumeReclaimPolicy: Retain, `+
		`claimRef: {namespace: %[1]s, name: %[2]s}}}`, r.namespace, claim, class))
}

// apply creates or changes an object in the release's namespace.
func (r *release) apply(manifest string) controlplane.Object {
	r.t.Helper()
	object, err := cluster.Client.Apply(r.t.Context(), r.namespace, manifest)
	if err != nil {
		r.t.Fatal(err)
	}
	return object
}

// path returns the path of objects in the release's namespace: "v1/pods", or "apps/v1/deployments/name".
func (r *release) path(path string) string {
	version, rest, _ := strings.Cut(path, "/")
	if version == "v1" {
		return fmt.Sprintf("/api/v1/namespaces/%s/%s", r.namespace, rest)
	}
	group := version
	version, rest, _ = strings.Cut(rest, "/")
	return fmt.Sprintf("/apis/%s/%s/namespaces/%s/%s", group, version, r.namespace, rest)
}

func (r *release) get(path string) controlplane.Object {
	r.t.Helper()
	object, err := cluster.Client.Get(r.t.Context(), r.path(path))
	if err != nil {
		r.t.Fatal(err)
	}
	return object
}

func (r *release) list(path string) []controlplane.Object {
	r.t.Helper()
	return r.get(path).Objects("items")
}

// await waits until the objects at a path fit.
func (r *release) await(path string, fits func([]controlplane.Object) bool) []controlplane.Object {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), stepBound)
	defer cancel()
	objects, err := cluster.Client.Await(ctx, r.path(path), fits)
	if err != nil {
		r.t.Fatalf("%v\n%s", err, r.events())
	}
	return objects
}

// awaitNamed waits until the objects at a path have one of this name.
func (r *release) awaitNamed(path, name string) {
	r.t.Helper()
	r.await(path, func(all []controlplane.Object) bool {
		return slices.ContainsFunc(all, func(one controlplane.Object) bool { return one.Name() == name })
	})
}

// events returns what went wrong in the namespace, and how far Deployments have come.
func (r *release) events() string {
	var all strings.Builder
	for _, deployment := range r.list("apps/v1/deployments") {
		fmt.Fprintf(&all, "%s: %v of %v\n", deployment.Name(), deployment["status"], deployment.At("spec", "replicas"))
	}
	for _, event := range r.list("v1/events") {
		if event.Text("type") != "Normal" {
			fmt.Fprintf(&all, "%s/%s: %s\n", event.Text("involvedObject", "kind"), event.Text("involvedObject", "name"),
				event.Text("message"))
		}
	}
	return all.String()
}

// tryHelm runs Helm in the release's namespace.
func (r *release) tryHelm(args ...string) (output string, err error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), stepBound+stepBound/4)
	defer cancel()
	command := exec.CommandContext(ctx, helm, args...)
	command.Env = []string{
		"KUBECONFIG=" + cluster.Kubeconfig, "HELM_NAMESPACE=" + r.namespace, "HOME=" + helmHome,
		"HELM_CACHE_HOME=" + helmHome, "HELM_CONFIG_HOME=" + helmHome, "HELM_DATA_HOME=" + helmHome,
	}
	content, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, content)
	}
	return string(content), err
}

func (r *release) helm(args ...string) string {
	r.t.Helper()
	output, err := r.tryHelm(args...)
	if err != nil {
		r.t.Fatalf("%v%s", err, r.events())
	}
	return output
}

// waiting are the flags by which Helm waits until pods are ready and claims are bound.
var waiting = []string{"--wait", "--timeout", stepBound.String()}

// install installs the chart, and waits until its pods are ready.
func (r *release) install(flags ...string) {
	r.t.Helper()
	r.helm(append(append([]string{"install", "cellblock", chart}, waiting...), flags...)...)
}

// upgrade upgrades the release to exactly these values.
func (r *release) upgrade(flags ...string) {
	r.t.Helper()
	r.helm(append(append([]string{"upgrade", "cellblock", chart}, waiting...), flags...)...)
}

// values writes a file of values, and returns the flags by which Helm reads it.
func values(t *testing.T, content string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--values", path}
}

// ci returns the path of a file of values that comes with the chart.
func ci(name string) string { return filepath.Join(chart, "ci", name+"-values.yaml") }

// podTemplate returns the pod that an object makes, as a manifest; false if it makes none.
func podTemplate(object controlplane.Object) (controlplane.Object, bool) {
	if object.Text("kind") == "Pod" {
		return object, true
	}
	template := object.Object("spec", "template")
	return template, template != nil
}
