// Package conformance holds what every build of Cellblock must do, seen from
// outside: scripts beside what each must give, over HTTP through the whole
// service, in each kind of sandbox.
//
// The scripts are in cases/, one file for each topic; case_test.go describes
// the format. What a script cannot express (raw request bodies, waiting,
// several requests at once, what is left on the host) is in Go.
//
// CONFORMANCE_SANDBOXES ("warm cold") names the kinds of sandbox to judge, and
// CONFORMANCE_WORKER_ENV ("NAME=value NAME=value") adds settings to every worker.
package conformance
