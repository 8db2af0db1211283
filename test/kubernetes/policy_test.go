package kubernetes

import (
	"net/netip"
	"slices"
	"strings"

	"cellblock/test/kubernetes/controlplane"
)

// endpoint is one end of a connection: a pod, or an address outside of the cluster.
type endpoint struct {
	address         string
	namespace       string // "" outside of the cluster
	namespaceLabels map[string]string
	labels          map[string]string
	ports           map[string]int // by name
}

// policies are the NetworkPolicies of a namespace. allow reads them as the API's documentation has it: a pod that no
// policy selects for a direction is open in it, and policies add up.
type policies struct {
	namespace string
	all       []controlplane.Object
}

// allow reports whether a connection may be made.
func (p policies) allow(from, to endpoint, port int, protocol string) bool {
	return p.allowDirection("Egress", from, to, to, port, protocol) &&
		p.allowDirection("Ingress", to, from, to, port, protocol)
}

// allowDirection decides for one end: subject is the end that policies select, peer is the other one, and target is the
// end whose ports have names.
func (p policies) allowDirection(direction string, subject, peer, target endpoint, port int, protocol string) bool {
	rules, from := "egress", "to"
	if direction == "Ingress" {
		rules, from = "ingress", "from"
	}
	selected := false
	for _, policy := range p.all {
		types, _ := policy.At("spec", "policyTypes").([]any)
		if subject.namespace != p.namespace || !slices.Contains(types, any(direction)) ||
			!selects(policy.Object("spec", "podSelector"), subject.labels) {
			continue
		}
		selected = true
		for _, rule := range policy.Objects("spec", rules) {
			if p.allowPeer(rule.Objects(from), peer) && allowPort(rule.Objects("ports"), target, port, protocol) {
				return true
			}
		}
	}
	return !selected
}

func (p policies) allowPeer(peers []controlplane.Object, peer endpoint) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(one controlplane.Object) bool {
		if block := one.Object("ipBlock"); block != nil {
			return inBlock(block, peer.address)
		}
		if peer.namespace == "" {
			return false
		}
		namespaces, pods := one.Object("namespaceSelector"), one.Object("podSelector")
		if namespaces == nil && peer.namespace != p.namespace {
			return false
		}
		return selects(namespaces, peer.namespaceLabels) && selects(pods, peer.labels)
	})
}

func allowPort(ports []controlplane.Object, target endpoint, port int, protocol string) bool {
	if len(ports) == 0 {
		return true
	}
	return slices.ContainsFunc(ports, func(one controlplane.Object) bool {
		if wanted := one.Text("protocol"); wanted != protocol && (wanted != "" || protocol != "TCP") {
			return false
		}
		if name := one.Text("port"); name != "" {
			return target.ports[name] == port
		}
		number, last := one.Number("port"), one.Number("endPort")
		return number == 0 || number <= port && port <= max(number, last)
	})
}

// selects reports whether a selector fits labels. One that is not there fits all.
func selects(selector controlplane.Object, labels map[string]string) bool {
	for name, value := range selector.Texts("matchLabels") {
		if labels[name] != value {
			return false
		}
	}
	for _, expression := range selector.Objects("matchExpressions") {
		values, _ := expression.At("values").([]any)
		value, there := labels[expression.Text("key")]
		listed := slices.Contains(values, any(value))
		fits := map[string]bool{
			"In": there && listed, "NotIn": !there || !listed, "Exists": there, "DoesNotExist": !there,
		}
		if !fits[expression.Text("operator")] {
			return false
		}
	}
	return true
}

func inBlock(block controlplane.Object, address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil || !contains(block.Text("cidr"), ip) {
		return false
	}
	except, _ := block.At("except").([]any)
	return !slices.ContainsFunc(except, func(cidr any) bool {
		text, _ := cidr.(string)
		return contains(text, ip)
	})
}

func contains(cidr string, ip netip.Addr) bool {
	prefix, err := netip.ParsePrefix(strings.TrimSpace(cidr))
	return err == nil && prefix.Contains(ip)
}
