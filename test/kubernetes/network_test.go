package kubernetes

import (
	"strconv"
	"strings"
	"testing"

	"cellblock/test/kubernetes/controlplane"
)

// connections has, by values of the chart, what may be connected: "from to:port", where both are components of the
// release, pods elsewhere ("namespace/"), or addresses. "!" before it means that it may not; "/udp" after it is a
// protocol.
var connections = map[string][]string{
	"minimal": {
		"api redis:6379", "worker redis:6379", "!test redis:6379", "!other/ redis:6379", "!redis redis:6379",
		"test api:8080", "other/ api:8080", "192.0.2.1 api:8080", "!other/ api:9090",
		"!worker api:8080", "!redis api:8080",
		"!api worker:9091", "!worker worker:9091", "!other/ worker:9091", "!192.0.2.1 worker:9091", "!other/ worker:22",
		"worker kube-system/:53", "worker kube-system/:53/udp", "api kube-system/:53/udp", "!redis kube-system/:53/udp",
		"!worker kube-system/:443", "!worker other/:53/udp", "!worker 169.254.169.254:80", "!worker 192.0.2.1:443",
		"!worker 192.0.2.1:6379", "!api 198.51.100.7:443", "!redis 198.51.100.7:443", "!worker 2001:db8::1:443",
	},
	"production": {
		"ingress-nginx/ api:8080", "test api:8080", "!other/ api:8080", "!ingress-nginx/ api:9090",
		"monitoring/ api:9090", "monitoring/ worker:9091", "!monitoring/ worker:8080", "!monitoring/ api:8080",
		"!other/ worker:9091", "worker 192.0.2.1:6379", "worker 192.0.2.1:9000", "!worker 192.0.2.1:443",
		"worker tracing/:4318", "api tracing/:4318", "!worker other/:4318",
		"api 198.51.100.7:443", "api 10.20.1.1:443", "!api 10.30.1.1:443",
		"!api 169.254.169.254:80", "!api 127.0.0.1:80",
		"api 2606:4700::1:443", "api fd00:20::1:443", "!api fd00:21::1:443", "!api fe80::1:80",
	},
	"sentinel": {
		"worker 192.0.2.1:6380", "worker 192.0.2.1:26379", "worker 192.0.2.1:26380", "api 192.0.2.1:6380",
		"!worker 192.0.2.1:6379", "!worker 198.51.100.7:6380", "!worker 192.0.2.1:443", "!api 198.51.100.7:443",
	},
	"no-network-policy": {"other/ worker:9091", "worker 169.254.169.254:80"},
}

// The policies are read by policy_test.go: no network is there that could enforce them.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	for name, expected := range connections {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelease(t, "network-"+name, "privileged")
			r.install("--values", ci(name))
			p := policies{r.namespace, r.list("networking.k8s.io/v1/networkpolicies")}
			ends := r.endpoints()
			for _, line := range expected {
				connection, denied := strings.CutPrefix(line, "!")
				from, rest, _ := strings.Cut(connection, " ")
				rest, udp := strings.CutSuffix(rest, "/udp")
				colon := strings.LastIndex(rest, ":")
				port, err := strconv.Atoi(rest[colon+1:])
				if err != nil {
					t.Fatal(err)
				}
				protocol := map[bool]string{false: "TCP", true: "UDP"}[udp]
				if got := p.allow(end(ends, from), end(ends, rest[:colon]), port, protocol); got == denied {
					t.Errorf("%s: allowed is %t", line, got)
				}
			}
		})
	}
}

// end returns a component of the release, a pod in another namespace, or an address.
func end(ends map[string]endpoint, name string) endpoint {
	if one, ok := ends[name]; ok {
		return one
	}
	if namespace, ok := strings.CutSuffix(name, "/"); ok {
		labels := map[string]string{"kubernetes.io/metadata.name": namespace}
		return endpoint{address: "10.99.0.1", namespace: namespace, namespaceLabels: labels}
	}
	return endpoint{address: name}
}

// endpoints returns a pod of each component, and that of the test, which is not started.
func (r *release) endpoints() map[string]endpoint {
	r.t.Helper()
	pods := r.list("v1/pods")
	hook, err := controlplane.ParseObject(r.helm("get", "hooks", "cellblock"))
	if err != nil {
		r.t.Fatal(err)
	}
	ends := map[string]endpoint{}
	for _, pod := range append(pods, hook) {
		one := endpoint{
			address: pod.Text("status", "podIP"), namespace: r.namespace, labels: pod.Labels(), ports: map[string]int{},
			namespaceLabels: map[string]string{"kubernetes.io/metadata.name": r.namespace},
		}
		for _, container := range pod.Objects("spec", "containers") {
			for _, port := range container.Objects("ports") {
				one.ports[port.Text("name")] = port.Number("containerPort")
			}
		}
		ends[pod.Labels()["app.kubernetes.io/component"]] = one
	}
	return ends
}
