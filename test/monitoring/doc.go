// Package monitoring tests deploy/monitoring: the alerts by promtool, and each query of the alerts and of the dashboard
// by a Prometheus that scrapes a running service, while it is well and while its parts are broken.
package monitoring

//go:generate sh -c "go -C ../../tools run ./dashboard >../../deploy/monitoring/grafana/dashboard.json"

// The chart cannot have files from outside of its folder.
//
//go:generate cp ../../deploy/monitoring/grafana/dashboard.json ../../deploy/helm/cellblock/files/dashboard.json
//go:generate cp ../../deploy/monitoring/prometheus/rules.yml ../../deploy/helm/cellblock/files/rules.yml
