// Package kubernetes installs the Helm chart in a real control plane, upgrades it, rolls it back and removes it. The
// control plane is that of the package controlplane. Its nodes are simulated: pods become ready, and run nothing.
package kubernetes
