// Package helm tests the chart in deploy/helm/cellblock with Helm itself: each file of values in ci/ is linted, and
// rendered and checked against the schemas of Kubernetes; the chart's own unit tests run; and its README, its schema
// and its templates name the same values. `make test-helm` builds the tools.
package helm

// Charts can have no file from outside of their folder.
//
//go:generate cp ../../deploy/compose/seccomp.json ../../deploy/helm/cellblock/files/seccomp.json
//go:generate cp ../../deploy/monitoring/prometheus/rules.yml ../../deploy/helm/cellblock/files/rules.yml
//go:generate sh -c "go -C ../../tools run ./dashboard >../../deploy/helm/cellblock/files/dashboard.json"
