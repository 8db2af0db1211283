// Package jobs is the domain: jobs, their states and outcomes, the requests of clients, and the error codes. It does
// no I/O; the store and the queue are in sub-packages.
//
// The states of a job:
//
//	queued ──▶ running ──▶ succeeded | failed
//	   └──────────┴──────▶ cancelled
//
// "Running" means fenced: exactly one delivery of the job was allowed to pass the script to a sandbox. The three
// states on the right are final, and the first one written stands.
package jobs
