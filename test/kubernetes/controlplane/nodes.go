package controlplane

import (
	"context"
	"fmt"
	"strings"
)

// nodes are those of a cluster with three zones, and two nodes for large and small pods only.
var nodes = []struct{ name, labels, taints string }{
	{"plain-a", "topology.kubernetes.io/zone: a, cellblock/workers: 'true'", ""},
	{"plain-b", "topology.kubernetes.io/zone: b, cellblock/workers: 'true'", ""},
	{"plain-c", "topology.kubernetes.io/zone: c, cellblock/workers: 'true'", ""},
	{"small", "topology.kubernetes.io/zone: a, cellblock/size: small", "{key: cellblock, effect: NoSchedule}"},
	{"large", "topology.kubernetes.io/zone: b, cellblock/size: large", "{key: cellblock, effect: NoSchedule}"},
}

// addNodes creates the nodes, and waits until kwok reports them as ready.
func (c *ControlPlane) addNodes(ctx context.Context) error {
	for _, node := range nodes {
		manifest := fmt.Sprintf(`{apiVersion: v1, kind: Node, spec: {taints: [%[3]s]}, metadata: {name: %[1]s, `+
			`labels: {kubernetes.io/hostname: %[1]s, %[2]s}}}`, node.name, node.labels, node.taints)
		if _, err := c.Client.Apply(ctx, "", manifest); err != nil {
			return err
		}
	}
	_, err := c.Client.Await(ctx, "/api/v1/nodes", func(all []Object) bool {
		ready := 0
		for _, node := range all {
			taints := fmt.Sprint(node.At("spec", "taints"))
			if node.Condition("Ready") == "True" && !strings.Contains(taints, "not-ready") {
				ready++
			}
		}
		return ready == len(nodes)
	})
	return err
}
