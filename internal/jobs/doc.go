// Package jobs is the domain: jobs, their states and outcomes, the requests of clients, and the error codes. It is
// plain data and does no I/O; sub-packages store jobs, queue them, and accept them from clients.
//
// The states of a job:
//
//	              ReleaseStart
//	           ┌─────────────────┐
//	           ▼                 │
//	accept ─▶ queued ────────▶ running ───┬──▶ succeeded   main() returned, or the script or cell ended
//	           │   ClaimStart             ├──▶ failed      error, limit, or lost worker
//	           │                          └──▶ cancelled   the client asked to end it
//	           │
//	           ├──▶ cancelled   the client asked to end it, or it was withdrawn: no worker, not started in time
//	           └──▶ failed      no sandbox could be made, or its record is damaged
//
// A job is running from the moment when a delivery has claimed its start: of all deliveries of a job, one may hand the
// script to a sandbox. The claim is released only by a delivery that has not started the job and never will. The three
// states on the right are final, and the first one that is stored stands. A job that has ended is open until it is
// finalized: its webhook is queued and its batch has counted it. Each arrow is one script of package store.
package jobs
