// Package upgrade runs the version before and this one side by side on one Redis, with real API and worker processes
// under load. It counts the jobs that were lost, ran twice, or ended with an untrue error, and compares what the
// versions can do for each other with the table in docs/operations.md.
package upgrade
