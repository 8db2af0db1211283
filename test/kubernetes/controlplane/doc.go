// Package controlplane starts a real control plane of Kubernetes on loopback: etcd, the API server with its usual
// admission and with RBAC, the controller manager and the scheduler. kwok stands in for the nodes: it reports pods as
// ready, and runs none.
package controlplane
