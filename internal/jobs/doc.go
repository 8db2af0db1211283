// Package jobs is the domain: what a job is, how it may end, what a client may
// ask for, and the codes that say what went wrong. It does no I/O; the store
// and the queue live in sub-packages.
//
// A job moves one way:
//
//	queued ──▶ running ──▶ succeeded | failed
//	   └──────────┴──────▶ cancelled
//
// "Running" means fenced: exactly one delivery of the job has been allowed to
// hand the script to a sandbox. The three states on the right are final, and
// the first one written stands.
package jobs
