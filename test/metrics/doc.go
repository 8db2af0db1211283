// Package metrics scrapes the API and a worker of a running service, and compares what they have with the table of
// docs/metrics.md in both directions.
package metrics
